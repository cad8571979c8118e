"""Who of a cast is shown: only those meant, whoever else is carried along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from builders import box_mask, frame

from streamseg.config import TracksConfig
from streamseg.propagation.track import Candidate
from streamseg.propagation.tracks import TrackBook
from streamseg.propagation.verdicts import Merge
from streamseg.referents import Happening, Measure, Role, Standing
from streamseg.types import MaskSet, Propagated, TrackState

Box4 = tuple[int, int, int, int]
LEFT, MIDDLE, RIGHT = (4, 10, 16, 30), (26, 10, 38, 30), (46, 10, 60, 30)
RIGHTMOST = Standing(Measure.X, most=True)


class Stage:
    """A book of tracks, and a propagator whose word is whatever the test says."""

    def __init__(self) -> None:
        self.book = TrackBook(TracksConfig())
        self.index = 0
        self.said = Propagated(np.zeros((48, 64), np.uint16), {})

    def see(self, at: Mapping[int, Box4], frames: int = 1) -> MaskSet:
        for _ in range(frames):
            labels = np.zeros((48, 64), np.uint16)
            for track_id, (x0, y0, x1, y1) in at.items():
                labels[y0:y1, x0:x1] = track_id
            self.index += 1
            scores = {track.id: float(track.id in at) for track in self.book.tracks}
            self.said = Propagated(labels, scores)
            now = frame(self.index)
            shown = self.book.update(now, self.said, now.pts_ns)
        return shown

    def answer(
        self, cast: Sequence[tuple[Box4, Role]], standing: Standing | None, query: int = 1
    ) -> Merge:
        now = frame(self.index)
        return self.book.merge(
            now,
            [Candidate(k, box_mask(box), role=role) for k, (box, role) in enumerate(cast, start=1)],
            self.said,
            query_id=query,
            grounded_frame=now.index,
            now_ns=now.pts_ns,
            standing=standing,
        )


def shown(masks: MaskSet) -> set[int]:
    """Ids with pixels; the views must name no others."""
    ids = {int(number) for number in np.unique(masks.labels)} - {0}
    assert ids <= {view.id for view in masks.objects}
    return ids


def cast_of_three() -> Stage:
    stage = Stage()
    merge = stage.answer([(RIGHT, Role.MEANT), (LEFT, Role.CAST), (MIDDLE, Role.CAST)], RIGHTMOST)
    assert merge.added == (1, 2, 3)
    return stage


def test_only_who_is_meant_is_shown_and_the_masks_of_the_rest_are_kept() -> None:
    stage = cast_of_three()
    masks = stage.see({1: RIGHT, 2: LEFT, 3: MIDDLE})
    assert shown(masks) == {1}
    assert [view.id for view in masks.objects] == [1]
    assert (masks.labels > 0).sum() == (stage.said.labels == 1).sum()
    assert len(stage.book) == 3


def test_who_takes_the_lead_is_shown_at_once_under_its_own_id() -> None:
    stage = cast_of_three()
    stage.see({1: RIGHT, 2: LEFT, 3: MIDDLE})
    assert stage.book.take_shift() == {1}
    assert stage.book.take_shift() is None
    masks = stage.see({1: MIDDLE, 2: LEFT, 3: RIGHT}, frames=10)
    assert shown(masks) == {3}
    assert stage.book.take_shift() == {3}


def test_an_answer_moves_nobody_that_the_watch_has_placed() -> None:
    stage = cast_of_three()
    stage.see({1: RIGHT, 2: LEFT, 3: MIDDLE})
    # The answer is of a moment ago: it names another.
    merge = stage.answer([(MIDDLE, Role.MEANT), (RIGHT, Role.CAST), (LEFT, Role.CAST)], RIGHTMOST)
    assert not merge.retired + merge.added
    assert merge.held_back == 0
    assert shown(stage.see({1: RIGHT, 2: LEFT, 3: MIDDLE})) == {1}


def test_who_comes_is_added_beside_those_who_are_there() -> None:
    stage = Stage()
    stage.answer([(MIDDLE, Role.MEANT), (LEFT, Role.CAST)], RIGHTMOST)
    stage.see({1: MIDDLE, 2: LEFT})
    merge = stage.answer([(RIGHT, Role.MEANT), (MIDDLE, Role.CAST), (LEFT, Role.CAST)], RIGHTMOST)
    assert merge.added == (3,)
    assert merge.held_back == 0
    # One answer may be wrong: it has to be named again before it takes the lead.
    assert shown(stage.see({1: MIDDLE, 2: LEFT, 3: RIGHT}, frames=10)) == {1}
    stage.answer([(RIGHT, Role.MEANT), (MIDDLE, Role.CAST), (LEFT, Role.CAST)], RIGHTMOST)
    assert shown(stage.see({1: MIDDLE, 2: LEFT, 3: RIGHT}, frames=10)) == {3}


def test_a_fresh_cut_of_who_is_believed_is_left_alone_while_who_else_is_there_is_asked() -> None:
    stage = cast_of_three()
    stage.see({1: RIGHT, 2: LEFT, 3: MIDDLE})
    grown = (40, 10, 60, 30)  # as where two cross and are cut out as one
    merge = stage.answer([(grown, Role.MEANT), (LEFT, Role.CAST), (MIDDLE, Role.CAST)], RIGHTMOST)
    assert not merge.adopt
    assert merge.confirmed == (1, 2, 3)


def test_one_crossing_ends_nobody_however_often_who_else_is_there_is_asked() -> None:
    stage = cast_of_three()
    at = {1: RIGHT, 2: LEFT, 3: MIDDLE}
    stage.see(at)
    crossed = [(LEFT, Role.MEANT), (MIDDLE, Role.CAST)]
    per_second = round(1e9 / frame(1).pts_ns)
    for _ in range(4):  # two seconds, twice a second
        merge = stage.answer(crossed, RIGHTMOST)
        assert not merge.gone
        masks = stage.see(at, frames=per_second // 2)
    assert shown(masks) == {1}
    assert masks.objects[0].state is TrackState.UNCERTAIN
    # Named once more it stands as before; missing for longer than things cross, it goes.
    stage.answer([(RIGHT, Role.MEANT), *crossed], RIGHTMOST)
    gone = []
    for _ in range(10):
        gone += stage.answer(crossed, RIGHTMOST).gone
        stage.see({key: box for key, box in at.items() if key not in gone}, per_second // 2)
    assert gone == [1]


def test_while_nobody_is_meant_nothing_is_shown_and_nothing_is_missing() -> None:
    stage = Stage()
    stage.answer([(LEFT, Role.CAST), (RIGHT, Role.CAST)], Standing(after=Happening.MOVED))
    masks = stage.see({1: LEFT, 2: RIGHT}, frames=20)
    assert shown(masks) == set()
    assert masks.objects == ()
    assert stage.book.state is TrackState.SEARCHING
    assert stage.book.waiting
    assert stage.book.shifting


def test_what_the_sentence_compares_with_is_never_shown() -> None:
    stage = Stage()
    nearest = Standing(Measure.GAP, most=False)
    stage.answer([(LEFT, Role.MEANT), (RIGHT, Role.CAST), (MIDDLE, Role.ANCHOR)], nearest)
    anchor = (18, 10, 24, 30)
    assert shown(stage.see({1: LEFT, 2: RIGHT, 3: anchor})) == {1}
    anchor = (39, 10, 45, 30)
    assert shown(stage.see({1: LEFT, 2: RIGHT, 3: anchor}, frames=10)) == {2}


def test_another_query_that_names_one_for_good_shows_it() -> None:
    stage = cast_of_three()
    stage.see({1: RIGHT, 2: LEFT, 3: MIDDLE})
    stage.book.query_id = 2
    merge = stage.answer([(LEFT, Role.MEANT)], None, query=2)
    assert set(merge.retired) == {1, 3}
    stage.book.remove(merge.retired)
    assert shown(stage.see({2: LEFT})) == {2}
    assert not stage.book.shifting


def test_after_a_break_the_cast_is_lost_with_the_rest() -> None:
    stage = cast_of_three()
    stage.see({1: RIGHT, 2: LEFT, 3: MIDDLE})
    stage.book.lose_all()
    masks = stage.see({})
    assert shown(masks) == set()
    assert not stage.book.waiting
