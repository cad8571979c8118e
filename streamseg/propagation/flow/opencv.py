"""OpenCV as an untyped module, and the one product over channels that it lacks.

Its stubs widen every array to any type and lack the optical flow; the annotations at each use say
what really comes back.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

cv2: Any = importlib.import_module("cv2")


def dot(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w) float32 of each pixel's product over its channels; many times einsum's speed."""
    product: NDArray[np.float32] = cv2.transform(
        cv2.multiply(one, other), np.ones((1, one.shape[2]), np.float32)
    )
    return product
