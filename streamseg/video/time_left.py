"""How long a work of several kinds of steps will still take; knows neither frames nor stages."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

_LEAST_WEIGHT = 0.02
"""Of the newest step in a kind's mean cost: speeds change along a video."""


class Step(StrEnum):
    """What is done with a frame."""

    READ = "reading"
    CARRY_BACK = "carrying back"
    WRITE = "writing"
    CARRY_ON = "carrying on"
    """Carried and written: what comes after the target frame is written as it is made."""


_LIKE: Mapping[Step, tuple[Step, ...]] = {
    Step.READ: (),
    Step.CARRY_BACK: (),
    Step.WRITE: (Step.READ,),
    Step.CARRY_ON: (Step.CARRY_BACK, Step.READ),
}
"""What a kind costs as long as it was not measured: as much as these together."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the work stands.

    Attributes:
        step: The kind under way.
        done, total: Of this kind; total None as long as it is not known.
        left_s: Seconds that all kinds will still take, None as long as that is not known.
    """

    step: Step
    done: int
    total: int | None
    left_s: float | None


class TimeLeft:
    """Counts steps of several kinds, each at its own speed.

    Args:
        now_s: A clock.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._totals: dict[Step, int] = {}
        self._done = dict.fromkeys(Step, 0)
        self._cost_s: dict[Step, float] = {}
        self._whole = False
        self._last_s = now_s()

    def plan(self, totals: Mapping[Step, int], *, whole: bool) -> None:
        """Say how many steps of some kinds there are to do.

        Args:
            whole: Of all kinds: no other steps will follow.
        """
        self._totals |= totals
        self._whole = whole

    def begin(self) -> None:
        """What went by since the last step belongs to no step."""
        self._last_s = self._now_s()

    def took(self, step: Step) -> Progress:
        """One more step is done."""
        now_s = self._now_s()
        cost_s, self._last_s = now_s - self._last_s, now_s
        self._done[step] += 1
        mean_s = self._cost_s.get(step, cost_s)
        weight = max(_LEAST_WEIGHT, 1.0 / self._done[step])
        self._cost_s[step] = mean_s + weight * (cost_s - mean_s)
        return Progress(step, self._done[step], self._totals.get(step), self._left_s())

    def _left_s(self) -> float | None:
        if not self._whole:
            return None
        total_s = 0.0
        for step, total in self._totals.items():
            left = total - self._done[step]
            if left > 0:
                cost_s = self._expected_s(step)
                if cost_s is None:
                    return None
                total_s += left * cost_s
        return total_s

    def _expected_s(self, step: Step) -> float | None:
        if step in self._cost_s:
            return self._cost_s[step]
        costs = [self._cost_s.get(other) for other in _LIKE[step]]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if known and len(known) == len(costs) else None
