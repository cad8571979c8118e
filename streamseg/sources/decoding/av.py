"""Opens what PyAV decodes: files, images, cameras, network streams; decides which is live."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from streamseg.clock import Clock
from streamseg.config import SourceConfig
from streamseg.errors import SourceError
from streamseg.masking import Masker
from streamseg.sources import Source, never
from streamseg.sources.connection import Connection
from streamseg.sources.decoding.hwaccel import hardware_device
from streamseg.sources.decoding.images import ImageConnection
from streamseg.sources.decoding.requests import by_content, request_for
from streamseg.sources.decoding.video import VideoConnection
from streamseg.sources.opening import open_unless
from streamseg.sources.playing.live import LiveSource
from streamseg.sources.playing.ordered import OrderedSource
from streamseg.sources.playing.pacing import PacedConnection
from streamseg.sources.playing.reconnect import Schedule, short_waits
from streamseg.sources.spec import Kind, SourceSpec, parse_spec
from streamseg.types import Event


def open_av(
    spec: str,
    config: SourceConfig,
    clock: Clock,
    on_event: Callable[[Event], None] = lambda event: None,
    stopped: Callable[[], bool] = never,
    *,
    schedule: Schedule = short_waits,
) -> Source:
    """Open a file, a folder or glob of images, a camera or a URL; see `open_source`.

    Files and images are ordered: nothing is dropped, unless `config.realtime` plays them as if
    live. Cameras and streams are live. Of what lies on the web, that is a file which has an end: a
    duration, a length in bytes, a list that says it is complete, or an end that comes within the
    first second; all else is live. One that cannot be reached while `config.wait_for_source`
    waits for it is taken for live.

    Args:
        schedule: Waits in seconds between attempts to reconnect.

    Raises:
        SourceSpecError: No such file, no image there, an unknown kind of URL.
        SourceError: It cannot be opened, or holds no picture that decodes.
    """
    way = _Way(
        by_content(parse_spec(spec)), Masker(spec), config, clock, on_event, schedule, stopped
    )
    if way.spec.kind in {Kind.CAMERA, Kind.STREAM}:
        return way.follow()
    try:
        connection = open_unless(way.connect, stopped)
    except SourceError:
        if way.spec.kind is Kind.WEB and config.wait_for_source:
            return way.follow()
        raise
    if isinstance(connection, VideoConnection) and connection.live:
        return way.follow(connection)
    return way.play(connection)


@dataclass
class _Way:
    """From what a spec asks for to the source that gives it."""

    spec: SourceSpec
    mask: Masker
    config: SourceConfig
    clock: Clock
    on_event: Callable[[Event], None]
    schedule: Schedule
    stopped: Callable[[], bool]

    def connect(self) -> Connection:
        spec, config = self.spec, self.config
        if spec.kind is Kind.IMAGES:
            fps = config.fps or config.fallback_fps
            return ImageConnection(spec.name, spec.paths, fps, config.max_pixels, self._tell)
        return VideoConnection(request_for(spec, config, self._hardware, self.mask, self._tell))

    def follow(self, first: Connection | None = None) -> Source:
        """Live, with reconnects; `first` is a connection that is open already."""
        ready = [] if first is None else [first]
        live = LiveSource(
            self.spec.name,
            lambda: ready.pop() if ready else self.connect(),
            self.config,
            self.clock,
            self.on_event,
            schedule=self.schedule,
            is_over=_has_an_end,
        )
        return live.start(self.stopped)

    def play(self, connection: Connection) -> Source:
        """As a file."""
        name, config, clock, on_event = self.spec.name, self.config, self.clock, self.on_event
        if not config.realtime:
            return OrderedSource(name, connection, config, clock, on_event)
        paced = PacedConnection(connection, config.fallback_fps, config.pts_jump_s)
        live = LiveSource(name, lambda: paced, config, clock, on_event, paced=True)
        return live.start(self.stopped)

    @cached_property
    def _hardware(self) -> str | None:
        if self.config.hwaccel == "none":
            return None
        device = hardware_device()
        found = f"decoding on {device}" if device else "no hardware decoder here: software"
        self._tell("decoder", found)
        return device

    def _tell(self, kind: str, message: str) -> None:
        self.on_event(Event(kind, message, self.clock.now_ns()))


def _has_an_end(connection: Connection) -> bool:
    return isinstance(connection, VideoConnection) and not connection.live
