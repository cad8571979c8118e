"""BetterOfTwo: cuts every target by two segmenters and keeps the mask that fits better.

Neither alone will do: a network that knows things misses small figures without contrast, colours
miss everything of more than one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamseg.segmentation import Segmenter
from streamseg.segmentation.fit import fit
from streamseg.types import Frame, Mask, Segmented, Target

_AGREED = 0.25
"""What two cutters that agree entirely add to a mask's fit, of what is missing to 1."""


class BetterOfTwo:
    """Implements `Segmenter` over two others; its score is the fit of the mask that it keeps."""

    def __init__(self, first: Segmenter, second: Segmenter) -> None:
        """Args:
        first: Preferred where both fit alike.
        second: The quicker one.
        """
        self._first, self._second = first, second

    def segment(self, frame: Frame, targets: Sequence[Target]) -> list[Segmented]:
        """See `Segmenter.segment`."""
        one, two = self._first.segment(frame, targets), self._second.segment(frame, targets)
        cuts = zip(targets, one, two, strict=True)
        return [_better(frame, target, first.mask, second.mask) for target, first, second in cuts]

    def sketch(self, frame: Frame, targets: Sequence[Target]) -> list[Segmented]:
        """See `Sketcher.sketch`: by the second alone, with its fit as the score."""
        cuts = zip(targets, self._second.segment(frame, targets), strict=True)
        return [Segmented(cut.mask, fit(frame, target, cut.mask)) for target, cut in cuts]


def _better(frame: Frame, target: Target, first: Mask, second: Mask) -> Segmented:
    fits = fit(frame, target, first), fit(frame, target, second)
    union = int(np.count_nonzero(first | second))
    agreed = int(np.count_nonzero(first & second)) / union if union else 0.0
    best = max(fits)
    mask = first if fits[0] >= fits[1] else second
    return Segmented(mask, best + _AGREED * agreed * (1.0 - best) if best > 0.0 else 0.0)
