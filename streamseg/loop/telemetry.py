"""Counters and timings of a run, in constant memory however long the stream lives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

SUB_BITS = 5
"""Each octave of a histogram has 2**5 buckets: a percentile is off by at most 1.6 %."""
_OCTAVES = 40
_BUCKETS = (_OCTAVES + 2) << SUB_BITS
_MAX_NS = (1 << (_OCTAVES + SUB_BITS + 1)) - 1


class Histogram:
    """Durations in logarithmic buckets, from nanoseconds to most of a day (HdrHistogram's layout).

    Counts stay exact, as do the mean and the maximum; only percentiles are rounded to a bucket.
    """

    __slots__ = ("_counts", "count", "max_ns", "total_ns")

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self.count = 0
        self.total_ns = 0
        self.max_ns = 0

    def record(self, duration_ns: int) -> None:
        """Add one duration; what lies outside the range counts at its edge."""
        clipped = 0 if duration_ns < 0 else min(duration_ns, _MAX_NS)
        shift = clipped.bit_length() - SUB_BITS - 1
        if shift < 0:
            shift = 0
        self._counts[(shift << SUB_BITS) + (clipped >> shift)] += 1
        self.count += 1
        self.total_ns += clipped
        if clipped > self.max_ns:
            self.max_ns = clipped

    def percentile_ms(self, percent: float) -> float:
        """The duration that `percent` of all recorded ones do not exceed; 0.0 when empty."""
        if not self.count:
            return 0.0
        rank = max(1, -int(-self.count * percent // 100))
        seen = 0
        for index, count in enumerate(self._counts):
            seen += count
            if seen >= rank:
                return min(_middle_ns(index), self.max_ns) / 1e6
        return self.max_ns / 1e6

    def summary(self) -> dict[str, float]:
        """Count, mean, p50, p95, p99 and maximum; milliseconds but for the count."""
        return {
            "count": self.count,
            "mean_ms": round(self.total_ns / self.count / 1e6, 3) if self.count else 0.0,
            "p50_ms": round(self.percentile_ms(50), 3),
            "p95_ms": round(self.percentile_ms(95), 3),
            "p99_ms": round(self.percentile_ms(99), 3),
            "max_ms": round(self.max_ns / 1e6, 3),
        }


def _middle_ns(index: int) -> float:
    shift = max(0, (index >> SUB_BITS) - 1)
    low = (index - (shift << SUB_BITS)) << shift
    return low + ((1 << shift) - 1) / 2


class _Stage:
    """One timed block; made anew for each, so that blocks may nest and threads may overlap."""

    __slots__ = ("_histogram", "_into", "_lock", "_name", "_now_ns", "_started_ns")

    def __init__(
        self,
        name: str,
        histogram: Histogram,
        lock: threading.Lock,
        now_ns: Callable[[], int],
        into: MutableMapping[str, float] | None,
    ) -> None:
        self._name = name
        self._histogram = histogram
        self._lock = lock
        self._now_ns = now_ns
        self._into = into

    def __enter__(self) -> None:
        self._started_ns = self._now_ns()

    def __exit__(self, *error: object) -> None:
        duration_ns = self._now_ns() - self._started_ns
        with self._lock:
            self._histogram.record(duration_ns)
        if self._into is not None:
            self._into[self._name] = self._into.get(self._name, 0.0) + duration_ns / 1e6


class Telemetry:
    """What a run counts and times; any thread may call any method.

    Memory grows with the number of different names alone, never with time.
    """

    def __init__(self, now_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._stages: dict[str, Histogram] = {}
        self._counters: dict[str, int] = {}
        self._dropped: dict[str, int] = {}
        self._frames = 0
        self._first_ns = 0
        self._last_ns = 0

    def stage(self, name: str, into: MutableMapping[str, float] | None = None) -> _Stage:
        """Time a `with` block under `name`.

        Args:
            into: Also gets the milliseconds under `name` (added up when it is there already),
                for the timings that a single result carries.
        """
        histogram = self._stages.get(name)
        if histogram is None:
            histogram = self._stages.setdefault(name, Histogram())
        return _Stage(name, histogram, self._lock, self._now_ns, into)

    def record_ns(self, name: str, duration_ns: int) -> None:
        """Add a duration that was measured elsewhere, such as "latency"."""
        with self._lock:
            self._stages.setdefault(name, Histogram()).record(duration_ns)

    def count(self, name: str, amount: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self._counters[name] = self._counters.get(name, 0) + amount

    def drop(self, cause: str, amount: int = 1) -> None:
        """Count frames or answers that were dropped, by cause."""
        with self._lock:
            self._dropped[cause] = self._dropped.get(cause, 0) + amount

    def frame(self) -> None:
        """Count one finished frame; fps is taken between the first and the last of them."""
        now_ns = self._now_ns()
        with self._lock:
            if not self._frames:
                self._first_ns = now_ns
            self._frames += 1
            self._last_ns = now_ns

    @property
    def frames(self) -> int:
        return self._frames

    @property
    def fps(self) -> float:
        """Frames per second of wall time, 0.0 before the second frame."""
        with self._lock:
            elapsed_ns = self._last_ns - self._first_ns
            return (self._frames - 1) * 1e9 / elapsed_ns if elapsed_ns > 0 else 0.0

    @property
    def counters(self) -> Mapping[str, int]:
        """A copy of the counters."""
        with self._lock:
            return dict(self._counters)

    def summary(self) -> dict[str, Any]:
        """Plain values, ready for JSON: frames, fps, dropped, counters and latency per stage."""
        fps = self.fps
        with self._lock:
            return {
                "frames": self._frames,
                "fps": round(fps, 2),
                "dropped": dict(sorted(self._dropped.items())),
                "counters": dict(sorted(self._counters.items())),
                "latency": {name: self._stages[name].summary() for name in sorted(self._stages)},
            }
