"""Results in the words of other libraries, which are optional and imported where they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from streamseg.errors import MissingDependencyError

if TYPE_CHECKING:
    from supervision import Detections

    from streamseg.types import FrameResult


def to_supervision(result: FrameResult) -> Detections:
    """See `FrameResult.to_supervision`."""
    try:
        import supervision
    except ImportError:
        raise MissingDependencyError("supervision", "supervision") from None
    seen = [(track, track.box) for track in result.masks.objects if track.box is not None]
    height, width = result.masks.labels.shape
    mask = np.zeros((len(seen), height, width), bool)
    for row, (track, _) in zip(mask, seen, strict=True):
        np.equal(result.masks.labels, track.id, out=row)
    return supervision.Detections(
        xyxy=np.array([box for _, box in seen], np.float32).reshape(-1, 4),
        mask=mask,
        confidence=np.array([track.score for track, _ in seen], np.float32),
        class_id=np.zeros(len(seen), int),
        tracker_id=np.array([track.id for track, _ in seen], int),
        data={"class_name": np.array([track.label for track, _ in seen], str)},
    )
