"""Brings a mask cut on a small picture to full resolution, its edge on the picture's edges.

Fast guided filter (He and Sun, arXiv 1505.00996): the local linear relation between picture and
mask is found on the small grid's scale and applied to the full-size picture.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.types import Image, Mask

_SOFTNESS = 30.0
"""Variance of colour (8-bit units, squared) below which a patch counts as flat."""


def refine_edge(window: Image, cut: NDArray[np.uint8], scale: float) -> Mask:
    """Return the (H, W) bool mask over `window` for a (h, w) 0/1 cut made at `scale`."""
    height, width = window.shape[:2]
    coarse: NDArray[Any] = cut.astype(np.float32)
    if scale >= 1:
        finer = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_AREA)
        whole: Mask = finer > 0.5
        return whole
    coarse = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    reach = max(2, round(2.0 / scale))
    guide = _axis(window, coarse)
    soft = _guided(guide, coarse, reach)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    sure = cv2.erode(coarse, kernel)
    possible = cv2.dilate(coarse, kernel)
    result: Mask = ((soft > 0.5) | (sure > 0.5)) & (possible > 0.5)
    return result


def _axis(window: Image, coarse: NDArray[Any]) -> NDArray[np.float32]:
    """(H, W) float32: the picture along the line from the outside's to the inside's mean colour."""
    inside = (coarse > 0.5).view(np.uint8)
    own = np.asarray(cv2.mean(window, inside)[:3])
    other = np.asarray(cv2.mean(window, 1 - inside)[:3])
    axis = own - other
    axis /= max(float(np.linalg.norm(axis)), 1e-6)
    return np.asarray(cv2.transform(window.astype(np.float32), axis[None]), np.float32)


def _guided(guide: NDArray[np.float32], mask: NDArray[Any], radius: int) -> NDArray[np.float32]:
    size = (2 * radius + 1, 2 * radius + 1)
    mean_guide, mean_mask = cv2.blur(guide, size), cv2.blur(mask, size)
    covariance = cv2.blur(guide * mask, size) - mean_guide * mean_mask
    variance = cv2.blur(guide * guide, size) - mean_guide * mean_guide
    slope = covariance / (variance + _SOFTNESS)
    offset = mean_mask - slope * mean_guide
    soft: NDArray[np.float32] = cv2.blur(slope, size) * guide + cv2.blur(offset, size)
    return soft
