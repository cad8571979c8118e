"""Points well inside a region and just off it, as VideoSeg-R1's prompts have them."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.reasoning.seen.candidates import Candidate
from streamseg.reasoning.seen.picture import Picture

_REACH_PX = 36.0
"""In source pixels: below the 40 within which VideoSeg-R1 counts a negative point as valid."""
_CLEAR = 2
"""In working pixels: the outline is not known better than this."""
_MOST_BAYS = 3
_POINTS_A_BAY = 3
_APART = 4
"""In working pixels: points of one bay keep so far from one another."""
_LEAST_BAY = 0.02
"""Of what a region's outline spans: less is as likely a rough edge."""
_LEAST_CONTRAST = 25.0
"""In Lab, of what lies in a bay against the region."""


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


def bay_points(picture: Picture, item: Candidate) -> list[tuple[int, int]]:
    """The pixels x, y (working) deepest in the largest bays of the region where what lies in them
    differs clearly: fingers in a handle, the ground between legs.

    A cutter that is given the box alone takes what it nearly encloses for a part of the object.
    Holes are left alone: a shine or a print is one too.
    """
    mask = np.pad(item.mask.astype(np.uint8), 1)
    outline = np.argwhere(mask)[:, ::-1].astype(np.int32)
    hull: NDArray[np.uint8] = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(outline), 1)
    bays = (hull > 0) & (mask == 0)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(bays.astype(np.uint8), connectivity=4)
    found: list[tuple[int, int]] = []
    for part in 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA])[:_MOST_BAYS]:
        if stats[part, cv2.CC_STAT_AREA] < _LEAST_BAY * np.count_nonzero(hull):
            break
        inside = (parts == part).astype(np.uint8)
        if _is_open(inside, hull):
            places = ((item.x0 + x - 1, item.y0 + y - 1) for x, y in _deepest(inside))
            found += [
                (x, y)
                for x, y in places
                if float(np.linalg.norm(picture.lab[y, x] - item.lab)) >= _LEAST_CONTRAST
            ]
    return found


def _deepest(inside: NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
    """Pixels x, y far from the edge of a part and from one another, the deepest first."""
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    for _ in range(_POINTS_A_BAY):
        y, x = (int(place) for place in np.unravel_index(int(np.argmax(depth)), depth.shape))
        if depth[y, x] < _CLEAR:
            return
        yield x, y
        cv2.circle(depth, (x, y), _APART, 0.0, -1)


def _is_open(inside: NDArray[np.uint8], hull: NDArray[np.uint8]) -> bool:
    """Whether a part of the hull reaches what lies around it."""
    around = cv2.dilate(inside, np.ones((3, 3), np.uint8)) > 0
    return bool((around & (hull == 0)).any())
