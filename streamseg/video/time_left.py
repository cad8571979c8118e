"""How long a work of several kinds of steps will still take; knows neither frames nor stages."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

_SMOOTHING = 0.02
_FIRST_STEPS = 50
"""So many steps are averaged evenly; then the newest count more."""


class Step(StrEnum):
    """What is done with a frame."""

    READ = "read"
    CARRY_BACK = "carry back"
    WRITE = "write"
    CARRY_ON = "carry on"
    """Carry and write: what is new after the target frame is written as it comes."""


_LIKE: Mapping[Step, tuple[Step, ...]] = {
    Step.READ: (Step.READ,),
    Step.CARRY_BACK: (Step.CARRY_BACK,),
    Step.WRITE: (Step.READ,),
    Step.CARRY_ON: (Step.CARRY_BACK, Step.WRITE),
}
"""What a kind costs as long as it was not measured: as much as these together."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the work stands.

    Attributes:
        step: The kind under way.
        done, total: Steps of all kinds; total None as long as it is not known.
        left_s: Seconds left, None as long as nothing is known of them.
        words: What is being done, for people.
    """

    step: Step
    done: int
    total: int | None
    left_s: float | None
    words: str


class TimeLeft:
    """Counts steps of several kinds, each at its own speed.

    Args:
        now_s: A clock.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._left: dict[Step, int] | None = None
        self._seconds: dict[Step, float] = {}
        self._counts: dict[Step, int] = {}
        self._last_s = now_s()

    def plan(self, left: Mapping[Step, int]) -> None:
        """Say how many steps of each kind are still to be done."""
        self._left = dict(left)

    def begin(self) -> None:
        """What went by since the last step belongs to no step."""
        self._last_s = self._now_s()

    def took(self, step: Step, words: str) -> Progress:
        """One more step is done."""
        now_s = self._now_s()
        count = self._counts[step] = self._counts.get(step, 0) + 1
        before_s = self._seconds.get(step, 0.0)
        weight = max(_SMOOTHING, 1.0 / min(count, _FIRST_STEPS))
        self._seconds[step] = before_s + weight * (now_s - self._last_s - before_s)
        self._last_s = now_s
        if self._left is not None:
            self._left[step] = max(0, self._left.get(step, 0) - 1)
        done = sum(self._counts.values())
        total = None if self._left is None else done + sum(self._left.values())
        return Progress(step, done, total, self._left_s(), words)

    def _left_s(self) -> float | None:
        if self._left is None:
            return None
        total = 0.0
        for step, count in self._left.items():
            if count:
                cost_s = self._cost_s(step)
                if cost_s is None:
                    return None
                total += count * cost_s
        return total

    def _cost_s(self, step: Step) -> float | None:
        if step in self._seconds:
            return self._seconds[step]
        if _LIKE[step] == (step,):
            return None
        costs = [self._cost_s(other) for other in _LIKE[step]]
        return None if None in costs else sum(cost for cost in costs if cost is not None)
