"""Lays what is not opaque on a plain ground, so that nothing is found under what is hidden."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.types import Image

GROUND = 128
"""Mid grey: cut-outs are black or white more often than grey, and must stand out from it."""


def on_ground(rgba: NDArray[np.uint8]) -> Image:
    """(H, W, 4) uint8 with straight alpha to (H, W, 3) uint8 RGB over the ground."""
    alpha = rgba[..., 3]
    opaque = np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), np.uint8)
    lowest = int(alpha.min()) if alpha.size else 255
    if lowest == 255:
        return opaque
    weight = cv2.cvtColor(np.ascontiguousarray(alpha), cv2.COLOR_GRAY2RGB)
    shown = cv2.multiply(opaque, weight, scale=1 / 255)
    ground = cv2.convertScaleAbs(weight, alpha=-GROUND / 255, beta=GROUND)
    return np.asarray(cv2.add(shown, ground, dst=opaque), np.uint8)
