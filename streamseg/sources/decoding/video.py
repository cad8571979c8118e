"""Decodes one container, camera or network stream with PyAV into RGB pictures."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import av
from av.codec.hwaccel import HWAccel
from av.container import Flags as ContainerFlags
from av.container import InputContainer
from av.error import ExitError, FFmpegError, InvalidDataError
from av.format import ContainerFormat, Flags
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from streamseg.errors import SourceError
from streamseg.sources import StreamEnded
from streamseg.sources.connection import Picture
from streamseg.sources.decoding.diagnosis import of_host, of_location
from streamseg.sources.decoding.finite import Packets, has_length, promises_an_end
from streamseg.sources.decoding.stamps import Stamps
from streamseg.sources.pictures.choice import alpha_decoder, film_of, pixel_aspect_of
from streamseg.sources.pictures.limits import check_pixels
from streamseg.sources.pictures.painter import Painter

_FAILURES = (FFmpegError, OSError, RuntimeError, ValueError)
_EDGES = 1_000_000
_FASTEST_FPS = 1000  # FFmpeg shows the clock's rate where it knows no better
_INVENTED_STAMPS = cast(int, ContainerFlags.gen_pts.value)
_NO_STAMPS = cast(int, Flags.no_timestamps.value)
_MAY_BE_JOINED = cast(int, Flags.ts_discont.value)
_FIRST_OF_MANY = frozenset({"tiff_pipe", "webp_pipe", "image2pipe"})
_QUICK_S = 2.0  # a name that took longer to look up is not looked up again
_SHORT_S = 0.5  # a file that ends this much before the end it promises has been cut off


@dataclass(frozen=True)
class VideoRequest:
    """What to open, and how.

    Attributes:
        location: Path, device or URL as FFmpeg takes it; may hold a password.
        name: For people; holds no password.
        live: Decode for least delay, and take the end of the stream for a fault. None leaves it
            to what is found there: what has an end is a file.
        format: FFmpeg's name of the input format, None to let it guess.
        options: FFmpeg's own.
        open_timeout_s, read_timeout_s: None waits for ever.
        fps: Pictures per second of a stream without time stamps, whatever it says.
        hardware: Device to decode on, None for software.
        max_pixels: A larger picture is refused before it is decoded; None for any.
        mask: Takes secrets out of FFmpeg's words.
        tell: Called with a kind and a message when something is worth an event.
    """

    location: str = field(repr=False)
    name: str
    live: bool | None
    mask: Callable[[str], str]
    tell: Callable[[str, str], None]
    format: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    open_timeout_s: float | None = None
    read_timeout_s: float | None = None
    fps: float | None = None
    hardware: str | None = None
    max_pixels: int | None = None


class VideoConnection:
    """One open video. Packets that do not decode are left out; hardware falls back to software.

    Attributes:
        live: It has no end that is known of.
    """

    def __init__(self, request: VideoRequest) -> None:
        """Open it; of a file decode the first picture too, so that what is no video fails here.

        Raises:
            SourceError: It cannot be opened, or holds no video, or no picture that decodes.
        """
        self._request = request
        self._painter = Painter(request.name, request.tell)
        self._frames = 0
        self._damaged = 0
        self._end_ns = 0
        self._first: Picture | None = None
        self._from_ns: int | None = None
        self._pictures: Generator[Picture | None, None, None]
        self._open(request.hardware)
        try:
            while not self.live and self._first is None:
                self._first = self._next()
        except BaseException:
            self.close()
            raise

    @property
    def width(self) -> int:
        return self._first.image.shape[1] if self._first else self._stream.width

    @property
    def height(self) -> int:
        return self._first.image.shape[0] if self._first else self._stream.height

    @property
    def fps(self) -> float | None:
        stream = self._stream
        own = stream.codec_context.framerate  # as the pictures' own headers say
        if self._stampless:  # whatever rate the container has is FFmpeg's guess
            rates = [self._request.fps, own]
        else:
            rates = [stream.average_rate, own, stream.guessed_rate]
        return next((float(rate) for rate in rates if rate and rate < _FASTEST_FPS), None)

    @property
    def pixel_aspect(self) -> float:
        aspect = pixel_aspect_of(self._stream)
        return 1 / aspect if self._painter.turn.transpose else aspect

    @property
    def frame_count(self) -> int | None:
        return self._stream.frames or None

    def read(self) -> Picture | None:
        """The next picture; None after a packet that gave none."""
        if self._first is not None:
            picture, self._first = self._first, None
            return picture
        return self._next()

    def seek(self, key_ns: int, from_ns: int) -> None:
        """Go on from elsewhere: what comes next begins at or before the picture stamped `from_ns`.

        Pictures before that one are decoded and neither painted nor returned. Where a container's
        index is wrong or missing the next picture may be a later one: its stamp tells.

        Args:
            key_ns: Stamp of the picture that decoding is to begin with.

        Raises:
            SourceError: Nobody can seek in this, as in what comes over a pipe.
        """
        base = self._stream.time_base
        assert base is not None  # no picture would have a stamp
        ticks = -(-key_ns * base.denominator // (base.numerator * 10**9))
        self._pictures.close()
        try:
            self._container.seek(ticks, stream=self._stream)
        except _FAILURES as error:
            problem = self._explain(error)
            raise SourceError(f"cannot seek in {self._request.name}: {problem}") from None
        if self._decoder is not None:
            self._decoder.flush_buffers()
        self._first, self._from_ns = None, from_ns
        self._stamps.jump()
        self._packets = Packets(self._container.demux(*self._chosen))
        self._pictures = self._decode_all()

    def close(self) -> None:
        self._pictures.close()
        self._container.close()

    def _open(self, hardware: str | None) -> None:
        request = self._request
        self._container = self._contact(request.format, hardware)
        if request.live is None and self._container.format.name == "image2":
            self._open_image(hardware)
        self._has_length = has_length(self._container)
        self._stampless = _stampless(self._container.format)
        self._stamps = Stamps()
        self._stream = self._video_stream()
        self._decoder = alpha_decoder(self._stream)
        self.live = self._begin()
        # Frame threads hold back one picture each: more speed for a file, delay for a camera.
        self._stream.thread_type = "SLICE" if self.live else "AUTO"
        self._hardware = hardware if self._stream.codec_context.is_hwaccel else None
        self._pictures = self._decode_all()

    def _contact(self, format: str | None, hardware: str | None) -> InputContainer:
        request = self._request
        begun_s = time.monotonic()
        try:
            return av.open(
                request.location,
                "r",
                format=format,
                options=dict(request.options),
                timeout=(request.open_timeout_s, request.read_timeout_s),
                hwaccel=HWAccel(hardware, allow_software_fallback=True) if hardware else None,
            )
        except _FAILURES as error:
            why = of_location(request.location, error)
            took_s, limit_s = time.monotonic() - begun_s, request.open_timeout_s
            if why is None and took_s < _QUICK_S:
                why = of_host(request.location, error)
            why = why or self._explain(error)
            if limit_s is not None and took_s >= limit_s:
                why = f"no answer within {limit_s:g} s"  # FFmpeg's words tell where it was cut off
        # Not while FFmpeg's error is handled: that holds the URL, and would be its context.
        raise SourceError(f"cannot open {request.name}: {why}")

    def _open_image(self, hardware: str | None) -> None:
        """An image without a length, which FFmpeg's reader of image files cannot read."""
        if not has_length(self._container):
            self._container.close()
            self._container = self._contact("image2pipe", hardware)

    def _begin(self) -> bool:
        """Begin to read; True when what comes has no end that is known of."""
        live = self._request.live
        if live is None:
            ends = promises_an_end(self._container)
            live = None if ends is None else not ends
        # Live, packets of sound are breaths too: a stream with sound alone must not block for ever.
        self._chosen: tuple[VideoStream, ...]
        self._chosen = () if live or live is None else (self._stream,)
        self._container.flags &= ~_INVENTED_STAMPS
        self._packets = Packets(self._container.demux(*self._chosen))
        return not self._packets.show_an_end(self._stream) if live is None else live

    def _video_stream(self) -> VideoStream:
        request = self._request
        try:
            stream = film_of(self._container, request.name)
            check_pixels(stream.width, stream.height, request.max_pixels, request.name)
        except SourceError as error:
            self._container.close()
            why = of_location(request.location)
            raise SourceError(f"{request.name} holds no video: {why}") if why else error from None
        if request.max_pixels is not None:
            # For pictures that grow later, with room for the edges that decoders add.
            limit = 2 * request.max_pixels + _EDGES
            stream.codec_context.options = {"max_pixels": str(limit)}
        return stream

    def _next(self) -> Picture | None:
        try:
            return next(self._pictures)
        except StopIteration:
            problem = ""
        except _FAILURES as error:
            problem = self._explain(error)
            error.__traceback__ = None  # it would hold this connection in a cycle
        if self._hardware and not self._frames:
            self._request.tell("decoder", f"{self._hardware} cannot decode this; using software")
            self.close()
            self._open(None)
            return None
        raise self._ended(problem)

    def _ended(self, problem: str) -> Exception:
        name = self._request.name
        if self.live:
            return SourceError(f"{name}: {problem or 'the other side ended the stream'}")
        if not self._frames:
            why = of_location(self._request.location) or problem
            why = why or f"{self._damaged} damaged packets"
            return SourceError(f"no picture of {name} can be decoded ({why}); it may be truncated")
        short_s = self._missing_s()
        if self._request.live is None and self._frames == 1 and self._may_hold_more:
            self._request.tell(
                "pages",
                f"{name}: of a picture of this kind only the first page or frame is read over the "
                "web; if it holds more, fetch the file first",
            )
        if self._request.live is None and (problem or not self._has_length):
            return self._ended_on_the_web(problem, short_s)
        if problem or short_s > _SHORT_S:
            cut = problem or f"it ends {short_s:.1f} s before the end that it promises"
            self._request.tell("truncated", f"{name} is cut off after {self._frames} frames: {cut}")
        elif self._damaged:
            self._request.tell("damaged", f"{name}: {self._damaged} packets could not be decoded")
        return StreamEnded()

    def _ended_on_the_web(self, problem: str, short_s: float) -> Exception:
        """Where nobody said how long it is, the end of the connection is the end of the film."""
        name, frames = self._request.name, self._frames
        closed = getattr(self._packets.error, "errno", None) == errno.EIO and not self._has_length
        if short_s > _SHORT_S or (problem and not closed):
            why = problem or f"{short_s:.1f} s early"
            return SourceError(
                f"{name}: the connection broke after {frames} frames ({why}), and the rest is "
                "missing: run it again, or fetch the file first"
            )
        if self._container.duration is None and frames > 1:
            self._request.tell(
                "ended",
                f"{name} ended after {frames} frames; its server told no length, so whether that "
                "is all cannot be known",
            )
        return StreamEnded()

    @property
    def _may_hold_more(self) -> bool:
        """A picture of a kind that has pages or frames, which FFmpeg reads the first of."""
        brand = self._container.metadata.get("major_brand", "")
        return self._container.format.name in _FIRST_OF_MANY or brand in ("avif", "avis")

    def _missing_s(self) -> float:
        """Seconds between the end promised by the container and the last picture's end."""
        stream, container = self._stream, self._container
        if stream.duration is not None and stream.time_base is not None:
            end_s = float((stream.duration + (stream.start_time or 0)) * stream.time_base)
        elif container.duration is not None and len(container.streams) == 1:
            end_s = (container.duration + max(0, container.start_time)) / av.time_base
        else:
            return 0.0
        return end_s - self._end_ns / 1e9

    def _decode_all(self) -> Generator[Picture | None, None, None]:
        for packet in self._packets:
            if packet.stream.index == self._stream.index:
                yield from self._shown(self._decode(packet))
            yield None
        if self._packets.error is not None:
            if not self.live:
                yield from self._shown(self._stream.decode(None))
            raise self._packets.error

    def _shown(self, frames: Sequence[VideoFrame]) -> Iterator[Picture | None]:
        for frame in frames:
            self._frames += 1
            if self._frames == 2 and self._stampless and not (self.live or self.fps):
                self._request.tell(
                    "rate",
                    f"{self._request.name} states no frame rate: source.fallback_fps is taken; "
                    "where you know it, set source.fps",
                )
            frame.pts = None if self._stampless else self._stamps.best(frame.pts, frame.dts)
            yield self._picture(frame)

    def _is_before(self, pts_ns: int | None) -> bool:
        """Whether a picture comes before the one that was sought."""
        if self._from_ns is None or pts_ns is None:
            return False
        if pts_ns >= self._from_ns:
            self._from_ns = None
            return False
        return True

    def _decode(self, packet: Packet[Stream]) -> list[VideoFrame]:
        # A half packet, as a cut file ends with, would take the whole pictures that other decoder
        # threads hold down with it. In files put together it is a whole one before a seam.
        if packet.is_corrupt and (self.live or not self._may_be_joined):
            self._damaged += 1
            return []
        try:
            if self._decoder is not None:
                return self._decoder.decode(packet)
            return cast(list[VideoFrame], packet.decode())
        except InvalidDataError:
            self._damaged += 1
            return []

    def _picture(self, frame: VideoFrame) -> Picture | None:
        pts_ns = None
        if frame.pts is not None and frame.time_base is not None:
            base = frame.time_base
            pts_ns = frame.pts * base.numerator * 1_000_000_000 // base.denominator
            self._end_ns = pts_ns + frame.duration * base.numerator * 10**9 // base.denominator
        if self._is_before(pts_ns):
            return None
        return Picture(self._painter.paint(frame), pts_ns, key=bool(frame.key_frame))

    @property
    def _may_be_joined(self) -> bool:
        return bool(self._container.format.flags & _MAY_BE_JOINED)

    def _explain(self, error: Exception) -> str:
        if isinstance(error, ExitError):
            return "no answer for too long"
        words = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return self._request.mask(" ".join(words.split()))


def _stampless(container: ContainerFormat) -> bool:
    """Whether the stamps of such a container are made up: pictures after pictures, no clock.

    Not of `yuv4mpegpipe`: a Y4M states its rate.
    """
    pictures = container.name.endswith("_pipe") or container.name == "image2pipe"
    return pictures or bool(container.flags & _NO_STAMPS)
