"""Arithmetic on boxes; knows neither networks nor pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamseg.reasoning.detection import Boxes, Detections

_MOST = 300
"""Boxes kept before doubles are dropped."""
_SAME_THING = 0.8
"""Boxes of different classes that overlap so far are one thing, seen as either."""
_NESTED_IOU = 0.4
_NESTED_INSIDE = 0.85
"""Boxes of one class, one of them in the other and not much smaller: the thing and a part of it."""


def box_ious(box: NDArray[np.float32], others: Boxes) -> NDArray[np.float32]:
    """(n,) intersection over union of one box (4,) with others (n, 4)."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    union = float(np.prod(box[2:] - box[:2])) + areas - shared
    return np.asarray(shared / np.maximum(union, 1e-6), np.float32)


def are_one(box: NDArray[np.float32], other: NDArray[np.float32], alike: bool) -> bool:
    """Whether two boxes are around one thing; of one class (`alike`) also where one of them holds
    but a part of it."""
    overlap = float(box_ious(box, other[None])[0])
    if overlap >= _SAME_THING or not alike:
        return overlap >= _SAME_THING
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    shared = float(np.prod(np.maximum(sides, 0.0)))
    smaller = min(float(np.prod(each[2:] - each[:2])) for each in (box, other))
    return overlap >= _NESTED_IOU and shared >= _NESTED_INSIDE * smaller


def corners(boxes: NDArray[Any]) -> Boxes:
    """(n, 4) of centre x, y, width, height to corners."""
    half = 0.5 * boxes[:, 2:]
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1).astype(np.float32)


def select(
    boxes: Boxes, probabilities: NDArray[np.float32], least: float, nms: float
) -> Detections:
    """The best class of each box, from `least` on, doubles of one class dropped, best first."""
    classes = probabilities.argmax(axis=1)
    scores = probabilities[np.arange(len(classes)), classes]
    order = np.argsort(-scores, kind="stable")[:_MOST]
    order = order[scores[order] >= least]
    kept: list[int] = []
    for k in order.tolist():
        rivals = [other for other in kept if classes[other] == classes[k]]
        if not rivals or float(box_ious(boxes[k], boxes[rivals]).max()) < nms:
            kept.append(k)
    return Detections(boxes[kept], scores[kept].astype(np.float32), classes[kept].astype(np.int64))
