"""Answers the sampler's questions from a curve of relevance, where no language model is asked.

Each of the K or M answers looks at the curve in another way (a stricter threshold, a wider
window), so that their mean leans on none of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.keyframes.sampling.hierarchy import Interval

_FLAT = 0.02
"""A curve that rises by less says nothing."""
_LOWEST, _HIGHEST = 0.4, 0.6
"""Thresholds, as shares of the way from the curve's mean to its peak."""
_NARROWEST, _WIDEST = 0.02, 0.1
"""Windows, as shares of the span."""
_PLATEAU = 0.02
"""What lies so little below the peak, as a share of the rise, belongs to it."""


class RelevanceGuide:
    """Finds where a curve is high.

    Args:
        curve: (T,) relevance of every frame, in [0, 1].
        name: Where the curve comes from.
    """

    def __init__(self, curve: NDArray[np.float32], name: str) -> None:
        self._curve = curve
        self.name = name

    def segments(self, span: range, count: int) -> Sequence[Interval]:
        """For each threshold the run whose excess over it is largest (Kadane's maximum sum)."""
        curve = self._of(span)
        mean, peak = float(curve.mean()), float(curve.max())
        if peak - mean < _FLAT:
            return ()
        shares = np.linspace(_LOWEST, _HIGHEST, count) if count > 1 else [0.5]
        runs = [_largest_run(curve - (mean + share * (peak - mean))) for share in shares]
        return [(first / len(span), end / len(span)) for first, end in runs]

    def positions(self, span: range, count: int) -> Sequence[float]:
        """For each width of window the middle of the highest plateau."""
        curve = self._of(span)
        if float(curve.max() - curve.min()) < _FLAT:
            return ()
        widths = np.linspace(_NARROWEST, _WIDEST, count) if count > 1 else [_NARROWEST]
        places = (_peak(_smoothed(curve, round(width * len(span)))) for width in widths)
        return [(place + 0.5) / len(span) for place in places]

    def _of(self, span: range) -> NDArray[np.float32]:
        return self._curve[span.start : span.stop]


def _largest_run(excess: NDArray[np.float32]) -> tuple[int, int]:
    """First position and end of the run with the largest sum."""
    sums = np.concatenate(([0.0], np.cumsum(excess, dtype=np.float64)))
    lowest = np.minimum.accumulate(sums[:-1])
    end = int(np.argmax(sums[1:] - lowest)) + 1
    return int(np.argmin(sums[:end])), end


def _smoothed(curve: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    if width < 2:
        return curve
    row = cv2.blur(curve[None], (width, 1), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(row[0], np.float32)


def _peak(curve: NDArray[np.float32]) -> int:
    """Middle of the longest run that is about as high as it gets."""
    high = curve >= curve.max() - _PLATEAU * (curve.max() - curve.min())
    edges = np.flatnonzero(np.diff(high, prepend=False, append=False))
    first, end = max(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True), key=_length)
    return int(first + (end - first) // 2)


def _length(run: tuple[int, int]) -> int:
    return run[1] - run[0]
