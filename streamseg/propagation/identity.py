"""What an object looks like, in a few numbers: enough to know it again after it was lost.

Colour alone would take any red thing for the red thing: texture, shape and size have a say, and so
has the place, for what was just here has not gone far.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.types import Box, Image, Mask, Point

_BINS = (6, 12, 12)
_ORIENTATIONS = 8
_SIDE = 96
"""Crops are looked at no larger than this, in pixels."""
_FLAT = 12.0
"""A step in brightness from pixel to pixel below this is no texture, in levels of 255."""
_LEAST_TEXTURE, _LEAST_SHAPE, _LEAST_PLACE = 0.6, 0.4, 0.6
"""What each leaves of a likeness where it speaks wholly against it."""
_ELONGATION_SPREAD, _FILL_SPREAD = 0.7, 0.25
"""Deviation, of an elongation's logarithm and of a fill, that things show as they turn and bend."""
_REACH, _REACH_PER_S = 0.25, 0.5
"""How far from where it was last seen a thing may be, in sides of the picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Signature:
    """The look of an object on one frame, or on several together.

    Attributes:
        histogram: (864,) float32 over CIE Lab, summing to 1. Lightness is binned coarsely: it
            changes with the light, the colour does less.
        texture: (9,) float32, shares of its pixels by the direction of their gradient, and, last,
            of those without one.
        area: In pixels.
        elongation: Of the ellipse with the same moments: length over width, at least 1.
        fill: The area over that ellipse's, 1 for an ellipse, less for what has corners or holes.
        centre: Of its box in sides of the picture; None when the picture is another since.
        whole: It does not touch the border, beyond which there may be more of it.
    """

    histogram: NDArray[np.float32]
    texture: NDArray[np.float32]
    area: float
    elongation: float
    fill: float
    centre: Point | None
    whole: bool

    def similarity(self, other: Signature) -> float:
        """In [0, 1]: Bhattacharyya coefficient of the colours, less for another texture, for a
        very different size, and, where both are whole, for another shape."""
        colour = float(np.sqrt(self.histogram * other.histogram).sum())
        texture = float(np.sqrt(self.texture * other.texture).sum())
        ratio = min(self.area, other.area) / max(self.area, other.area, 1.0)
        # An object that re-enters is often half outside the picture: size is weak evidence.
        size = min(1.0, 0.6 + 1.6 * ratio)
        shape = self._shape_fit(other) if self.whole and other.whole else 1.0
        return colour * size * _at_least(_LEAST_TEXTURE, texture) * _at_least(_LEAST_SHAPE, shape)

    def nearness(self, other: Signature, gone_s: float) -> float:
        """In [0, 1]: less where `other`, `gone_s` seconds later, is further away than things
        go in that time."""
        if self.centre is None or other.centre is None:
            return 1.0
        away = float(np.hypot(self.centre[0] - other.centre[0], self.centre[1] - other.centre[1]))
        beyond = away - _REACH - _REACH_PER_S * max(0.0, gone_s)
        return _at_least(_LEAST_PLACE, 1.0 - min(1.0, max(0.0, 2.0 * beyond)))

    def blend(self, newer: Signature, weight: float) -> Signature:
        """Move towards `newer` by `weight` in [0, 1]; the place is the newer one's."""

        def mix(old: NDArray[np.float32], new: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.asarray((1.0 - weight) * old + weight * new, np.float32)

        # What is cut by the border says nothing of the shape, unless nothing better is known.
        shape = weight if newer.whole else 0.0
        shape = 1.0 if newer.whole and not self.whole else shape
        return Signature(
            mix(self.histogram, newer.histogram),
            mix(self.texture, newer.texture),
            max(self.area * 0.98, newer.area),
            self.elongation + shape * (newer.elongation - self.elongation),
            self.fill + shape * (newer.fill - self.fill),
            newer.centre,
            self.whole or newer.whole,
        )

    def elsewhere(self) -> Signature:
        """The same look, in a picture that has nothing to do with this one."""
        return replace(self, centre=None)

    def _shape_fit(self, other: Signature) -> float:
        turned = np.log(self.elongation / other.elongation) / _ELONGATION_SPREAD
        bent = (self.fill - other.fill) / _FILL_SPREAD
        return float(np.exp(-0.5 * (turned * turned + bent * bent)))


def signature(image: Image, mask: Mask, box: Box) -> Signature | None:
    """Describe the pixels of `mask` (H, W) inside `box`; None when there are too few to tell."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = (int(v) for v in box)
    crop, inside = image[y0:y1, x0:x1], np.ascontiguousarray(mask[y0:y1, x0:x1].view(np.uint8))
    area = float(cv2.countNonZero(inside))
    if area < 16:
        return None
    # Every n-th pixel is view enough for a histogram, and costs no copy.
    step = max(1, int(np.ceil(max(crop.shape[:2]) / _SIDE)))
    lab = cv2.cvtColor(np.ascontiguousarray(crop[::step, ::step]), cv2.COLOR_RGB2LAB)
    chosen = np.ascontiguousarray(inside[::step, ::step])
    histogram = cv2.calcHist([lab], [0, 1, 2], chosen, _BINS, [0, 256] * 3).reshape(-1)
    total = float(histogram.sum())
    if total <= 0:
        return None
    elongation, fill = _ellipse(chosen)
    return Signature(
        (histogram / total).astype(np.float32),
        _texture(crop, inside, step),
        area,
        elongation,
        fill,
        ((x0 + x1) / (2.0 * width), (y0 + y1) / (2.0 * height)),
        x0 > 1 and y0 > 1 and x1 < width - 1 and y1 < height - 1,
    )


def _texture(crop: Image, inside: NDArray[np.uint8], step: int) -> NDArray[np.float32]:
    """See `Signature.texture`; the outline is not counted, which is half background."""
    size = (max(1, crop.shape[1] // step), max(1, crop.shape[0] // step))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    chosen = cv2.resize(inside, size, interpolation=cv2.INTER_NEAREST)
    core = cv2.erode(chosen, np.ones((3, 3), np.uint8))
    chosen = core if cv2.countNonZero(core) else chosen
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=1 / 8)
    where = chosen > 0
    angle = np.arctan2(down[where], across[where]) / np.pi % 1.0
    kind = np.minimum((angle * _ORIENTATIONS).astype(np.intp), _ORIENTATIONS - 1)
    kind[np.hypot(across[where], down[where]) < _FLAT] = _ORIENTATIONS
    counts = np.bincount(kind, minlength=_ORIENTATIONS + 1)
    return np.asarray(counts / max(1, counts.sum()), np.float32)


def _ellipse(inside: NDArray[np.uint8]) -> tuple[float, float]:
    """Elongation and fill of a mask (h, w) of 0 and 1."""
    found = cv2.moments(inside, binaryImage=True)
    area = max(found["m00"], 1.0)
    # A pixel is a square, not a point: its own spread keeps a line's width above nothing.
    across, down = found["mu20"] / area + 1 / 12, found["mu02"] / area + 1 / 12
    both = found["mu11"] / area
    middle, swing = (across + down) / 2.0, float(np.hypot((across - down) / 2.0, both))
    longest, least = middle + swing, max(middle - swing, 1 / 12)
    fill = area / (4.0 * np.pi * np.sqrt(longest * least))
    return float(np.sqrt(longest / least)), float(fill)


def _at_least(least: float, fit: float) -> float:
    return least + (1.0 - least) * fit
