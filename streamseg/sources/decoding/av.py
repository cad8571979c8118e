"""Opens what PyAV decodes: files, images, cameras, network streams; decides which is live."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from streamseg.sources.decoding.video import VideoConnection, VideoRequest
from streamseg.sources.opening import open_unless
from streamseg.sources.pictures.signatures import is_picture
from streamseg.sources.playing.live import LiveSource
from streamseg.sources.playing.ordered import OrderedSource
from streamseg.sources.playing.pacing import PacedConnection
from streamseg.sources.playing.reconnect import Schedule, short_waits
from streamseg.sources.spec import Kind, SourceSpec, parse_spec
from streamseg.types import Event

_READ_GRACE_S = 1.0  # silence is a stall first; the blocked read gives up this much later


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
        _by_content(parse_spec(spec)), Masker(spec), config, clock, on_event, schedule, stopped
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
        return VideoConnection(_request(spec, config, self._hardware, self.mask, self._tell))

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


def _by_content(spec: SourceSpec) -> SourceSpec:
    """A picture is one under any name: FFmpeg knows less of pages, frames and orientation."""
    path = spec.location.removeprefix("file:")
    if spec.kind is Kind.FILE and path != spec.location and is_picture(path):
        return SourceSpec(Kind.IMAGES, path, spec.name, (path,))
    return spec


def _has_an_end(connection: Connection) -> bool:
    return isinstance(connection, VideoConnection) and not connection.live


def _request(
    spec: SourceSpec,
    config: SourceConfig,
    hardware: str | None,
    masker: Masker,
    tell: Callable[[str, str], None],
) -> VideoRequest:
    web = spec.kind is Kind.WEB
    live = spec.kind in {Kind.CAMERA, Kind.STREAM}
    # A file has time: a server that is slow for a moment is worth more patience than a camera.
    patience_s = config.connect_timeout_s if web else config.stall_s + _READ_GRACE_S
    return VideoRequest(
        location=spec.location,
        name=spec.name,
        live=None if web else live,
        mask=masker,
        tell=tell,
        format="v4l2" if spec.kind is Kind.CAMERA else None,
        options=_options(spec, config),
        open_timeout_s=config.connect_timeout_s if live or web else None,
        read_timeout_s=patience_s if live or web else None,
        fps=config.fps,
        hardware=hardware,
        max_pixels=config.max_pixels,
    )


def _options(spec: SourceSpec, config: SourceConfig) -> Mapping[str, str]:
    """FFmpeg's options: of a live stream begin soon and hold nothing back, of a film on the web
    take up a broken connection where it broke.

    Not `fflags=nobuffer`: it throws away the packets looked at while opening, and with them the
    key picture, so that nothing can be shown before the next one.
    """
    if spec.kind in {Kind.FILE, Kind.IMAGES}:
        return {}
    if spec.kind is Kind.WEB:
        # A connection that is to be kept tells apart the end of the chunks and a break.
        return {"reconnect": "1", "multiple_requests": "1"}
    options = {"fpsprobesize": "0", "flags": "low_delay"}
    if spec.location.lower().startswith(("rtsp://", "rtsps://")):
        options["rtsp_transport"] = config.rtsp_transport
    return options
