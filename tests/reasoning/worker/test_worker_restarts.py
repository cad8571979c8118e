"""Waits after crashes: doubling, capped, long when degraded, forgotten after an answer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamseg.config import SpeedConfig
from streamseg.reasoning.worker.restarts import Restarts

CONFIG = SpeedConfig()


def test_the_first_start_is_at_once() -> None:
    assert Restarts(CONFIG).wait_s(0.0) == 0.0


def test_waits_double_and_five_crashes_mean_degraded() -> None:
    restarts = Restarts(CONFIG)
    now_s, waits = 100.0, []
    for _ in range(5):
        restarts.crashed(now_s)
        waits.append(restarts.wait_s(now_s))
        now_s += waits[-1]
    assert waits == [0.5, 1.0, 2.0, 4.0, CONFIG.degraded_retry_s]
    assert restarts.degraded


def test_slow_crashes_between_answers_never_degrade() -> None:
    restarts = Restarts(CONFIG)
    for count in range(2000):
        restarts.crashed(count * CONFIG.crash_window_s / 2)
        assert not restarts.degraded
        restarts.answered()


def test_slow_crashes_in_a_row_degrade_whatever_the_window() -> None:
    restarts = Restarts(CONFIG)
    for count in range(CONFIG.crash_limit):
        assert not restarts.degraded
        restarts.crashed(count * CONFIG.crash_window_s)
    assert restarts.degraded


def test_the_waits_stop_at_the_cap() -> None:
    patient = CONFIG.model_copy(update={"crash_limit": 5000})
    restarts = Restarts(patient)
    for count in range(2000):
        restarts.crashed(count * patient.crash_window_s)
    assert restarts.wait_s(1999 * patient.crash_window_s) == patient.restart_cap_s


def test_a_failed_try_keeps_it_degraded_and_an_answer_ends_it() -> None:
    restarts = Restarts(CONFIG)
    for _ in range(5):
        restarts.crashed(0.0)
    restarts.crashed(1000.0)
    before = restarts.degraded
    assert restarts.wait_s(1000.0) == CONFIG.degraded_retry_s
    restarts.answered()
    restarts.crashed(1100.0)
    assert (before, restarts.degraded) == (True, False)
    assert restarts.wait_s(1100.0) == CONFIG.restart_s


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 100)), max_size=50))
def test_the_wait_is_never_longer_than_the_longest_configured(
    history: list[tuple[bool, float]],
) -> None:
    restarts, now_s = Restarts(CONFIG), 0.0
    for crashed, step_s in history:
        now_s += step_s
        if crashed:
            restarts.crashed(now_s)
        else:
            restarts.answered()
        longest_s = max(CONFIG.degraded_retry_s, CONFIG.restart_cap_s)
        assert 0 <= restarts.wait_s(now_s) <= longest_s + 1e-6  # sums of floats round
