"""What every backend gives: one open stream of pictures, read and closed by a single thread."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from streamseg.types import Image


class Picture(NamedTuple):
    """One decoded picture, not yet numbered.

    Attributes:
        image: (H, W, 3) uint8 RGB, C-contiguous.
        pts_ns: Presentation time in nanoseconds, None where the stream does not say.
        skipped: Pictures that came since the last one and were passed over for this newer one.
        key: Decoding can begin with it.
    """

    image: Image
    pts_ns: int | None
    skipped: int = 0
    key: bool = False


class Connection(Protocol):
    """One open stream of pictures. It knows nothing of epochs, drops or reconnects."""

    @property
    def width(self) -> int:
        """Pixels, 0 when unknown before the first picture."""

    @property
    def height(self) -> int:
        """Pixels, 0 when unknown before the first picture."""

    @property
    def pixel_aspect(self) -> float:
        """Width of a pixel through its height, 1.0 for square ones or when unknown."""

    @property
    def fps(self) -> float | None:
        """Nominal pictures per second, None when unknown."""

    @property
    def frame_count(self) -> int | None:
        """Pictures to come, None when unknown."""

    def read(self) -> Picture | None:
        """Block for the next picture; None gives the caller a moment to look whether to stop.

        Raises:
            StreamEnded: The stream came to its proper end.
            SourceError: It broke; opening it anew may help.
        """

    def close(self) -> None:
        """Let go of it. Called once, by the thread that reads."""
