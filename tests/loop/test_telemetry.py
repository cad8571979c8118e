"""Telemetry: exact counts, percentiles within a bucket, memory that does not grow."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamseg.loop.telemetry import Histogram, Telemetry


class Ticks:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


@given(
    st.lists(st.integers(0, 10**13), min_size=1, max_size=300),
    st.sampled_from([1.0, 50.0, 95.0, 99.0, 100.0]),
)
def test_percentile_is_within_a_bucket_of_the_exact_one(durations: list[int], q: float) -> None:
    histogram = Histogram()
    for duration in durations:
        histogram.record(duration)
    exact_ms = float(np.percentile(durations, q, method="inverted_cdf")) / 1e6
    assert histogram.percentile_ms(q) == pytest.approx(exact_ms, rel=0.017, abs=1e-6)


def test_histogram_keeps_count_mean_and_maximum_exactly() -> None:
    histogram = Histogram()
    for milliseconds in (1, 2, 3, 10):
        histogram.record(milliseconds * 1_000_000)
    summary = histogram.summary()
    assert summary["count"] == 4
    assert summary["mean_ms"] == 4.0
    assert summary["max_ms"] == 10.0


def test_durations_outside_the_range_count_at_its_edges() -> None:
    histogram = Histogram()
    histogram.record(-5)
    histogram.record(1 << 80)
    assert histogram.count == 2
    assert histogram.percentile_ms(50) == 0.0
    assert histogram.percentile_ms(100) > 3.6e6


def test_an_empty_histogram_sums_up_to_zeros() -> None:
    assert set(Histogram().summary().values()) == {0}


def test_stage_times_the_block_and_fills_the_results_timings() -> None:
    ticks = Ticks()
    telemetry = Telemetry(ticks)
    timings: dict[str, float] = {}
    for nanoseconds in (2_000_000, 4_000_000):
        with telemetry.stage("propagate", into=timings):
            ticks.ns += nanoseconds
    assert timings == {"propagate": 6.0}
    latency = telemetry.summary()["latency"]["propagate"]
    assert latency["count"] == 2
    assert latency["mean_ms"] == 3.0


def test_stage_is_timed_also_when_the_block_raises() -> None:
    telemetry = Telemetry()
    with pytest.raises(ValueError, match="boom"), telemetry.stage("segment"):
        raise ValueError("boom")
    assert telemetry.summary()["latency"]["segment"]["count"] == 1


def test_stages_nest() -> None:
    ticks = Ticks()
    telemetry = Telemetry(ticks)
    with telemetry.stage("outer"):
        ticks.ns += 10
        with telemetry.stage("outer"):
            ticks.ns += 5
    assert telemetry.summary()["latency"]["outer"]["count"] == 2


def test_fps_is_taken_over_wall_time() -> None:
    ticks = Ticks()
    telemetry = Telemetry(ticks)
    assert telemetry.fps == 0.0
    for _ in range(31):
        telemetry.frame()
        ticks.ns += 20_000_000
    assert telemetry.frames == 31
    assert telemetry.fps == pytest.approx(50.0)


def test_summary_is_plain_json() -> None:
    telemetry = Telemetry()
    telemetry.frame()
    telemetry.drop("newest wins", 3)
    telemetry.count("groundings")
    telemetry.record_ns("latency", 9_100_000)
    summary = json.loads(json.dumps(telemetry.summary(), allow_nan=False))
    assert summary["dropped"] == {"newest wins": 3}
    assert summary["counters"] == {"groundings": 1}
    assert summary["latency"]["latency"]["p50_ms"] == pytest.approx(9.1, rel=0.02)


def test_counts_from_many_threads_are_exact() -> None:
    telemetry = Telemetry()

    def work() -> None:
        for _ in range(2000):
            telemetry.count("n")
            with telemetry.stage("s"):
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert telemetry.counters == {"n": 8000}
    assert telemetry.summary()["latency"]["s"]["count"] == 8000
