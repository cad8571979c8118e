"""Opens `gst:PIPELINE`; decides from the pipeline itself whether it is live."""

from __future__ import annotations

from collections.abc import Callable

from streamseg.clock import Clock
from streamseg.config import SourceConfig
from streamseg.errors import SourceError, SourceSpecError
from streamseg.masking import Masker, legible
from streamseg.sources import Source, never
from streamseg.sources.connection import Connection
from streamseg.sources.gstreamer.pipeline import GstConnection
from streamseg.sources.opening import open_unless
from streamseg.sources.playing.live import LiveSource
from streamseg.sources.playing.ordered import OrderedSource
from streamseg.sources.playing.reconnect import Schedule, short_waits
from streamseg.types import Event

PREFIX = "gst:"


def open_gstreamer(
    spec: str,
    config: SourceConfig,
    clock: Clock,
    on_event: Callable[[Event], None] = lambda event: None,
    stopped: Callable[[], bool] = never,
    *,
    schedule: Schedule = short_waits,
) -> Source:
    """Open any GStreamer pipeline as `gst-launch-1.0` would take it; see `open_source`.

    A pipeline that gives no preroll (cameras, rtspsrc, is-live=true) is live, and its end of
    stream is a fault to reconnect from, unless the pipeline itself says num-buffers. Any other
    is ordered: nothing is dropped, and it ends with its end of stream; `config.realtime` plays
    it as if live.

    Args:
        schedule: Waits in seconds between attempts to reconnect.

    Raises:
        SourceSpecError: The pipeline does not parse.
        SourceError: It does not run, or gives no picture.
        MissingDependencyError: PyGObject or GStreamer is not installed.
    """
    masker = Masker(spec)
    description = spec.removeprefix(PREFIX).strip()
    if not description:
        raise SourceSpecError(f"{PREFIX} needs a pipeline, such as {PREFIX}v4l2src ! videoconvert")
    name = legible(PREFIX + description)

    def connect() -> GstConnection:
        return GstConnection(
            description,
            realtime=config.realtime,
            timeout_s=config.connect_timeout_s,
            name=name,
            mask=masker,
            max_pixels=config.max_pixels,
        )

    first: list[Connection] = []
    paced = False
    try:
        connection = open_unless(connect, stopped)
        if not connection.live and not config.realtime:
            return OrderedSource(name, connection, config, clock, on_event)
        paced = not connection.live
        first.append(connection)
    except SourceError:
        if not config.wait_for_source:
            raise

    def connect_again() -> Connection:
        return first.pop() if first else connect()

    live = LiveSource(name, connect_again, config, clock, on_event, schedule=schedule, paced=paced)
    return live.start(stopped)
