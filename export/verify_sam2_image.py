"""SAM2's segmenter on engines against the plain network: the same masks over a clip's pictures?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from streamseg.export.verify_xmem import PipelineVerdict, overlaps
from streamseg.segmentation.sam2 import Network, Sam2Segmenter
from streamseg.synthetic import scene
from streamseg.types import Frame, Labels, Target

_SIZE = (640, 360)
_SCORE_LIMIT = 0.05
"""Predicted IoU off by more is another answer: by it a candidate is chosen, and believed."""


def verify_segmenter(
    network: Network, engines: Network, frames: int, on_frame: Callable[[], None] = lambda: None
) -> PipelineVerdict:
    """Cut every object out of each picture of a synthetic clip twice, side by side.

    Args:
        network: What is right.
        engines: What is judged.
        frames: How many.
        on_frame: Called after every frame.

    Returns:
        The verdict; its `difference` is that of predicted IoU.
    """
    plain, judged = Sam2Segmenter(network), Sam2Segmenter(engines)
    shown = scene("medium", seed=7, size=_SIZE)
    found: list[float] = []
    difference = 0.0
    for index in range(frames):
        image, labels = shown.frame(index)
        frame, targets = Frame(index, index, 0, image), list(_targets(labels))
        for mine, other in zip(
            plain.segment(frame, targets), judged.segment(frame, targets), strict=True
        ):
            off = abs(mine.score - other.score)
            difference = max(difference, off)
            masks = overlaps(mine.mask.astype(np.int64), other.mask.astype(np.int64), 2)
            found += masks if off <= _SCORE_LIMIT else [0.0]
        on_frame()
    # Where nothing was cut, nothing was shown to be equal.
    return PipelineVerdict(float(np.mean(found)) if found else 0.0, difference, frames)


def _targets(labels: Labels) -> Iterator[Target]:
    """Each object's box; every second one's with a point on it and one at the box's corner."""
    for at, id_ in enumerate(np.unique(labels[labels > 0])):
        rows, columns = np.nonzero(labels == id_)
        x0, y0, x1, y1 = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        middle = len(rows) // 2
        positive = ((float(columns[middle]), float(rows[middle])),) if at % 2 else ()
        negative = ((float(x0), float(y0)),) if at % 2 else ()
        yield Target((float(x0), float(y0), float(x1), float(y1)), positive, negative)
