"""How far the camera moved the picture between two frames, judged by the ground alone.

Where an object is said to move, it moves against the ground; a camera that pans moves everything.
Phase correlation (Kuglin and Hines, 1975) on small grey copies in which the objects are painted
over, so that on a plain ground they do not pass for the camera.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.types import Box, Frame

Grey = NDArray[np.float32]

_WIDTH = 160
_STILL = 1.5
"""Mean difference of the ground, in grey levels, up to which only noise is seen; of a sensor's
noise of 4 levels 1.1 is left in the small copy."""
_EXPLAINS = 0.85
"""A shift counts where it leaves no more of that difference than this."""
_REFINED = 4
"""Steps of least squares after phase correlation, whose own result is half a pixel off."""
_FLAT = 1e4
"""Condition from which the ground has edges in one direction alone."""
_MARGIN_PX = 2


def grey(frame: Frame) -> Grey:
    """The frame small and grey, (h, 160) float32; kept on the frame."""
    return frame.memo("propagation.camera", lambda: _shrink(frame))


def shift(before: Frame, after: Frame, objects: Iterable[Box]) -> tuple[float, float]:
    """How far the ground moved, x and y, in picture widths; (0, 0) where it did not, or where
    nothing tells.

    Args:
        objects: Boxes on either frame, in pixels: what is not ground.
    """
    one, two = grey(before), grey(after)
    if one.shape != two.shape:
        return 0.0, 0.0
    ground = _ground(one.shape, objects, _WIDTH / after.width)
    if not ground.any():
        return 0.0, 0.0
    apart = _difference(one, two, ground)
    if apart <= _STILL:
        return 0.0, 0.0
    level = float(one[ground].mean())
    first, second = (np.where(ground, picture, np.float32(level)) for picture in (one, two))
    (dx, dy), _ = cv2.phaseCorrelate(first, second, _window(one.shape[0]))
    for _ in range(_REFINED):
        dx, dy = _closer(one, two, ground, dx, dy)
    if _difference(_moved(one, dx, dy), two, ground) > _EXPLAINS * apart:
        return 0.0, 0.0
    return dx / _WIDTH, dy / _WIDTH


@cache
def _window(height: int) -> Grey:
    """(height, 160) that fades towards the border: pictures do not join there."""
    return np.asarray(cv2.createHanningWindow((_WIDTH, height), cv2.CV_32F), np.float32)


def _closer(
    one: Grey, two: Grey, ground: NDArray[np.bool_], dx: float, dy: float
) -> tuple[float, float]:
    """One step of least squares (Lucas and Kanade, 1981) from a shift towards the true one."""
    moved = _moved(one, dx, dy)
    gx, gy = cv2.Sobel(moved, cv2.CV_32F, 1, 0)[ground], cv2.Sobel(moved, cv2.CV_32F, 0, 1)[ground]
    rest = (two - moved)[ground] * 8.0  # Sobel's sum of weights
    table = np.asarray([[gx @ gx, gx @ gy], [gx @ gy, gy @ gy]], np.float64)
    if np.linalg.cond(table) > _FLAT:
        return dx, dy
    step = np.linalg.solve(table, [-(gx @ rest), -(gy @ rest)])
    return dx + float(np.clip(step[0], -1, 1)), dy + float(np.clip(step[1], -1, 1))


def _moved(picture: Grey, dx: float, dy: float) -> Grey:
    way = np.asarray([[1.0, 0.0, dx], [0.0, 1.0, dy]])
    size = picture.shape[1], picture.shape[0]
    moved = cv2.warpAffine(picture, way, size, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def _shrink(frame: Frame) -> Grey:
    height = max(1, round(frame.height * _WIDTH / frame.width))
    small = cv2.resize(frame.image, (_WIDTH, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32)


def _ground(shape: tuple[int, ...], objects: Iterable[Box], scale: float) -> NDArray[np.bool_]:
    ground = np.ones(shape, np.bool_)
    for box in objects:
        x0, y0, x1, y1 = (round(scale * side) for side in box)
        rows = slice(max(0, y0 - _MARGIN_PX), y1 + _MARGIN_PX)
        ground[rows, max(0, x0 - _MARGIN_PX) : x1 + _MARGIN_PX] = False
    return ground


def _difference(one: Grey, two: Grey, where: NDArray[np.bool_]) -> float:
    return float(np.abs(one - two)[where].mean())
