"""Arithmetic on boxes; knows neither networks nor pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamseg.reasoning.detection import Boxes, Detections

_MOST = 300
"""Boxes kept before doubles are dropped."""


def box_ious(box: NDArray[np.float32], others: Boxes) -> NDArray[np.float32]:
    """(n,) intersection over union of one box (4,) with others (n, 4)."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    union = float(np.prod(box[2:] - box[:2])) + areas - shared
    return np.asarray(shared / np.maximum(union, 1e-6), np.float32)


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
