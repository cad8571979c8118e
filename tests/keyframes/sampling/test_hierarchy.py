"""The paper's sampler: K answers averaged, compressed until short enough, M positions, floor."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamseg.config import OfflineConfig
from streamseg.keyframes.sampling.hierarchy import HierarchicalSampler, Interval, Plan


class Scripted:
    """Answers from a list, one entry for each time it is asked; notes what about."""

    name = "script"

    def __init__(
        self, segments: Sequence[Sequence[Interval]], positions: Sequence[float] = ()
    ) -> None:
        self._segments = list(segments)
        self._positions = positions
        self.asked: list[tuple[str, range, int]] = []

    def segments(self, span: range, count: int) -> Sequence[Interval]:
        self.asked.append(("segment", span, count))
        return self._segments.pop(0) if self._segments else ()

    def positions(self, span: range, count: int) -> Sequence[float]:
        self.asked.append(("frame", span, count))
        return self._positions


def plan(length: int, guide: Scripted, **settings: float) -> Plan:
    config = OfflineConfig.model_validate(settings)
    return HierarchicalSampler(config, iter(range(10_000)).__next__).plan(length, guide)


def test_starts_and_ends_are_averaged_and_the_target_is_floored() -> None:
    guide = Scripted([[(0.1, 0.2), (0.2, 0.4), (0.3, 0.3)]], [0.5, 0.25, 0.0])
    chosen = plan(1000, guide)
    assert chosen.segment == range(200, 300)
    assert chosen.target == 200 + 25  # floor(100 * 0.25)
    assert chosen.rounds == 0
    assert guide.asked == [("segment", range(1000), 3), ("frame", range(200, 300), 3)]


def test_a_long_segment_is_asked_about_again_alone_until_it_is_short_enough() -> None:
    guide = Scripted([[(0.0, 0.8)], [(0.5, 1.0)], [(0.0, 0.5)]], [0.999])
    chosen = plan(1000, guide, delta=0.3)
    assert [span for form, span, _ in guide.asked if form == "segment"] == [
        range(1000),
        range(800),
        range(400, 800),
    ]
    assert chosen.segment == range(400, 600)  # 200 <= 0.3 * 1000
    assert chosen.rounds == 2
    assert chosen.target == 599


def test_at_most_so_many_rounds() -> None:
    guide = Scripted([[(0.0, 1.0)]] * 9, [0.5])
    chosen = plan(1000, guide)
    assert (chosen.segment, chosen.rounds, chosen.target) == (range(1000), 4, 500)
    assert chosen.asked["segment"].calls == 5 * 3
    assert chosen.asked["segment"].answers == 5
    assert chosen.asked["segment"].seconds == 5.0  # the clock goes on by one each time it is read
    assert (chosen.asked["frame"].calls, chosen.asked["frame"].answers) == (3, 1)


def test_who_cannot_tell_leaves_the_whole_and_its_middle() -> None:
    chosen = plan(101, Scripted([]))
    assert (chosen.segment, chosen.target) == (range(101), 50)


def test_wrong_answers_are_put_right_or_left_out() -> None:
    nan = float("nan")
    answers: list[Interval] = [(0.4, 0.2), (-3.0, nan), (-0.4, 0.4), (0.3, 7.0)]
    chosen = plan(100, Scripted([answers], [nan, 9.0, -1.0]), delta=1.0)
    assert chosen.segment == range(16, 60)  # mean of 0.2, 0, 0.3 and of 0.4, 0.4, 1
    assert chosen.target == 16 + 22


def test_the_target_is_among_the_frames_shown() -> None:
    chosen = plan(1000, Scripted([[(0.2, 0.3)]], [0.37]), segment_frames=4)
    assert chosen.target in chosen.shown
    assert len(chosen.shown) == 4
    assert list(chosen.shown) == sorted(chosen.shown)


def test_a_video_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        plan(0, Scripted([]))


_numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(
    st.integers(1, 5000),
    st.lists(st.lists(st.tuples(_numbers, _numbers), max_size=4), max_size=6),
    st.lists(_numbers, max_size=4),
)
def test_whatever_is_answered_the_target_lies_in_the_segment_and_that_in_the_video(
    length: int, segments: list[list[Interval]], positions: list[float]
) -> None:
    chosen = plan(length, Scripted(segments, positions))
    assert 0 <= chosen.segment.start <= chosen.target < chosen.segment.stop <= length
    assert set(chosen.shown) <= set(chosen.segment)
