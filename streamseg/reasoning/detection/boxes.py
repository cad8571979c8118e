"""Arithmetic on boxes; knows neither networks nor pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamseg.reasoning.detection import Boxes


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
