"""Sources: anything that yields frames, opened by one string."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from streamseg.clock import Clock
from streamseg.config import SourceConfig
from streamseg.types import Event, Frame, SourceInfo


class StreamEnded(Exception):  # noqa: N818 - an end is not an error
    """No frame will come any more. Not an error."""


class Source(Protocol):
    """A stream of frames. Opened by `open_source`, closed once."""

    @property
    def info(self) -> SourceInfo:
        """What is known of the source; complete before the first frame."""

    @property
    def dropped(self) -> Mapping[str, int]:
        """Frames dropped so far by cause; a file never drops."""

    def read(self, timeout_s: float) -> Frame | None:
        """The next frame (a file) or the newest one not yet read (live); None after `timeout_s`.

        Raises:
            StreamEnded: No frame will come any more.
            SourceError: The source failed in a way that waiting will not mend.
        """

    def close(self) -> None:
        """Stop within 2 s, also from another thread while `read` blocks. May be called twice."""


def never() -> bool:
    """The `stopped` of those who do not stop."""
    return False


def open_source(
    spec: str,
    config: SourceConfig,
    clock: Clock,
    on_event: Callable[[Event], None] = lambda event: None,
    stopped: Callable[[], bool] = never,
) -> Source:
    """Open SRC: a file, a glob or folder of images, `0`, `/dev/video0`, `rtsp://…`, `gst:PIPELINE`,
    `synthetic:NAME?seed=1`.

    Args:
        on_event: Told of reconnects, stalls and new epochs, from the source's own thread.
        stopped: Looked at a few times a second while opening takes its time; once it is true,
            opening is given up within 2 s.

    Raises:
        StreamEnded: `stopped` said so before the source was open.
        SourceSpecError: The source cannot be: no such file, no such scene, does not parse.
        SourceError: It cannot be opened.
        MissingDependencyError: It needs an extra.
    """
    if spec.startswith("synthetic:"):
        from streamseg.sources.synthetic import SyntheticSource

        return SyntheticSource.open(spec, config, clock)
    if spec.startswith("gst:"):
        from streamseg.sources.gstreamer.opening import open_gstreamer

        return open_gstreamer(spec, config, clock, on_event, stopped)
    from streamseg.sources.decoding.av import open_av

    return open_av(spec, config, clock, on_event, stopped)
