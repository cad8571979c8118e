"""What stands out: colours that are rare across the picture, and sharp changes of colour."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

_GRID = (5, 8)
_L_BINS, _AB_BINS = 13, 24
_PRESENT = 0.012
"""Share of a cell's pixels from which a colour counts as present there."""
_GROUND = 0.42
"""Share of all cells in which a colour is present when it is certainly ground."""


def saliency(lab: FloatArray) -> FloatArray:
    """Return (H, W) float32 in [0, 1]: 1 for a colour seen in few places, 0 for the ground's.

    The picture is cut into 5 × 8 cells; a colour (a bin of the CIELAB cube and its neighbours)
    is the more ground-like the more cells it appears in, after the spatial-variance cue of
    Liu et al., "Learning to Detect a Salient Object" (CVPR 2007).

    Args:
        lab: (H, W, 3) float32.
    """
    height, width = lab.shape[:2]
    bins = _bins(lab)
    rows = np.arange(height) * _GRID[0] // height
    columns = np.arange(width) * _GRID[1] // width
    cells = rows[:, None] * _GRID[1] + columns[None, :]
    n_cells = _GRID[0] * _GRID[1]
    n_bins = _L_BINS * _AB_BINS * _AB_BINS
    used, compact = np.unique(bins, return_inverse=True)
    counts = np.bincount(
        compact.ravel() * n_cells + cells.ravel(), minlength=len(used) * n_cells
    ).reshape(len(used), n_cells)
    cube = np.zeros((n_bins, n_cells), np.float32)
    cube[used] = counts
    shaped = cube.reshape(_L_BINS, _AB_BINS, _AB_BINS, n_cells)
    near = _with_neighbours(shaped)
    share = near.reshape(n_bins, n_cells)[used] * n_cells / (height * width)
    spread = np.minimum(share / _PRESENT, 1.0).sum(axis=1) / n_cells
    rarity = np.clip(1.0 - (spread - 0.06) / (_GROUND - 0.06), 0.0, 1.0).astype(np.float32)
    result: FloatArray = rarity[compact].reshape(height, width)
    return result


def _with_neighbours(cube: FloatArray) -> FloatArray:
    """(l, a, b, n) sums over 3 × 3 × 3 bins, exact for counts.

    NumPy alone: importing SciPy's filter would be a third of what the reasoner's start costs.
    """
    for axis in range(3):
        lower, upper = np.moveaxis(cube, axis, 0)[:-1], np.moveaxis(cube, axis, 0)[1:]
        summed = cube.copy()
        moved = np.moveaxis(summed, axis, 0)
        moved[1:] += lower
        moved[:-1] += upper
        cube = summed
    return cube


def edges(lab: FloatArray) -> FloatArray:
    """Return (H, W) float32 in [0, 1]: the steepest change of colour within a pixel of each.

    1 stands for 8 units of CIELAB per pixel or more.
    """
    across = cv2.Sobel(lab, cv2.CV_32F, 1, 0, scale=0.125)
    down = cv2.Sobel(lab, cv2.CV_32F, 0, 1, scale=0.125)
    slope = np.sqrt((across * across + down * down).sum(axis=2))
    near = cv2.dilate(slope, np.ones((3, 3), np.uint8))
    return np.asarray(np.minimum(near / 8.0, 1.0), np.float32)


def _bins(lab: FloatArray) -> NDArray[np.int64]:
    light = np.clip(lab[..., 0] * (_L_BINS / 100.0), 0, _L_BINS - 1).astype(np.int64)
    ab = np.clip((lab[..., 1:] + 96.0) / 8.0, 0, _AB_BINS - 1).astype(np.int64)
    result: NDArray[np.int64] = (light * _AB_BINS + ab[..., 0]) * _AB_BINS + ab[..., 1]
    return result
