"""How every pixel moves against the camera, from a few frames around the target."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Gray = NDArray[np.uint8]

_STEP = 8
_FLOOR_PX = 0.25
"""Error of the flow that no picture goes below, in working pixels."""


def velocities(target: Gray, others: Sequence[tuple[Gray, float]]) -> tuple[FloatArray, float]:
    """Estimate motion in the world by optical flow less the camera's affine motion.

    The camera is fitted to the flow on a grid by RANSAC: whatever most of the picture does.

    Args:
        target: (h, w) uint8.
        others: Pictures of the same size with their time from the target in seconds, not 0.

    Returns:
        (h, w, 2) float32 in pixels per second, and the speed below which it means nothing.
    """
    height, width = target.shape
    total = np.zeros((height, width, 2), np.float32)
    if not others:
        return total, float("inf")
    noise, weights = 0.0, 0.0
    for picture, seconds in others:
        flow, error_px = _residual(target, picture)
        # A longer time gives a finer speed.
        weight = abs(seconds)
        total += flow * np.float32(weight / seconds)
        noise += error_px
        weights += weight
    return total / np.float32(weights), noise / weights


def _residual(target: Gray, picture: Gray) -> tuple[FloatArray, float]:
    flow: FloatArray = _dis().calc(target, picture, None)
    height, width = target.shape
    rows, columns = np.mgrid[_STEP // 2 : height : _STEP, _STEP // 2 : width : _STEP]
    here = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float32)
    moved = flow[rows.ravel(), columns.ravel()]
    cv2.setRNGSeed(0)
    camera, inliers = cv2.estimateAffine2D(
        here, here + moved, method=cv2.RANSAC, ransacReprojThreshold=0.8, maxIters=300
    )
    if camera is None or inliers.sum() < 0.25 * len(here):
        camera = np.eye(2, 3)
        camera[:, 2] = np.median(moved, axis=0)
    x = np.arange(width, dtype=np.float32)[None, :]
    y = np.arange(height, dtype=np.float32)[:, None]
    (a, b, c), (d, e, f) = camera.astype(np.float32)
    flow[..., 0] -= (a - 1) * x + b * y + c
    flow[..., 1] -= d * x + (e - 1) * y + f
    left = np.abs(flow[rows.ravel(), columns.ravel()]).max(axis=1)
    return flow, _FLOOR_PX + 1.5 * float(np.median(left))


@cache
def _dis() -> Any:
    flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flow.setFinestScale(1)
    return flow
