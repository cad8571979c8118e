"""Paints GStreamer's samples as the RGB pictures that their maker meant: caps, tags and memory.

Knows samples; knows nothing of pipelines, the bus or time.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.errors import SourceError
from streamseg.sources.pictures.ground import on_ground
from streamseg.sources.pictures.limits import check_pixels
from streamseg.sources.pictures.tone import Tone
from streamseg.sources.pictures.upright import AS_STORED, Turn, from_tag, turned
from streamseg.types import Image

_ORIENTATION = "image-orientation"
_DEEP = "GBR_10LE"
_DEEP_BITS = 10
_CHANNELS = {"RGB": 3, "RGBA": 4}


class GstPainter:
    """Paints what one appsink gives."""

    def __init__(self, gst: Any, gst_video: Any, name: str, max_pixels: int | None) -> None:
        self._gst = gst
        self._gst_video = gst_video
        self._name = name
        self._max_pixels = max_pixels
        self._caps: Any = None
        self._info: Any = None
        self._format = ""
        self._tone: Tone | None = None
        self._turn: Turn = AS_STORED

    @property
    def width(self) -> int:
        return int(self._info.height if self._turn.transpose else self._info.width)

    @property
    def height(self) -> int:
        return int(self._info.width if self._turn.transpose else self._info.height)

    @property
    def pixel_aspect(self) -> float:
        """Width of a pixel through its height."""
        par = self._info.par_n / self._info.par_d if self._info.par_n and self._info.par_d else 1.0
        return float(1 / par if self._turn.transpose else par)

    @property
    def fps(self) -> float | None:
        numerator, denominator = self._info.fps_n, self._info.fps_d
        return numerator / denominator if numerator > 0 and denominator > 0 else None

    def listen(self, pad: Any) -> None:
        """Follow the orientation tags that come to `pad` before the pictures they are about."""
        pad.add_probe(self._gst.PadProbeType.EVENT_DOWNSTREAM, self._on_event)

    def paint(self, sample: Any) -> Image:
        """(H, W, 3) uint8 RGB of its own, upright.

        Raises:
            SourceError: It is of another format, too large, or its memory cannot be read.
        """
        caps = sample.get_caps()
        if self._caps is None or not caps.is_equal(self._caps):
            self._learn(caps)
        buffer = sample.get_buffer()
        mapped, view = buffer.map(self._gst.MapFlags.READ)
        if not mapped:
            raise SourceError(
                f"{self._name}: a picture's memory cannot be read; end in videoconvert"
            )
        try:
            image = self._shown(np.frombuffer(view.data, np.uint8), buffer)
        finally:
            buffer.unmap(view)
        return turned(image, self._turn)

    def _on_event(self, _pad: Any, probe: Any) -> Any:
        event = probe.get_event()
        if event is not None and event.type == self._gst.EventType.TAG:
            found, words = event.parse_tag().get_string(_ORIENTATION)
            if found:
                self._turn = from_tag(words)
        return self._gst.PadProbeReturn.OK

    def _learn(self, caps: Any) -> None:
        form = caps.get_structure(0).get_string("format")
        if form not in (*_CHANNELS, _DEEP):
            raise SourceError(
                f"{self._name}: expected video/x-raw,format=RGB at the appsink, "
                f"got {caps.to_string()}; put videoconvert before it"
            )
        info = self._gst_video.VideoInfo.new_from_caps(caps)
        check_pixels(info.width, info.height, self._max_pixels, self._name)
        self._caps, self._info, self._format = caps, info, form
        colours = info.colorimetry
        self._tone = Tone.needed(
            self._gst_video.video_transfer_function_to_iso(colours.transfer),
            self._gst_video.video_color_primaries_to_iso(colours.primaries),
        )

    def _shown(self, data: NDArray[np.uint8], buffer: Any) -> Image:
        """A copy: rows in the buffer are padded, and its memory is reused."""
        if self._format == _DEEP:
            green, blue, red = (self._plane(data, buffer, index, 1, 2) for index in range(3))
            planes = [plane.view(np.uint16) for plane in (red, green, blue)]
            words = np.asarray(cv2.merge(planes), np.uint16)
            if self._tone is not None:
                return self._tone.map(words, _DEEP_BITS)
            return np.asarray(cv2.convertScaleAbs(words, alpha=255 / 1023), np.uint8)
        pixels = self._plane(data, buffer, 0, _CHANNELS[self._format], 1)
        if self._format == "RGBA":
            return on_ground(pixels)
        return pixels.copy() if self._tone is None else self._tone.map(pixels.copy(), 8)

    def _plane(
        self, data: NDArray[np.uint8], buffer: Any, index: int, channels: int, size: int
    ) -> NDArray[np.uint8]:
        """A view of one plane as (H, W, channels * size) bytes."""
        offset, stride = self._info.offset[index], self._info.stride[index]
        meta = self._gst_video.buffer_get_video_meta(buffer)
        if meta is not None:
            offset, stride = meta.offset[index], meta.stride[index]
        pixel = channels * size
        return np.lib.stride_tricks.as_strided(
            data[offset:],
            (self._info.height, self._info.width, pixel),
            (stride, pixel, 1),
            writeable=False,
        )
