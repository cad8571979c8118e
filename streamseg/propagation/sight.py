"""What a detector sees, held against where tracks were on the frame that it looked at.

Knows boxes alone: neither masks nor words. A mask of the wrong thing, or of a part, has a box that
no thing of the kind has.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from streamseg.types import Box, Sighting

_FRAMES = 256
"""Boxes are remembered for so many frames: past what a look takes on any machine."""
_APART, _ALIKE = 0.25, 0.55
"""Overlaps (IoU) of a track's box with a detected one below which that speaks against the track,
and from which it speaks for it."""
_MISSED = 0.3
"""What is left of a track where no box touches its own: a detector misses things now and then."""
_SAME = 0.75
"""Overlap from which a box pointed at and a mask's own are of one thing that was carried well."""
_SURE = 0.6
"""Score from which a thing counts as seen (`Sighting.score`)."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a look says of tracks.

    Attributes:
        supports: Of every track that was shown, how far it is supported, in [0, 1].
        unheld: Things surely seen that no track holds.
    """

    supports: Mapping[int, float]
    unheld: int


class Trail:
    """Where tracks were on the newest frames."""

    def __init__(self) -> None:
        self._frames: deque[tuple[int, dict[int, Box]]] = deque(maxlen=_FRAMES)

    def note(self, index: int, boxes: dict[int, Box]) -> None:
        """Take a frame's boxes; in place of those told before of the same frame."""
        if self._frames and self._frames[-1][0] == index:
            self._frames.pop()
        self._frames.append((index, boxes))

    def at(self, index: int) -> Mapping[int, Box] | None:
        """The boxes on a frame; None when it is not remembered."""
        return next((boxes for k, boxes in reversed(self._frames) if k == index), None)

    def clear(self) -> None:
        """Nothing was anywhere."""
        self._frames.clear()


def hold(boxes: Mapping[int, Box], seen: Sequence[Sighting]) -> Held:
    """Give each thing seen to at most one track, and say how far each track is supported."""
    if not boxes or not seen:
        unheld = sum(each.score >= _SURE for each in seen)
        return Held(dict.fromkeys(boxes, _MISSED), unheld)
    table = np.asarray([[_iou(box, each.box) for each in seen] for box in boxes.values()])
    rows, columns = linear_sum_assignment(-table)
    given = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    supports, taken = {}, set()
    for row, track_id in enumerate(boxes):
        best = float(table[row, given[row]]) if row in given else 0.0
        touched = float(table[row].max()) > 0.0
        supports[track_id] = float(np.interp(best, (_APART, _ALIKE), (0.0, 1.0)))
        if not touched:
            supports[track_id] = _MISSED
        if best >= _APART:
            taken.add(given[row])
    unheld = sum(each.score >= _SURE for k, each in enumerate(seen) if k not in taken)
    return Held(supports, unheld)


def held_by(boxes: Mapping[int, Box], pointed: Sequence[Box]) -> list[int] | None:
    """For each box pointed at, the track (by its box on the same frame) that it agrees with; None
    where one of them agrees with none."""
    if not boxes or not pointed:
        return None
    ids = list(boxes)
    table = np.asarray([[_iou(box, boxes[key]) for key in ids] for box in pointed])
    rows, columns = linear_sum_assignment(-table)
    if len(rows) < len(pointed) or (table[rows, columns] < _SAME).any():
        return None
    return [ids[column] for column in columns.tolist()]


def _iou(a: Box, b: Box) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    shared = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0.0 else 0.0
