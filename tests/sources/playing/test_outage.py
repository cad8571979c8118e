"""What is learned from attempts that worked, on a clock of the test's."""

from __future__ import annotations

from streamseg.sources.playing.outage import Outage


def test_nothing_known_takes_all_the_time() -> None:
    outage = Outage(10.0)
    assert [outage.patience_s() for _ in range(5)] == [10.0] * 5
    assert not outage.has_worked


def test_attempts_are_as_patient_as_those_that_worked_need() -> None:
    outage = Outage(10.0)
    outage.over(0.8)
    assert outage.has_worked
    usual, longer = [3.2] * 11, [6.4, 10.0]
    for longest in longer:
        assert [round(outage.patience_s(), 3) for _ in range(12)] == [*usual, longest]
    outage.over(0.1)
    assert round(outage.patience_s(), 3) == 3.2, "the slowest counts"


def test_a_quick_camera_has_little_time_and_a_slow_one_all_there_is() -> None:
    quick, slow = Outage(10.0), Outage(10.0)
    quick.over(0.01)
    slow.over(8.0)
    assert (quick.patience_s(), slow.patience_s()) == (1.5, 10.0)


def test_a_long_outage_is_told_of_now_and_then() -> None:
    now = [0.0]
    outage = Outage(10.0, lambda: now[0])
    told = []
    for second in range(0, 600, 2):
        now[0] = float(second)
        if outage.worth_telling():
            told.append(second)
    assert told[:5] == [0, 2, 4, 6, 8]
    assert told[5:] == list(range(68, 600, 60))
    outage.over(1.0)
    assert outage.worth_telling(), "the next outage is told of at once"
