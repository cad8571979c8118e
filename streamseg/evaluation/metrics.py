"""Is the mask right: region J and boundary F of DAVIS 2017 (Perazzi et al. 2016, section 3).

And is the box right: overlap of boxes, and which box of one set is which of another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from streamseg.types import Box, Mask

BOUNDARY_BOUND = 0.008
"""How far a boundary may be off and still count, as a share of the picture's diagonal."""


def region(predicted: Mask, truth: Mask) -> float:
    """J: intersection over union of two (H, W) bool masks; 1 where both are empty."""
    union = int(np.count_nonzero(predicted | truth))
    if union == 0:
        return 1.0
    return int(np.count_nonzero(predicted & truth)) / union


def box_iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes; 0 where one has no area."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0.0 or height <= 0.0:
        return 0.0
    shared = width * height
    areas = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (first, second))
    return shared / (areas - shared)


def extent(mask: Mask) -> Box | None:
    """The box around all pixels of a (H, W) bool mask; None without a pixel."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return (float(x), float(y), float(x + width), float(y + height)) if width else None


def matched(
    first: Sequence[Box], second: Sequence[Box], least: float
) -> list[tuple[int, int, float]]:
    """Pair boxes one to one, as many as overlap by at least `least`, and of those the best.

    Returns:
        Position in `first`, position in `second`, IoU.
    """
    if not first or not second:
        return []
    overlaps = np.array([[box_iou(ours, theirs) for theirs in second] for ours in first])
    # One pair more is worth more than any gain of overlap in the others.
    worth = np.where(overlaps >= least, len(first) + overlaps, 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    pairs = ((int(row), int(column)) for row, column in zip(rows, columns, strict=True))
    return [
        (row, column, float(overlaps[row, column]))
        for row, column in pairs
        if overlaps[row, column] >= least
    ]


def boundary(predicted: Mask, truth: Mask, bound: float = BOUNDARY_BOUND) -> float:
    """F: the harmonic mean of how much of each mask's boundary lies close to the other's.

    Args:
        predicted, truth: (H, W) bool.
        bound: Largest distance that is close, as a share of the diagonal; from 1 on, in pixels.

    Returns:
        In [0, 1]; 1 where both are empty, 0 where one is.
    """
    reach = bound if bound >= 1 else math.ceil(bound * math.hypot(*truth.shape))
    window = _window(predicted, truth, math.ceil(reach) + 2)
    if window is None:
        return 1.0
    ours, theirs = contour(predicted[window]), contour(truth[window])
    ours_count, theirs_count = int(np.count_nonzero(ours)), int(np.count_nonzero(theirs))
    if ours_count == 0 and theirs_count == 0:
        return 1.0
    if ours_count == 0 or theirs_count == 0:
        return 0.0
    disk = _disk(reach)
    near_theirs = np.asarray(cv2.dilate(theirs, disk), np.uint8)
    near_ours = np.asarray(cv2.dilate(ours, disk), np.uint8)
    precision = np.count_nonzero(ours & near_theirs) / ours_count
    recall = np.count_nonzero(theirs & near_ours) / theirs_count
    if precision + recall == 0.0:
        return 0.0
    return float(2.0 * precision * recall / (precision + recall))


def contour(mask: Mask) -> NDArray[np.uint8]:
    """Return (H, W) uint8, 1 where a pixel differs from its right, lower or lower right neighbour.

    On the last row and column there is only one neighbour to differ from, and none in the corner.
    """
    inside = mask.astype(np.uint8)
    edge = np.zeros_like(inside)
    edge[:, :-1] |= inside[:, :-1] ^ inside[:, 1:]
    edge[:-1] |= inside[:-1] ^ inside[1:]
    edge[:-1, :-1] |= inside[:-1, :-1] ^ inside[1:, 1:]
    return edge


def _window(first: Mask, second: Mask, margin: int) -> tuple[slice, slice] | None:
    """The part of the picture that holds both masks and `margin` around; None without a pixel."""
    x, y, w, h = cv2.boundingRect((first | second).astype(np.uint8))
    if w == 0:
        return None
    rows = slice(max(0, y - margin), y + h + margin)
    return rows, slice(max(0, x - margin), x + w + margin)


def _disk(radius: float) -> NDArray[np.uint8]:
    whole = math.floor(radius)
    y, x = np.mgrid[-whole : whole + 1, -whole : whole + 1]
    return np.asarray(x**2 + y**2 <= radius**2, np.uint8)


@dataclass(frozen=True, slots=True)
class Score:
    """Means over frames.

    Attributes:
        j: Region.
        f: Boundary.
        frames: How many were scored.
    """

    j: float
    f: float
    frames: int

    @property
    def jf(self) -> float:
        """J&F, the mean of both."""
        return (self.j + self.f) / 2.0


def score(pairs: Iterable[tuple[Mask, Mask]]) -> Score:
    """Score (predicted, truth) pairs of (H, W) bool masks, frame by frame.

    Raises:
        ValueError: There is no pair.
    """
    values = [(region(ours, theirs), boundary(ours, theirs)) for ours, theirs in pairs]
    if not values:
        raise ValueError("expected at least one pair of masks to score, got none")
    j, f = np.asarray(values).mean(axis=0)
    return Score(float(j), float(f), len(values))
