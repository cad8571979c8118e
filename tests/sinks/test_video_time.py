"""The video's clock: the source's own within an epoch, and growing whatever comes."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from results import make_result

from streamseg.sinks.video_time import FALLBACK_FPS, VideoTime, usable_fps

TICK = Fraction(1, 90_000)


def times(frames: list[tuple[int, float]], fps: float = 10.0, tick: Fraction = TICK) -> list[float]:
    """Seconds in the video, of frames given by epoch and seconds."""
    time = VideoTime(fps, tick)
    stamps = [time.next(make_result(0, epoch=epoch, pts_s=at).frame) for epoch, at in frames]
    assert all(later > earlier for earlier, later in pairwise(stamps))
    return [float(stamp * tick) for stamp in stamps]


def test_a_new_epoch_follows_one_interval_behind() -> None:
    frames = [(0, 7.0), (0, 7.1), (1, 0.0), (1, 0.1), (2, 900.0), (2, 900.1)]
    assert times(frames) == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])


def test_the_first_epoch_need_not_be_the_zeroth() -> None:
    assert times([(3, 7.0), (3, 7.1)]) == pytest.approx([0.0, 0.1])


def test_a_stamp_that_repeats_moves_no_other() -> None:
    frames = [(0, 0.0), (0, 0.0), (0, 0.1), (0, 0.1), (0, 0.1), (0, 0.2)]
    tick = float(TICK)
    expected = [0.0, tick, 0.1, 0.1 + tick, 0.1 + 2 * tick, 0.2]
    assert times(frames) == pytest.approx(expected)


def test_a_small_step_back_waits_for_the_source_to_catch_up() -> None:
    assert times([(0, 1.0), (0, 0.8), (0, 1.2)])[-1] == pytest.approx(0.2)


def test_a_large_step_back_begins_anew() -> None:
    frames = [(0, 50.0), (0, 3.0), (0, 3.1)]
    assert times(frames) == pytest.approx([0.0, 0.1, 0.2])


def test_a_hold_is_kept_and_one_that_no_container_can_say_is_not() -> None:
    assert times([(0, 0.0), (0, 3600.0)]) == pytest.approx([0.0, 3600.0])
    assert times([(0, 0.0), (0, 1e6), (0, 1e6 + 2)]) == pytest.approx([0.0, 0.1, 2.1])


@pytest.mark.parametrize("tick", [TICK, Fraction(1, 1000), Fraction(1001, 30_000), Fraction(1)])
def test_it_grows_by_a_tick_of_whatever_unit(tick: Fraction) -> None:
    times([(0, index * 1e-9) for index in range(50)] + [(1, 0.0), (1, 1e-9)], tick=tick)


def test_the_last_picture_is_shown_as_long_as_the_one_before() -> None:
    time = VideoTime(2.0, TICK)
    time.next(make_result(0, pts_s=0.0).frame)
    assert time.duration * TICK == 0.5
    time.next(make_result(0, pts_s=3.0).frame)
    assert time.duration * TICK == 0.5
    time.next(make_result(0, pts_s=3.04).frame)
    assert float(time.duration * TICK) == pytest.approx(0.04)


@pytest.mark.parametrize("fps", [None, 0.0, -1.0, 1e-9, 1e9, float("nan"), float("inf")])
def test_a_rate_that_no_video_has_is_not_believed(fps: float | None) -> None:
    assert usable_fps(fps) == FALLBACK_FPS
    assert usable_fps(29.97) == 29.97
