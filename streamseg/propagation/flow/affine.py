"""The (2, 3) matrices that move planes between pyramid levels and between pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamseg.propagation.flow.carry import Region
from streamseg.propagation.flow.opencv import cv2


def level_to_base(region: Region, inverted: bool = False) -> NDArray[np.float64]:
    """(2, 3) from the region's pixels to level-0 pixels, or back."""
    unit = 2.0**region.level
    middle = 0.5 * unit - 0.5
    matrix = np.array(
        [[unit, 0.0, region.x * unit + middle], [0.0, unit, region.y * unit + middle]]
    )
    if inverted:
        back: NDArray[np.float64] = cv2.invertAffineTransform(matrix)
        return back
    return matrix


def chain(*steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 3) affine that applies `steps` one after another."""
    result = np.eye(3)
    for step in steps:
        result = np.vstack([step, [0.0, 0.0, 1.0]]) @ result
    return np.ascontiguousarray(result[:2])
