"""overlay.mp4: the stream as people want to see it, encoded as it comes.

Knows PyAV and time stamps; what is drawn is `overlay`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from io import FileIO
from typing import Any, cast

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream

from streamseg.config import SinksConfig
from streamseg.errors import OutputError
from streamseg.sinks import Refused, Role, Saved
from streamseg.sinks.output import results
from streamseg.sinks.output.files import reason_of, write_whole
from streamseg.sinks.output.folder import OutputFolder
from streamseg.sinks.overlay import Overlay
from streamseg.sinks.video_time import VideoTime, usable_fps
from streamseg.types import Frame, FrameResult, Image, SourceInfo

_KEYFRAME_EVERY_S = 2.0
_FRAGMENT_S = 0.5
"""What a killed run loses at most, and the muxer holds back."""
_MOST_FRAMES_BETWEEN = 600
"""Keyframes are ours to place, by time; MPEG-4 allows no more than this between them."""
_BT601 = 6
_LIMITED_RANGE = 1


class VideoSink:
    """Encodes the overlay with H.264, at the size of the first frame (longest side bounded).

    The file is written in fragments of half a second, each of them whole or not at all, so that
    also a killed run or a full disk leaves one that plays. A picture of another size, after a new
    epoch, is letterboxed.
    """

    name = "overlay"
    role = Role.RESULTS

    def __init__(self, folder: OutputFolder, config: SinksConfig) -> None:
        self._folder = folder
        self._config = config
        self._fps = usable_fps(None)
        self._pixel_aspect = 1.0
        self._video: _Video | None = None
        self.saved = Saved()

    def check(self, reads: Sequence[str]) -> None:
        self._folder.claim(self, reads)

    def open(self, info: SourceInfo, query: str) -> None:
        self._folder.claim(self)
        self._fps = usable_fps(info.fps)
        self._pixel_aspect = info.pixel_aspect
        self.saved = Saved()

    def write(self, result: FrameResult) -> None:
        if self._video is None:
            self._video = self._start(result.frame)
        try:
            self._video.write(result)
        finally:
            self.saved = self._video.saved

    def close(self, summary: Mapping[str, Any]) -> None:
        video, self._video = self._video, None
        try:
            if video is not None:
                self._finish(video)
        finally:
            self._folder.release(self)

    def _finish(self, video: _Video) -> None:
        try:
            video.close()
        finally:
            self.saved = video.saved
            if not self.saved.frames:
                self._folder.remove(results.OVERLAY)

    def _start(self, frame: Frame) -> _Video:
        file = self._folder.create(results.OVERLAY)
        try:
            return _Video(file, frame, self._fps, self._pixel_aspect, self._config)
        except Exception as error:
            file.close()
            self._folder.remove(results.OVERLAY)
            if isinstance(error, OSError):
                raise
            raise OutputError(f"no encoder here takes the video: {error}") from error


class _Pieces:
    """The file as PyAV writes it: what is not whole is cut off, and nothing follows a failure.

    Without `seek` the muxer cannot go back to what is written.
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._whole = 0
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        if self.error is not None:
            raise self.error
        try:
            write_whole(self._file, data)
        except OSError as error:
            self.error = error
            self._file.truncate(self._whole)
            raise
        return len(data)

    def whole(self) -> bool:
        """What is written up to now can be played; whether that is more than before."""
        before, self._whole = self._whole, self._file.tell()
        return self._whole > before

    def finish(self) -> None:
        self._file.close()


