"""Boxes and overlaps of masks, and masks taken out of an output; knows no tracks."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from streamseg.types import Box, Mask, Propagated


def bounding_box(mask: Mask, least_area: float = 1.0) -> Box | None:
    """The extreme pixels of a mask (H, W); None when it has fewer than `least_area` pixels."""
    pixels = mask.view(np.uint8)
    if cv2.countNonZero(pixels) < least_area:
        return None
    x, y, width, height = cv2.boundingRect(pixels)
    return float(x), float(y), float(x + width), float(y + height)


def iou(a: Mask, b: Mask) -> float:
    """Intersection over union of two masks (H, W); 0 when both are empty."""
    union = int(np.count_nonzero(a | b))
    return int(np.count_nonzero(a & b)) / union if union else 0.0


def without(propagated: Propagated, ids: Sequence[int]) -> Propagated:
    """The same output less some ids; the same object when there are none."""
    if not ids:
        return propagated
    labels = propagated.labels.copy()
    labels[np.isin(labels, ids)] = 0
    scores = {key: score for key, score in propagated.scores.items() if key not in ids}
    return Propagated(labels, scores)
