"""A book of tracks in a world of two boxes, and a propagator whose word is what a test says."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from builders import box_mask, frame, painted

from streamseg.config import TracksConfig
from streamseg.propagation.track import Candidate
from streamseg.propagation.tracks import TrackBook
from streamseg.propagation.verdicts import Merge
from streamseg.types import CERTAIN, Evidence, Frame, MaskSet, Propagated, TrackState

Box4 = tuple[int, int, int, int]
RED, BLUE = (210, 40, 40), (40, 40, 210)
LEFT, RIGHT = (4, 10, 20, 30), (40, 10, 56, 30)


class World:
    """A book of tracks, and a propagator whose word is whatever the test says."""

    def __init__(self, **settings: object) -> None:
        self.book = TrackBook(TracksConfig.model_validate(settings))
        self.said = Propagated(np.zeros((48, 64), np.uint16), {})
        self.frame = frame(0)
        self.now_ns = 0

    def see(self, at: Mapping[int, Box4], colours: Mapping[int, tuple[int, int, int]]) -> MaskSet:
        """One frame on which each id is in its box; ids left out have a score of 0."""
        labels = np.zeros((48, 64), np.uint16)
        for track_id, (x0, y0, x1, y1) in at.items():
            labels[y0:y1, x0:x1] = track_id
        image = painted({box: colours.get(i, RED) for i, box in at.items()})
        self.frame = frame(self.frame.index + 1, image=image)
        self.now_ns = self.frame.pts_ns
        scores = {track.id: 1.0 if track.id in at else 0.0 for track in self.book.tracks}
        self.said = Propagated(labels, scores)
        return self.book.update(self.frame, self.said, self.now_ns)

    def answer(
        self,
        *boxes: Box4,
        colour: tuple[int, int, int] = RED,
        query: int | None = 1,
        evidence: Evidence = CERTAIN,
        **how: bool,
    ) -> Merge:
        """An answer that names what is in the boxes."""
        shown: Frame = frame(self.frame.index, image=painted(dict.fromkeys(boxes, colour)))
        candidates = [
            Candidate(n, box_mask(box), evidence=evidence) for n, box in enumerate(boxes, start=1)
        ]
        return self.book.merge(
            shown,
            candidates,
            self.said,
            query_id=query,
            grounded_frame=shown.index,
            now_ns=self.now_ns,
            **how,
        )

    def states(self) -> dict[int, TrackState]:
        return {track.id: track.state for track in self.book.tracks}


def with_a_track(evidence: Evidence = CERTAIN) -> World:
    world = World()
    world.answer(LEFT, evidence=evidence)
    world.see({1: LEFT}, {1: RED})
    return world
