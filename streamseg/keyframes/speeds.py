"""Which questions the deep reasoner is asked besides the fast one: a table, and when it rests.

The fast one is asked whenever the trigger fires. What it answers well goes no further; the first
row of the table that holds sends the question on. An answer of the deep one then stands until
another query, a cut or a loss. Knows no pictures, tracks or processes; time comes in with each
call, so that a replay decides alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from streamseg.config import DeepConfig, DifficultyConfig
from streamseg.keyframes.waits import Wait
from streamseg.types import DeepReason, Grounding, Spared, TriggerReason


@dataclass(frozen=True, slots=True)
class Heard:
    """What the fast reasoner made of a question.

    Attributes:
        reason: Why it was asked.
        answered: Not so where it failed.
        cannot_tell: Its words do not decide what is meant.
        lead: Of the least sure object over the best thing not chosen; 1 without objects.
        difficulty: D of the question, with what the answer leaves in doubt.
    """

    reason: TriggerReason
    answered: bool
    cannot_tell: bool
    lead: float
    difficulty: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts as torn, and as hard."""

    least_lead: float
    tau_easy: float


_Holds = Callable[[Heard, Limits], bool]

TABLE: tuple[tuple[_Holds, DeepReason], ...] = (
    # the fast one ...                                      the deep one is asked for
    (lambda heard, _: not heard.answered, DeepReason.NO_ANSWER),
    (lambda heard, _: heard.cannot_tell, DeepReason.CANNOT_TELL),
    (lambda heard, limits: heard.lead < limits.least_lead, DeepReason.TORN),
    (lambda heard, limits: heard.difficulty >= limits.tau_easy, DeepReason.HARD),
)
"""In order; where no row holds, the question was answered well."""


def hear(reason: TriggerReason, grounding: Grounding | None, difficulty: float) -> Heard:
    """Take what matters of an answer; None for one that did not come."""
    if grounding is None:
        return Heard(reason, False, False, 1.0, difficulty)
    lead = min((target.lead for target in grounding.targets), default=1.0)
    return Heard(reason, True, grounding.cannot_tell, lead, difficulty)


def calls_for(heard: Heard, limits: Limits) -> DeepReason | None:
    """Why the deep one would be asked; None where the fast one answered well."""
    return next((reason for holds, reason in TABLE if holds(heard, limits)), None)


class Considering:
    """What of one query goes to the deep reasoner: at most one wish at a time, granted when it can
    be asked.

    A wish is kept while the deep reasoner is being loaded or is busy, and dropped when the fast
    one answers well after all. Two calls are apart by a wait that doubles, so that what neither
    can tell is not asked for ever.
    """

    def __init__(self, config: DeepConfig, difficulty: DifficultyConfig) -> None:
        self._config = config
        self._limits = Limits(config.least_lead, difficulty.tau_easy)
        self._wait = Wait(config.retry_s, config.retry_cap_s)
        self._wish: DeepReason | None = None
        self._in_flight = False
        self._stands_since_s = -math.inf

    def heard(self, heard: Heard, now_s: float) -> Spared | None:
        """The fast one answered. Why the deep one is not asked about it; None where it will be."""
        if heard.reason is TriggerReason.LOST:
            self._stands_since_s = -math.inf
        self._wish = None
        wanted = calls_for(heard, self._limits)
        if wanted is None:
            return Spared.ANSWERED_WELL
        if self.stands(now_s):
            return Spared.CONSIDERED
        return self._want(wanted, now_s)

    def disagreed(self, now_s: float) -> Spared | None:
        """The fast one named another thing than the deep one chose: who is right may have changed.
        Why that is not asked now; None where it will be."""
        return self._want(DeepReason.DISAGREES, now_s)

    def take_wish(self, now_s: float) -> DeepReason | None:
        """The wish, if there is one: the deep one is being asked now."""
        wish, self._wish = self._wish, None
        if wish is not None:
            self._in_flight = True
            self._wait.begin(now_s)
        return wish

    @property
    def wishes(self) -> bool:
        """There is something to ask the deep one."""
        return self._wish is not None

    def considered(self, *, told: bool, now_s: float) -> None:
        """The deep one is done.

        Args:
            told: It answered, and could tell: there is such an object, or none.
        """
        self._in_flight = False
        self._stands_since_s = now_s if told else -math.inf

    def stands(self, now_s: float) -> bool:
        """What the deep one said last holds still."""
        return now_s - self._stands_since_s < self._config.refresh_s

    def new_scene(self) -> None:
        """A cut or a break: nothing stands, and what was asked about is gone."""
        self._wish, self._in_flight = None, False
        self._stands_since_s = -math.inf
        self._wait.reset()

    def _want(self, reason: DeepReason, now_s: float) -> Spared | None:
        if self._in_flight:
            return Spared.IN_FLIGHT
        if self._wait.left_s(now_s) > 0:
            return Spared.WAITING
        self._wish = reason
        return None
