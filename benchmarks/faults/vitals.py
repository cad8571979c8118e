"""The size of this process over time: resident memory, threads, open files."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import psutil

_EVERY_S = 1.0
_SETTLE_S = 60.0
_COURSE_EVERY_S = 10.0


class Vitals(NamedTuple):
    """Of one moment; memory in MiB, threads as the system counts them."""

    rss_mib: float
    threads: int
    files: int

    def most(self, other: Vitals) -> Vitals:
        """The larger of each."""
        return Vitals(
            max(self.rss_mib, other.rss_mib),
            max(self.threads, other.threads),
            max(self.files, other.files),
        )


def now() -> Vitals:
    """Of this process."""
    me = psutil.Process()
    return Vitals(round(me.memory_info().rss / 2**20, 1), me.num_threads(), me.num_fds())


class Watch:
    """Takes the vitals every second, in a thread of its own.

    Attributes:
        peak: The largest of each so far.
        settled: Once the ring is full and every kind of object has been made; None before.
        course: Every ten seconds.
    """

    def __init__(self) -> None:
        self.peak = now()
        self.settled: Vitals | None = None
        self.course: list[Vitals] = []
        self._begun_s = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vitals", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            latest = now()
            self.peak = self.peak.most(latest)
            if time.monotonic() - self._begun_s >= len(self.course) * _COURSE_EVERY_S:
                self.course.append(latest)
            if self.settled is None and time.monotonic() - self._begun_s > _SETTLE_S:
                self.settled = latest


def census() -> Counter[str]:
    """Every thread by the system's name for it, and every open file by where it leads."""
    found: Counter[str] = Counter()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # it has just ended
            found["thread " + (task / "comm").read_text("utf-8").strip()] += 1
    for number in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found["file " + os.readlink(number).partition(":[")[0]] += 1
    return found
