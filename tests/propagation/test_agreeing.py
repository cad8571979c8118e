"""Answers that say again what is shown, and those that do not."""

from __future__ import annotations

import pytest
from track_world import LEFT, RIGHT, Box4, with_a_track

from streamseg.types import Evidence, Grounding, Target, TrackState


def says(*boxes: Box4, score: float = 1.0) -> Grounding:
    """An answer that points at boxes."""
    return Grounding(tuple(Target(tuple(map(float, box)), score=score) for box in boxes))  # type: ignore[arg-type]


def test_an_answer_that_says_again_what_is_shown_costs_no_cut() -> None:
    world = with_a_track()
    world.see({1: LEFT}, {})
    slightly_off = (5, 10, 20, 30)
    index, now_ns = world.frame.index, world.now_ns
    merge = world.book.agree(index, says(slightly_off), 1, now_ns)
    assert merge is not None
    assert merge.confirmed == (1,)
    assert not merge.adopt
    (track,) = world.book.tracks
    assert track.misses == 0
    assert track.grounded_frame == index


@pytest.mark.parametrize(
    "boxes",
    [(RIGHT,), (LEFT, RIGHT), (), ((4, 10, 12, 30),)],
    ids=["elsewhere", "more", "none", "half"],
)
def test_one_that_says_anything_else_is_cut_out(boxes: tuple[Box4, ...]) -> None:
    world = with_a_track()
    world.see({1: LEFT}, {})
    before = world.book.tracks[0].evidence
    assert world.book.agree(world.frame.index, says(*boxes), 1, world.now_ns) is None
    assert world.book.tracks[0].evidence == before


def test_what_is_doubted_or_was_cut_out_long_ago_is_cut_out_again() -> None:
    doubtful = with_a_track(Evidence(words=0.6))
    doubtful.see({1: LEFT}, {})
    assert doubtful.states() == {1: TrackState.UNCERTAIN}
    assert doubtful.book.agree(doubtful.frame.index, says(LEFT), 1, doubtful.now_ns) is None
    old = with_a_track()
    old.see({1: LEFT}, {})
    later_ns = old.now_ns + 5_000_000_000
    assert old.book.agree(old.frame.index, says(LEFT), 1, later_ns) is None
    assert old.book.agree(old.frame.index, says(LEFT), 2, old.now_ns) is None  # another query
    assert old.book.agree(old.frame.index + 99, says(LEFT), 1, old.now_ns) is None  # forgotten
