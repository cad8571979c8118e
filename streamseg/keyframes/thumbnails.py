"""The small pictures that every keyframe signal is taken from; made once per frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.types import Frame, Image

SIDE = 160
"""Longest side of a thumbnail, in pixels."""
COARSE = (64, 36)
"""Width and height of the coarse grey picture that scenes are compared on."""
PREVIEW_SIDE = 4 * SIDE
"""Larger frames are point-sampled to this side first: averaging 1080p costs more than the rest."""

Grey = NDArray[np.uint8]
"""(H, W) uint8."""


@dataclass(frozen=True, slots=True, eq=False)
class Thumbnail:
    """One frame, small.

    Attributes:
        rgb: (h, w, 3) uint8, longest side SIDE, the frame's aspect.
        grey: (h, w) uint8.
        coarse: (36, 64) uint8 grey, whatever the frame's aspect.
        codes: (h, w) uint16, colours in 5 bits a channel: r << 10 | g << 5 | b.
    """

    rgb: Image
    grey: Grey
    coarse: Grey
    codes: NDArray[np.uint16]

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in (self.rgb, self.grey, self.coarse, self.codes))


def thumbnail(frame: Frame) -> Thumbnail:
    """The frame's thumbnail, remembered on the frame."""
    return frame.memo("keyframes.thumbnail", lambda: _shrink(frame.image))


def colour_codes(rgb: Image) -> NDArray[np.uint16]:
    """(h, w) uint16 codes of an (h, w, 3) uint8 picture."""
    r, g, b = (np.asarray(part, np.uint16) for part in cv2.split(rgb >> np.uint8(3)))
    return np.asarray((r << 10) | (g << 5) | b, np.uint16)


def _shrink(image: Image) -> Thumbnail:
    if max(image.shape[:2]) > PREVIEW_SIDE:
        image = _resize(image, PREVIEW_SIDE, cv2.INTER_NEAREST)
    # Two halvings take a third of the time of one quartering.
    if max(image.shape[:2]) > 2 * SIDE:
        image = _resize(image, 2 * SIDE, cv2.INTER_AREA)
    rgb = _resize(image, SIDE, cv2.INTER_AREA)
    grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    coarse = np.asarray(cv2.resize(grey, COARSE, interpolation=cv2.INTER_AREA), np.uint8)
    return Thumbnail(rgb, grey, coarse, colour_codes(rgb))


def _resize(image: Image, side: int, interpolation: int) -> Image:
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8)
