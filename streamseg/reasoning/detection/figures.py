"""What lies in a detected box, measured like any other region.

An ellipse that fills most of the box stands in for the thing's outline, which is good enough to
tell its colours and its motion, and for nothing else.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.reasoning.seen.candidates import Candidate, sides_of
from streamseg.reasoning.seen.picture import Picture
from streamseg.reasoning.seen.regions import Region
from streamseg.types import Mask

_FILL = 0.42
"""Half axes of the ellipse in sides of the box."""


def figure(picture: Picture, box: NDArray[np.float32], belief: float) -> Candidate:
    """A candidate for a detected box.

    Args:
        box: (4,) x0, y0, x1, y1 in working pixels.
        belief: How surely something is there, its objectness.
    """
    height, width = picture.shape
    x0, y0 = int(np.clip(box[0], 0, width - 2)), int(np.clip(box[1], 0, height - 2))
    x1 = int(np.clip(np.ceil(box[2]), x0 + 2, width))
    y1 = int(np.clip(np.ceil(box[3]), y0 + 2, height))
    mask = _ellipse(y1 - y0, x1 - x0)
    region = Region(x0, y0, mask, int(np.count_nonzero(mask)), (), "detector")
    window = np.s_[y0:y1, x0:x1]
    velocity = np.median(picture.velocity[window][mask], axis=0)
    return Candidate(
        names=_mean_names(picture, window, mask),
        lab=picture.lab[window][mask].mean(axis=0),
        purity=1.0,
        stands_out=belief,
        objectness=belief,
        velocity=(float(velocity[0]), float(velocity[1])),
        sides=sides_of(region, width, height),
        region=region,
    )


def part_names(picture: Picture, item: Candidate) -> list[NDArray[np.float32]]:
    """Mean colour names, (13,) each, of its upper, middle and lower part: a shirt, trousers."""
    third = max(1, item.mask.shape[0] // 3)
    found = []
    for top in (0, third, 2 * third):
        rows = slice(top, min(top + third + 1, item.mask.shape[0]))
        mask = item.mask[rows]
        if mask.any():
            window = np.s_[item.y0 + rows.start : item.y0 + rows.stop, item.x0 : item.x1]
            found.append(_mean_names(picture, window, mask))
    return found


def _mean_names(picture: Picture, window: tuple[slice, slice], mask: Mask) -> NDArray[np.float32]:
    inside = picture.names[window][mask]
    return np.asarray(inside.mean(axis=0, dtype=np.float32) / 255.0, np.float32)


def _ellipse(height: int, width: int) -> Mask:
    canvas = np.zeros((height, width), np.uint8)
    axes = (max(1, round(_FILL * width)), max(1, round(_FILL * height)))
    cv2.ellipse(canvas, (width // 2, height // 2), axes, 0, 0, 360, 1, -1)
    return canvas.astype(np.bool_)