class _Video:
    """One video under way: an encoder, a muxer and the file."""

    def __init__(
        self, file: FileIO, frame: Frame, fps: float, aspect: float, config: SinksConfig
    ) -> None:
        """
        Raises:
            OSError: The file cannot be written.
            av.FFmpegError: No encoder can be opened.
        """
        longest = config.overlay_max_side
        width, height = bounded_size(frame.width, frame.height, longest, aspect)
        self.saved = Saved()
        self._muxed = Saved()
        self._overlay = Overlay(width, height, config.overlay_timeline_s, aspect)
        self._file = _Pieces(file)
        self._container = _container(self._file)
        self._stream = _add_stream(self._container, width, height, fps, config.overlay_crf)
        self._container.start_encoding()
        self._file.whole()
        # What the muxer counts in; the encoder was asked for the same and may have been refused.
        self._tick = cast(Fraction, self._stream.time_base)
        self._time = VideoTime(fps, self._tick)
        self._keyframe_every = round(_KEYFRAME_EVERY_S / self._tick)
        self._next_keyframe = 0

    def write(self, result: FrameResult) -> None:
        """
        Raises:
            Refused: It cannot be drawn, or encoder or muxer do not take it.
            OSError: The file cannot be written any more.
        """
        tick = self._time.next(result.frame)
        try:
            self._encode(result, tick)
        except Exception as error:
            if self._file.error is not None:
                raise self._file.error from None
            self._next_keyframe = tick  # what refers to the one that is missing would be wrong
            raise Refused(f"it cannot be encoded ({reason_of(error)})") from error

    def close(self) -> None:
        """Write what is held back, and the end."""
        try:
            if self._file.error is None:
                for packet in self._stream.encode():
                    self._container.mux(packet)
                self._container.close()
                self.saved = self._muxed
        finally:
            with suppress(Exception):  # after a failure nothing of it reaches the file
                self._container.close()
            self._file.finish()

    def _encode(self, result: FrameResult, tick: int) -> None:
        picture = _as_video_frame(self._overlay.draw(result, float(tick * self._tick)))
        picture.pts, picture.time_base = tick, self._tick
        if tick >= self._next_keyframe:  # by time: a source may hold a picture for seconds
            picture.pict_type = PictureType.I
            self._next_keyframe = tick + self._keyframe_every
        for packet in self._stream.encode(picture):
            packet.duration = self._time.duration
            self._container.mux(packet)
        if self._file.whole():  # a fragment has gone out: all that came before this frame
            self.saved = self._muxed
        self._muxed = Saved(self._muxed.frames + 1, result.frame.index)


def _container(file: _Pieces) -> OutputContainer:
    options = {
        "movflags": "frag_keyframe+empty_moov+default_base_moof",
        "frag_duration": str(round(_FRAGMENT_S * 1e6)),
        "flush_packets": "1",
    }
    return av.open(file, "w", format="mp4", options=options)


def _add_stream(
    container: OutputContainer, width: int, height: int, fps: float, crf: int
) -> VideoStream:
    codec, options, tick = _encoder(crf)
    rate = Fraction(fps).limit_denominator(1001)
    stream = cast(VideoStream, container.add_stream(codec, rate=rate, options=options))
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    context = stream.codec_context
    context.time_base = tick
    context.gop_size = _MOST_FRAMES_BETWEEN
    context.thread_count = 1
    context.color_range = _LIMITED_RANGE
    context.colorspace = _BT601
    return stream


def bounded_size(
    width: int, height: int, max_side: int, pixel_aspect: float = 1.0
) -> tuple[int, int]:
    """The picture's size in square pixels, both sides even, as H.264 asks.

    Args:
        max_side: The longest side that is allowed.
        pixel_aspect: Width of the picture's pixels through their height. They are stretched to
            squares, never shrunk.
    """
    shown_width, shown_height = width * max(1.0, pixel_aspect), height / min(1.0, pixel_aspect)
    scale = min(1.0, max_side / max(shown_width, shown_height))
    return max(2, round(shown_width * scale / 2) * 2), max(2, round(shown_height * scale / 2) * 2)


def _encoder(crf: int) -> tuple[str, dict[str, str], Fraction]:
    """Codec, its options and its tick: x264 tuned for speed; MPEG-4, which is always there, in an
    FFmpeg built without it. MPEG-4 counts in at most 65,535ths of a second."""
    if "libx264" in av.codecs_available:
        options = {"preset": "ultrafast", "tune": "zerolatency", "crf": str(crf)}
        return "libx264", options, Fraction(1, 90_000)
    return "mpeg4", {"q:v": "4"}, Fraction(1, 60_000)


def _as_video_frame(image: Image) -> av.VideoFrame:
    """(H, W, 3) RGB to a planar frame; OpenCV's conversion is several times swscale's speed."""
    planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8)
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")
