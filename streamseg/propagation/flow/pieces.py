"""What a mask is made of: its pieces, which of them belong to the object, and how thick it is.

Knows nothing of colours nor of time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamseg.propagation.flow.carry import Plane
from streamseg.propagation.flow.opencv import cv2


def clean(soft: Plane, carried: Plane, usual: float, within: Plane | None) -> Plane:
    """Drop islands that are small, or unknown to the carried mask, or too much beside the rest.

    Args:
        usual: Pixels that the object usually has: when another thing of its colour has touched
            it and left, the piece that has its size is the object.
        within: Outline in which all pieces but the best must lie, where there was one piece only.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        (soft > 0.5).view(np.uint8), connectivity=4
    )
    if count <= 2:
        return soft
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.float32)
    known = np.bincount(labels.ravel(), (carried > 0.5).ravel(), count) / areas
    areas[0] = known[0] = 0.0
    fits = np.ones(count, np.bool_)
    if within is not None:
        fits = np.bincount(labels.ravel(), (within > 0.5).ravel(), count) >= 0.5 * areas
    likeness = known * np.minimum(areas, usual) / np.maximum(areas, usual)
    keep = np.zeros(count, np.bool_)
    total, least = 0.0, 0.03 * float(areas.max())
    for piece in np.argsort(-likeness):
        area = float(areas[piece])
        joins = fits[piece] and total + area <= 1.1 * usual
        if area > least and known[piece] >= 0.2 and (not total or joins):
            keep[piece] = True
            total += area
    drop = ~keep
    drop[0] = False
    return np.where(drop[labels], np.float32(0), soft)


def is_one_piece(soft: NDArray[np.uint8]) -> bool:
    """No second piece of any size."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(cv2.threshold(soft, 127, 255, 0)[1])
    areas = np.sort(stats[1:, cv2.CC_STAT_AREA])
    return len(areas) < 2 or bool(areas[-2] < 0.05 * areas[-1])


def thickness(soft: NDArray[np.uint8]) -> float:
    """Radius of the largest disc inside, pixels."""
    inside = cv2.threshold(soft, 127, 255, 0)[1]
    return float(cv2.distanceTransform(inside, cv2.DIST_L2, 3).max())
