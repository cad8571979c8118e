"""One scene to be read back from any file: a red disc at the top, a blue square at the lower right.

Known colours on grey, so that a wrong turn, matrix or ground shows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from source_tools import Events, read_all

from streamseg.clock import RealClock
from streamseg.config import SourceConfig
from streamseg.sources import open_source
from streamseg.types import Frame, Image, SourceInfo

RED, BLUE, GREY = (220, 30, 30), (30, 60, 220), (128, 128, 128)


def scene(size: tuple[int, int] = (160, 120), step: int = 0) -> Image:
    """(H, W, 3) RGB: the disc's centre at a quarter from left and top, `step` pixels further."""
    width, height = size
    image = np.full((height, width, 3), GREY, np.uint8)
    cv2.circle(image, (width // 4 + step, height // 4), height // 8, RED, cv2.FILLED)
    corner, end = (width * 3 // 4, height * 3 // 4), (width * 15 // 16, height * 15 // 16)
    cv2.rectangle(image, corner, end, BLUE, cv2.FILLED)
    return image


def transparent_below(image: Image) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(H, W, 4) RGBA whose lower half is hidden, and the square with it."""
    alpha = np.full(image.shape[:2], 255, np.uint8)
    alpha[image.shape[0] // 2 :] = 0
    return np.dstack([image, alpha])


def colour_of(image: Image, channel: int) -> tuple[int, ...]:
    """The median colour of the disc (channel 0) or of the square (2); empty where there is none."""
    where = _where(image, channel)
    return tuple(int(value) for value in np.median(image[where], axis=0)) if where.any() else ()


def disc_at(image: Image) -> tuple[float, float]:
    """x and y of the disc's centre, as fractions of the picture."""
    ys, xs = np.nonzero(_where(image, 0))
    return float(np.mean(xs) / image.shape[1]), float(np.mean(ys) / image.shape[0])


def close_to(found: tuple[int, ...], wanted: tuple[int, ...], within: int = 5) -> bool:
    """Whether each channel is as wanted."""
    return len(found) == 3 and max(abs(a - b) for a, b in zip(found, wanted, strict=True)) <= within


def _where(image: Image, channel: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    others = image[..., 1].astype(int) + image[..., 2 - channel]
    where: np.ndarray[Any, np.dtype[np.bool_]] = (image[..., channel] > 150) & (others < 180)
    return where


def write_scene(
    path: Path,
    codec: str,
    pixels: str,
    *,
    size: tuple[int, int] = (160, 120),
    frames: int = 2,
    matrix: int | None = None,
    colour_range: int | None = None,
    image: np.ndarray[Any, np.dtype[np.uint8]] | None = None,
    prepare: Callable[[av.VideoStream], None] = lambda stream: None,
) -> Path:
    """Encode the scene; `matrix` and `colour_range` by H.273 and FFmpeg, tagged where given."""
    image = scene(size) if image is None else image
    tags = {} if matrix is None else {"dst_colorspace": 5 if matrix == 6 else matrix}
    if colour_range is not None:
        tags["dst_color_range"] = colour_range
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        if matrix is not None:
            stream.codec_context.colorspace = matrix
        if colour_range is not None:
            stream.codec_context.color_range = colour_range
        prepare(stream)
        for number in range(frames):
            rgb = av.VideoFrame.from_ndarray(image, "rgba" if image.shape[2] == 4 else "rgb24")
            frame = rgb.reformat(format=pixels, **tags)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def played(spec: object, events: Events | None = None, **config: object) -> list[Frame]:
    """Every frame of a source."""
    return played_with_info(spec, events, **config)[0]


def played_with_info(
    spec: object, events: Events | None = None, **config: object
) -> tuple[list[Frame], SourceInfo]:
    """Every frame of a source, and what it said of itself."""
    settings = SourceConfig.model_validate({"hwaccel": "none"} | config)
    source = open_source(str(spec), settings, RealClock(), Events() if events is None else events)
    try:
        return read_all(source), source.info
    finally:
        source.close()
