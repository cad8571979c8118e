"""Brings pictures of more than eight bits to eight; stretches those that use a part of their range.

What it learns of the range holds for all pictures of a source, so that brightness does not flicker.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Tell = Callable[[str, str], None]

_SENSOR_BITS = (8, 10, 12, 14, 16)


class Depth:
    """The range that the pictures of one source use, as far as they were seen."""

    def __init__(self, tell: Tell) -> None:
        """`tell` is called with a kind and a message when pictures are stretched."""
        self._tell = tell
        self._bits = 0
        self._low, self._high = np.inf, -np.inf

    def of_words(self, values: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """16-bit values of any shape; those that fit 8, 10, 12 or 14 bits are taken for such."""
        top = int(values.max()) if values.size else 0
        bits = next(bits for bits in _SENSOR_BITS if top < 2**bits)
        if bits > self._bits:
            self._bits = bits
            if bits < _SENSOR_BITS[-1]:
                self._tell(
                    "stretched",
                    f"pictures of 16 bits use only {bits} (values to {top}): brightness is "
                    f"stretched by {2 ** (16 - bits)}",
                )
        return np.asarray(cv2.convertScaleAbs(values, alpha=255 / (2**self._bits - 1)), np.uint8)

    def of_numbers(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Floats or wide integers of any shape: 0 to 1, 0 to 255 or the range that is met."""
        numbers = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        if numbers.size == 0:
            return numbers.astype(np.uint8)
        low, high = min(self._low, float(numbers.min())), max(self._high, float(numbers.max()))
        if low >= 0 and high <= 1 and np.issubdtype(values.dtype, np.floating):
            span = (0.0, 1.0)
        elif low >= 0 and high <= 255:
            span = (0.0, 255.0)
        else:
            span = (low, high)
            if (low, high) != (self._low, self._high):
                self._tell(
                    "stretched", f"pictures hold values from {low:g} to {high:g}: shown as 0 to 255"
                )
        self._low, self._high = low, high
        scaled = (numbers - span[0]) * np.float32(255 / (span[1] - span[0]))
        return np.asarray(np.rint(np.clip(scaled, 0, 255)), np.uint8)
