"""How well a mask fits its box, the picture's edges and the points; knows no cutter.

One measure for every cutter's masks, so that the better of two can be taken.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.types import Box, Frame, Image, Mask, Target

_SIDE = 128
"""Crops are compared at no larger than this, in pixels."""


def fit(frame: Frame, target: Target, mask: Mask) -> float:
    """In [0, 1]; 0 for an empty mask.

    The product of three: how far the mask's extent is the box's, how much sharper the picture is
    along its outline than elsewhere around the box, and whether points are obeyed. A mask that
    runs along the box's border for most of its length, where the picture has no edge, has been
    cut by it, and counts less.

    Args:
        mask: (H, W) bool.
    """
    crop = _crop(frame.image, mask, target.box)
    if crop is None:
        return 0.0
    picture, inside, box = crop
    extent = _extent(inside, box)
    if extent <= 0.0:
        return 0.0
    ranks = _edge_ranks(picture)
    sharp = 0.4 + 0.6 * _sharp(ranks, _outline(inside))
    return extent * sharp * _free(ranks, inside, box) * _obeys(target, mask)


def _crop(image: Image, mask: Mask, box: Box) -> tuple[Image, NDArray[np.uint8], Box] | None:
    """The picture and the mask around a box, at most `_SIDE` long, and the box there."""
    height, width = mask.shape
    x0, y0, x1, y1 = box
    dx, dy = 0.25 * (x1 - x0), 0.25 * (y1 - y0)
    left, top = int(max(0, x0 - dx)), int(max(0, y0 - dy))
    right, bottom = int(min(width, x1 + dx + 1)), int(min(height, y1 + dy + 1))
    if right - left < 4 or bottom - top < 4:
        return None
    scale = min(1.0, _SIDE / max(right - left, bottom - top))
    size = (max(4, round((right - left) * scale)), max(4, round((bottom - top) * scale)))
    window = np.ascontiguousarray(mask[top:bottom, left:right]).view(np.uint8)
    soft = cv2.resize(window * np.uint8(255), size, interpolation=cv2.INTER_AREA)
    picture = cv2.resize(image[top:bottom, left:right], size, interpolation=cv2.INTER_AREA)
    own = ((x0 - left) * scale, (y0 - top) * scale, (x1 - left) * scale, (y1 - top) * scale)
    return np.asarray(picture, np.uint8), (soft > 127).astype(np.uint8), own


def _extent(inside: NDArray[np.uint8], box: Box) -> float:
    """IoU of the mask's extreme pixels with the box."""
    x, y, w, h = cv2.boundingRect(inside)
    if w == 0:
        return 0.0
    shared_w = max(0.0, min(x + w, box[2]) - max(x, box[0]))
    shared_h = max(0.0, min(y + h, box[3]) - max(y, box[1]))
    shared = shared_w * shared_h
    union = w * h + (box[2] - box[0]) * (box[3] - box[1]) - shared
    return float(shared / max(union, 1.0))


def _edge_ranks(picture: Image) -> NDArray[np.float32]:
    """(h, w) float32 in [0, 1]: how many of the crop's pixels have weaker edges near them."""
    lab = cv2.cvtColor(cv2.GaussianBlur(picture, (3, 3), 0), cv2.COLOR_RGB2Lab).astype(np.float32)
    across, down = cv2.Sobel(lab, cv2.CV_32F, 1, 0), cv2.Sobel(lab, cv2.CV_32F, 0, 1)
    edges = np.sqrt((across * across + down * down).sum(axis=2))
    edges = cv2.dilate(edges, np.ones((3, 3), np.uint8))
    ordered = np.sort(edges, axis=None)
    return np.asarray(np.searchsorted(ordered, edges) / ordered.size, np.float32)


def _outline(inside: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """A ring of three pixels along a mask; not where it ends with the crop."""
    kernel = np.ones((3, 3), np.uint8)
    core = cv2.erode(inside, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return np.asarray(cv2.dilate(inside, kernel) > core)


def _sharp(ranks: NDArray[np.float32], along: NDArray[np.bool_]) -> float:
    """In [0, 1]: how the edges along a line rank among all edges of the crop."""
    if not along.any():
        return 0.0
    return float(np.clip((float(ranks[along].mean()) - 0.4) / 0.5, 0.0, 1.0))


def _free(ranks: NDArray[np.float32], inside: NDArray[np.uint8], box: Box) -> float:
    """In [0.3, 1]: 1 less the share of the box's border that the mask fills beyond 0.6, where the
    picture has no edge: a screen fills its box and is as sharp there, a leak is only cut off."""
    height, width = inside.shape
    x0, y0 = int(np.clip(round(box[0]), 0, width - 1)), int(np.clip(round(box[1]), 0, height - 1))
    x1 = int(np.clip(round(box[2]), x0 + 1, width))
    y1 = int(np.clip(round(box[3]), y0 + 1, height))
    border = np.ones((y1 - y0, x1 - x0), np.bool_)
    border[1:-1, 1:-1] = False
    met = border & (inside[y0:y1, x0:x1] > 0)
    filled = np.count_nonzero(met) / np.count_nonzero(border)
    blunt = 1.0 - _sharp(ranks[y0:y1, x0:x1], met)
    return float(1.0 - 0.7 * blunt * np.clip((filled - 0.6) / 0.4, 0.0, 1.0))


def _obeys(target: Target, mask: Mask) -> float:
    """Share of the points that lie where they say, floored at a fifth."""
    said = [(point, True) for point in target.positive]
    said += [(point, False) for point in target.negative]
    if not said:
        return 1.0
    height, width = mask.shape
    right = [
        bool(mask[min(int(y), height - 1), min(int(x), width - 1)]) is meant
        for (x, y), meant in said
        if 0 <= x < width and 0 <= y < height
    ]
    return max(0.2, float(np.mean(right))) if right else 1.0
