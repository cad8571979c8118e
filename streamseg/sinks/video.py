"""overlay.mp4: the stream as people want to see it, encoded as it comes.

Knows PyAV and time stamps; what is drawn is `overlay`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream

from streamseg.config import SinksConfig
from streamseg.sinks import folder
from streamseg.sinks.overlay import Overlay
from streamseg.types import Frame, FrameResult, Image, SourceInfo

FILE_NAME = "overlay.mp4"
TIME_BASE = Fraction(1, 90_000)
_FALLBACK_FPS = 25.0
_KEYFRAME_EVERY_S = 2.0
_BT601 = 6
_LIMITED_RANGE = 1


class VideoTime:
    """Presentation times of the video: the source's, from 0, made to grow over every break."""

    def __init__(self, fps: float) -> None:
        self._step_ns = round(1e9 / fps)
        self._offset_ns: int | None = None
        self._epoch = 0
        self._last_ns = -1

    def next_ns(self, frame: Frame) -> int:
        """Time of this frame; after a break it follows one frame interval behind the last."""
        if self._offset_ns is None:
            self._offset_ns = -frame.pts_ns
        elif frame.epoch != self._epoch or frame.pts_ns + self._offset_ns <= self._last_ns:
            self._offset_ns = self._last_ns + self._step_ns - frame.pts_ns
        self._epoch = frame.epoch
        self._last_ns = frame.pts_ns + self._offset_ns
        return self._last_ns


class VideoSink:
    """Encodes the overlay with H.264, at the size of the first frame (longest side bounded).

    The file is written in fragments of two seconds, so that also a killed run leaves one that
    plays. A picture of another size, after a new epoch, is letterboxed.
    """

    name = "overlay"

    def __init__(self, output: Path, config: SinksConfig) -> None:
        self._folder = output
        self._config = config
        self._fps = _FALLBACK_FPS
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._overlay: Overlay | None = None
        self._time = VideoTime(_FALLBACK_FPS)
        self._pixel_aspect = 1.0

    def open(self, info: SourceInfo, query: str) -> None:
        folder.prepare(self._folder)
        (self._folder / FILE_NAME).unlink(missing_ok=True)
        self._fps = info.fps or _FALLBACK_FPS
        self._time = VideoTime(self._fps)
        self._pixel_aspect = info.pixel_aspect

    def write(self, result: FrameResult) -> None:
        if self._overlay is None:
            self._start(result.frame)
        if self._overlay is None or self._stream is None or self._container is None:
            raise ValueError("overlay sink: expected open() before write()")
        time_ns = self._time.next_ns(result.frame)
        picture = _as_video_frame(self._overlay.draw(result, time_ns / 1e9))
        picture.pts = time_ns * TIME_BASE.denominator // 1_000_000_000
        picture.time_base = TIME_BASE
        for packet in self._stream.encode(picture):
            self._container.mux(packet)

    def close(self, summary: Mapping[str, Any]) -> None:
        if self._container is None or self._stream is None:
            return
        try:
            for packet in self._stream.encode():
                self._container.mux(packet)
        finally:
            self._container.close()
            self._container = None

    def _start(self, frame: Frame) -> None:
        aspect, longest = self._pixel_aspect, self._config.overlay_max_side
        width, height = bounded_size(frame.width, frame.height, longest, aspect)
        self._overlay = Overlay(width, height, self._config.overlay_timeline_s, aspect)
        self._container = av.open(
            str(self._folder / FILE_NAME),
            "w",
            format="mp4",
            options={
                "movflags": "frag_keyframe+empty_moov+default_base_moof",
                "flush_packets": "1",
            },
        )
        self._stream = self._add_stream(self._container, width, height)

    def _add_stream(self, container: OutputContainer, width: int, height: int) -> VideoStream:
        rate = Fraction(self._fps).limit_denominator(1001)
        codec, options = _encoder(self._config.overlay_crf)
        stream = cast(VideoStream, container.add_stream(codec, rate=rate, options=options))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = TIME_BASE
        context.gop_size = max(1, round(_KEYFRAME_EVERY_S * self._fps))
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


def _encoder(crf: int) -> tuple[str, dict[str, str]]:
    """x264 tuned for speed; MPEG-4, which is always there, in an FFmpeg built without it."""
    if "libx264" in av.codecs_available:
        return "libx264", {"preset": "ultrafast", "tune": "zerolatency", "crf": str(crf)}
    return "mpeg4", {"q:v": "4"}


def _as_video_frame(image: Image) -> av.VideoFrame:
    """(H, W, 3) RGB to a planar frame; OpenCV's conversion is several times swscale's speed."""
    planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8)
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")
