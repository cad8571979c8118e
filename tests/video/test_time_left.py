"""The time left: known from the first step that tells, and right once speeds are."""

from __future__ import annotations

import pytest

from streamseg.video.time_left import Step, TimeLeft


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_each_kind_counts_at_its_own_speed() -> None:
    clock = Clock()
    left = TimeLeft(clock)
    left.plan({Step.READ: 3}, whole=False)
    for done in (1, 2, 3):
        clock.now_s += 0.1
        progress = left.took(Step.READ)
        assert (progress.step, progress.done, progress.total) == (Step.READ, done, 3)
        assert progress.left_s is None  # what follows is not known
    left.plan({Step.CARRY_BACK: 2, Step.WRITE: 2, Step.CARRY_ON: 1}, whole=True)
    clock.now_s += 100.0
    left.begin()
    clock.now_s += 1.0
    # One more back, two written as fast as read, one carried on: as long as back and writing.
    assert left.took(Step.CARRY_BACK).left_s == pytest.approx(1.0 + 2 * 0.1 + 1.1)
    clock.now_s += 1.0
    left.took(Step.CARRY_BACK)
    clock.now_s += 0.5
    assert left.took(Step.WRITE).left_s == pytest.approx(0.5 + 1.1)
    clock.now_s += 0.5
    left.took(Step.WRITE)
    clock.now_s += 2.0
    assert left.took(Step.CARRY_ON).left_s == 0.0


def test_it_is_not_known_before_anything_like_it_was_measured() -> None:
    left = TimeLeft(Clock())
    left.plan({Step.CARRY_BACK: 2, Step.WRITE: 2, Step.READ: 1}, whole=True)
    assert left.took(Step.READ).left_s is None


def test_a_kind_that_slows_down_is_noticed() -> None:
    clock = Clock()
    left = TimeLeft(clock)
    left.plan({Step.WRITE: 1000}, whole=True)
    for _ in range(300):
        clock.now_s += 0.1
        left.took(Step.WRITE)
    for _ in range(300):
        clock.now_s += 0.4
        progress = left.took(Step.WRITE)
    assert progress.left_s == pytest.approx(400 * 0.4, rel=0.02)
