"""Opens what PyAV decodes: files, images, cameras, network streams; decides which is live."""

from __future__ import annotations

from collections.abc import Callable

from streamseg.clock import Clock
from streamseg.config import SourceConfig
from streamseg.sources import Source, never
from streamseg.sources.connection import Connection
from streamseg.sources.hwaccel import hardware_device
from streamseg.sources.images import ImageConnection
from streamseg.sources.live import LiveSource
from streamseg.sources.masking import Masker
from streamseg.sources.opening import open_unless
from streamseg.sources.ordered import OrderedSource
from streamseg.sources.pacing import PacedConnection
from streamseg.sources.reconnect import Schedule, growing_waits
from streamseg.sources.spec import WEB_SCHEMES, Kind, SourceSpec, parse_spec
from streamseg.sources.video import VideoConnection, VideoRequest
from streamseg.types import Event

_READ_GRACE_S = 1.0  # silence is a stall first; the blocked read gives up this much later


def open_av(
    spec: str,
    config: SourceConfig,
    clock: Clock,
    on_event: Callable[[Event], None] = lambda event: None,
    stopped: Callable[[], bool] = never,
    *,
    schedule: Schedule = growing_waits,
) -> Source:
    """Open a file, a folder or glob of images, a camera or a URL; see `open_source`.

    Files, images and videos on the web are ordered: nothing is dropped, unless
    `config.realtime` plays them as if live. Cameras and other URLs are live.

    Args:
        schedule: Waits in seconds between attempts to reconnect.

    Raises:
        SourceSpecError: No such file, no image there, an unknown kind of URL.
        SourceError: It cannot be opened, or holds no picture that decodes.
    """
    parsed = parse_spec(spec)
    tell = _teller(clock, on_event)
    hardware = None if parsed.kind is Kind.IMAGES else _hardware(config, tell)

    def connect() -> Connection:
        if parsed.kind is Kind.IMAGES:
            return ImageConnection(
                parsed.name, parsed.paths, config.fallback_fps, lambda words: tell("damaged", words)
            )
        return VideoConnection(_request(parsed, config, hardware, Masker(spec), tell))

    if parsed.kind in {Kind.CAMERA, Kind.STREAM}:
        live = LiveSource(parsed.name, connect, config, clock, on_event, schedule=schedule)
        return live.start(stopped)
    connection = open_unless(connect, stopped)
    if config.realtime:
        paced = PacedConnection(connection, config.fallback_fps, config.pts_jump_s)
        played = LiveSource(parsed.name, lambda: paced, config, clock, on_event, paced=True)
        return played.start(stopped)
    return OrderedSource(parsed.name, connection, config, clock, on_event)


def _teller(clock: Clock, on_event: Callable[[Event], None]) -> Callable[[str, str], None]:
    def tell(kind: str, message: str) -> None:
        on_event(Event(kind, message, clock.now_ns()))

    return tell


def _request(
    spec: SourceSpec,
    config: SourceConfig,
    hardware: str | None,
    masker: Masker,
    tell: Callable[[str, str], None],
) -> VideoRequest:
    live = spec.kind is not Kind.FILE
    scheme = spec.location.partition("://")[0].lower() if "://" in spec.location else ""
    remote = live or scheme in WEB_SCHEMES
    return VideoRequest(
        location=spec.location,
        name=spec.name,
        live=live,
        mask=masker,
        tell=tell,
        format="v4l2" if spec.kind is Kind.CAMERA else None,
        options=_options(scheme, config) if live else {},
        open_timeout_s=config.connect_timeout_s if remote else None,
        read_timeout_s=config.stall_s + _READ_GRACE_S if remote else None,
        hardware=hardware,
    )


def _options(scheme: str, config: SourceConfig) -> dict[str, str]:
    """FFmpeg's options for a live stream: begin soon, hold nothing back.

    Not `fflags=nobuffer`: it throws away the packets looked at while opening, and with them the
    key picture, so that nothing can be shown before the next one.
    """
    options = {"fpsprobesize": "0", "flags": "low_delay"}
    if scheme in {"rtsp", "rtsps"}:
        options["rtsp_transport"] = config.rtsp_transport
    return options


def _hardware(config: SourceConfig, tell: Callable[[str, str], None]) -> str | None:
    if config.hwaccel == "none":
        return None
    device = hardware_device()
    tell("decoder", f"decoding on {device}" if device else "no hardware decoder here: software")
    return device
