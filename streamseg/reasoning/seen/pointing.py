"""One point well inside a region and one just off it, as VideoSeg-R1's prompts have them."""

from __future__ import annotations

import cv2
import numpy as np

from streamseg.reasoning.seen.candidates import Candidate
from streamseg.reasoning.seen.picture import Picture

_REACH_PX = 36.0
"""In source pixels: below the 40 within which VideoSeg-R1 counts a negative point as valid."""
_CLEAR = 2
"""In working pixels: the outline is not known better than this."""


def positive_point(item: Candidate) -> tuple[int, int]:
    """The pixel x, y (working) deepest inside: on the body of a ring, not in its hole."""
    padded = np.pad(item.mask.astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return item.x0 + int(x), item.y0 + int(y)


def negative_point(picture: Picture, item: Candidate) -> tuple[int, int] | None:
    """The pixel x, y (working) near the outline that looks least like the region and most like
    another thing; None when the region leaves no room in the picture."""
    height, width = picture.shape
    reach = int(_REACH_PX / max(picture.scale))
    reach = max(reach, _CLEAR + 1)
    left, top = max(item.x0 - reach, 0), max(item.y0 - reach, 0)
    right, bottom = min(item.x1 + reach, width), min(item.y1 + reach, height)
    outside = np.ones((bottom - top, right - left), np.uint8)
    y, x = item.y0 - top, item.x0 - left
    outside[y : y + item.mask.shape[0], x : x + item.mask.shape[1]] = ~item.mask
    distance = cv2.distanceTransform(outside, cv2.DIST_L1, 3)
    near = (distance > _CLEAR) & (distance <= reach)
    if not near.any():
        return None
    window = np.s_[top:bottom, left:right]
    contrast = np.linalg.norm(picture.lab[window] - item.lab, axis=2)
    # Among equals the nearer one: it says more about where the edge is.
    worth = np.minimum(contrast, 60.0) + 25.0 * picture.saliency[window] - distance
    worth[~near] = -np.inf
    py, px = np.unravel_index(int(np.argmax(worth)), worth.shape)
    return left + int(px), top + int(py)
