"""Chooses which stream of a container is the picture, and how it is decoded."""

from __future__ import annotations

from av.codec import Codec
from av.codec.context import CodecContext
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from streamseg.errors import SourceError

_NO_FILM = Disposition.attached_pic | Disposition.timed_thumbnails
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Decoders that also decode the alpha which WebM keeps beside the picture."""


def film_of(container: InputContainer, name: str) -> VideoStream:
    """The stream marked as default, the largest where several are or none is; never a cover.

    Raises:
        SourceError: There is none, and what there is instead.
    """
    # FFmpeg takes any text file for a film in ANSI art.
    streams = () if container.format.name == "tty" else container.streams.video
    films = [stream for stream in streams if not stream.disposition & _NO_FILM]
    decoded = [stream for stream in films if _context(stream) is not None]
    if not decoded:
        raise SourceError(f"{name} {_instead(container, films)}")
    marked = [stream for stream in decoded if stream.disposition & Disposition.default]
    return max(marked or decoded, key=lambda stream: stream.width * stream.height)


def pixel_aspect_of(stream: VideoStream) -> float:
    """Width of a stored pixel through its height; 1.0 where the stream does not say."""
    ratio = stream.sample_aspect_ratio
    return float(ratio) if ratio and ratio > 0 else 1.0


def alpha_decoder(stream: VideoStream) -> VideoCodecContext | None:
    """A decoder of its own for WebM with alpha; None where the stream's own will do.

    FFmpeg's VP8 and VP9 show what lies under the alpha.
    """
    other = _WITH_ALPHA.get(stream.codec_context.name)
    if other is None or stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) != "1":
        return None
    try:
        context = CodecContext.create(Codec(other, "r"))
    except (FFmpegError, ValueError):
        return None
    if not isinstance(context, VideoCodecContext):
        return None
    context.extradata = stream.codec_context.extradata
    return context


def _context(stream: VideoStream) -> VideoCodecContext | None:
    """PyAV has none for a codec without a decoder, whatever its types say."""
    return getattr(stream, "codec_context", None)


def _instead(container: InputContainer, films: list[VideoStream]) -> str:
    if films:
        return "holds video in a codec that this FFmpeg cannot decode; convert it to H.264"
    parts = []
    if container.streams.audio:
        parts.append("sound")
    if container.streams.video:
        parts.append("a cover picture")
    if not parts:
        return "holds no video; give a source that does"
    return f"holds only {' and '.join(parts)}; give a source with video"
