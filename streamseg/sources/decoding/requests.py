"""What FFmpeg is asked to open for a source, and with which patience and options; opens nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from streamseg.config import SourceConfig
from streamseg.masking import Masker
from streamseg.sources.decoding.video import VideoRequest
from streamseg.sources.pictures.signatures import is_picture
from streamseg.sources.spec import Kind, SourceSpec

_READ_GRACE_S = 1.0  # silence is a stall first; the blocked read gives up this much later


def by_content(spec: SourceSpec) -> SourceSpec:
    """A picture is one under any name: FFmpeg knows less of pages, frames and orientation."""
    path = spec.location.removeprefix("file:")
    if spec.kind is Kind.FILE and path != spec.location and is_picture(path):
        return SourceSpec(Kind.IMAGES, path, spec.name, (path,))
    return spec


def request_for(
    spec: SourceSpec,
    config: SourceConfig,
    hardware: str | None,
    masker: Masker,
    tell: Callable[[str, str], None],
) -> VideoRequest:
    """The request for a file, a camera or a URL.

    Args:
        hardware: Device to decode on, None for software.
        masker: Takes secrets out of FFmpeg's words.
        tell: Called with a kind and a message when something is worth an event.
    """
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
