"""What an object looks like, in a few numbers: enough to know it again after it was lost."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.types import Box, Image, Mask

_BINS = (6, 12, 12)
_SIDE = 96
"""Crops are looked at no larger than this, in pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Signature:
    """A colour histogram over CIE Lab, `histogram` float32 (864,), summing to 1, and the `area` in
    pixels. Lightness is binned coarsely: it changes with the light, the colour does less."""

    histogram: NDArray[np.float32]
    area: float

    def similarity(self, other: Signature) -> float:
        """In [0, 1]: Bhattacharyya coefficient of the colours, less for a very different size."""
        colour = float(np.sqrt(self.histogram * other.histogram).sum())
        ratio = min(self.area, other.area) / max(self.area, other.area, 1.0)
        # An object that re-enters is often half outside the picture: size is weak evidence.
        return colour * min(1.0, 0.6 + 1.6 * ratio)

    def blend(self, newer: Signature, weight: float) -> Signature:
        """Move towards `newer` by `weight` in [0, 1]."""
        mixed = (1.0 - weight) * self.histogram + weight * newer.histogram
        return Signature(mixed.astype(np.float32), max(self.area * 0.98, newer.area))


def signature(image: Image, mask: Mask, box: Box) -> Signature | None:
    """Describe the pixels of `mask` (H, W) inside `box`; None when there are too few to tell."""
    x0, y0, x1, y1 = (int(v) for v in box)
    crop, inside = image[y0:y1, x0:x1], mask[y0:y1, x0:x1].view(np.uint8)
    area = float(cv2.countNonZero(np.ascontiguousarray(inside)))
    if area < 16:
        return None
    # Every n-th pixel is view enough for a histogram, and costs no copy.
    step = max(1, int(np.ceil(max(crop.shape[:2]) / _SIDE)))
    lab = cv2.cvtColor(np.ascontiguousarray(crop[::step, ::step]), cv2.COLOR_RGB2LAB)
    chosen = np.ascontiguousarray(inside[::step, ::step])
    counts = cv2.calcHist([lab], [0, 1, 2], chosen, _BINS, [0, 256] * 3)
    histogram = counts.reshape(-1)
    total = float(histogram.sum())
    if total <= 0:
        return None
    return Signature((histogram / total).astype(np.float32), area)
