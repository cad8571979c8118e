"""Tells on two pictures alone whether they show the same scene; used only where time has a gap."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.types import Image

_GRID = (32, 18)
_LEAST_CHANGE = 12.0  # grey levels; below it lie noise and compression
_CONTRASTS = 0.5
_MOST_CHANGED = 0.5  # of ten clips, 95 % of pictures 3 s apart lie below it, 95 % of cuts above 0.6


def alike(before: Image, after: Image) -> bool:
    """Whether less than half of the scene has changed, seen on 32×18 cells of grey.

    A cell has changed when it differs by more than half of the two pictures' contrast (their
    standard deviation): two dark scenes are not alike because both are dark.

    Args:
        before, after: (H, W, 3) uint8 RGB of one size.
    """
    first, second = _thumbnail(before), _thumbnail(after)
    contrast = max(float(first.std()), float(second.std()))
    changed = np.abs(first - second) > max(_LEAST_CHANGE, _CONTRASTS * contrast)
    return bool(changed.mean() < _MOST_CHANGED)


def _thumbnail(image: Image) -> NDArray[np.float32]:
    small = cv2.resize(image, _GRID, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.float32)
