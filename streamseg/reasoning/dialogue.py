"""One reasoner's question in flight: asked on a keyframe, answered late or never, in real or
virtual time.

Knows the worker and the clock; does not know why it asks, nor what becomes of the answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamseg.clock import Clock
from streamseg.config import ReasoningConfig
from streamseg.errors import ReasoningError
from streamseg.reasoning import GroundingRequest
from streamseg.reasoning.worker.client import ReasoningWorker, Reply
from streamseg.types import (
    DeepReason,
    Event,
    Frame,
    Grounding,
    GroundingMode,
    ReasonerState,
    Speed,
    TriggerReason,
)

_STOP_CHECK_S = 0.25
"""How often a wait in virtual time looks whether the run was stopped."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What was asked, in what light.

    Attributes:
        query_id: The query asked about; an answer to another than the current one is stale.
        asked_ns: Clock time.
        speed: Which reasoner is asked.
        deep: Why the deep one is asked besides the fast one, which was asked for `reason`.
    """

    request: GroundingRequest
    query_id: int
    reason: TriggerReason
    difficulty: float
    asked_ns: int
    speed: Speed = Speed.FAST
    deep: DeepReason | None = None

    @property
    def why(self) -> str:
        """Why it is asked, in a few words."""
        return str(self.reason if self.deep is None else self.deep)

    @property
    def frame(self) -> Frame:
        """The keyframe."""
        return self.request.target

    @property
    def mode(self) -> GroundingMode:
        return self.request.mode


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What came of a question: a grounding, or an error in words."""

    question: Question
    grounding: Grounding | None
    error: str | None
    waited_s: float

    @property
    def found(self) -> bool:
        """It names an object, be it one that may be meant later."""
        return self.grounding is not None and bool(self.grounding.targets or self.grounding.cast)

    def in_words(self) -> str:
        """The outcome in a line."""
        asked = f"{self.question.speed}, {self.question.why}"
        if self.grounding is None:
            return f"{asked}: no answer, {self.error}"
        count = len(self.grounding.targets)
        nothing = "cannot tell" if self.grounding.cannot_tell else "no such object"
        outcome = f"{count} object{'s' if count > 1 else ''} found" if count else nothing
        if waiting := len(self.grounding.cast):
            outcome = f"{outcome if count else 'nobody yet'}, {waiting} may be meant next"
        return f"{asked}: {outcome}"


class Dialogue:
    """Asks one reasoner, one question at a time. Neither `ask` nor, in real time, `hear` waits."""

    def __init__(
        self,
        config: ReasoningConfig,
        clock: Clock,
        on_event: Callable[[Event], None],
        stopped: Callable[[], bool] = lambda: False,
        speed: Speed = Speed.FAST,
        factory: str | None = None,
    ) -> None:
        """
        Args:
            stopped: Ends a wait in virtual time without an answer.
            speed, factory: As `ReasoningWorker` has them.
        """
        self._config = config.speed(speed)
        self._clock = clock
        self._stopped = stopped
        self._refusal: str | None = None
        self._worker = ReasoningWorker(config, clock, on_event, speed=speed, factory=factory)
        self._question: Question | None = None
        self._closed_as: ReasonerState | None = None

    @property
    def state(self) -> ReasonerState:
        """Whether the reasoner can be asked; after `close`, as it was then."""
        return ReasonerState(self._worker.state) if self._closed_as is None else self._closed_as

    def condition(self) -> dict[str, Any]:
        """The state in words, and how often and why the reasoner failed; ready for JSON."""
        worker = self._worker
        return {
            "state": str(self.state),
            "failures": worker.failures,
            "last_failure": worker.last_failure,
        }

    @property
    def waiting(self) -> bool:
        """A question is in flight."""
        return self._question is not None

    @property
    def ready(self) -> bool:
        """Asking now makes sense: nothing is in flight and the reasoner is there to be asked.

        By the time a reasoner that is being started, or is busy with a question given up, could
        answer, a newer frame is a better one to ask about; virtual time, which stands still
        meanwhile, asks at once.
        """
        if self.waiting or self._clock.virtual:
            return not self.waiting
        return self._worker.state == "ready" and self._worker.idle

    def start(self) -> None:
        """Start the reasoner's process and return at once."""
        self._worker.start()

    def ask(self, question: Question) -> None:
        """Ask; an earlier question that is still open is given up."""
        self._question, self._refusal = question, None
        try:
            self._worker.submit(question.request, tag=question.query_id)
        except ReasoningError as error:
            self._refusal = str(error)

    def cancel(self) -> None:
        """Want no answer any more: what was asked about is not what is looked for now."""
        self._worker.cancel()
        self._question = None

    def hear(self) -> Answer | None:
        """The answer, once it is due: polled in real time, waited for in virtual time."""
        question = self._question
        if question is None:
            return None
        if self._refusal is not None:
            self._question = None
            return Answer(question, None, self._refusal, 0.0)
        if not self._clock.virtual:
            reply = self._worker.poll()
        elif self._clock.now_ns() >= question.asked_ns + int(self._config.delay_s * 1e9):
            reply = self._wait()
        else:
            return None
        if reply is None and (not self._clock.virtual or self._stopped()):
            return None
        self._question = None
        waited_s = (self._clock.now_ns() - question.asked_ns) / 1e9
        if reply is None:
            return Answer(question, None, "the reasoner did not start in time", waited_s)
        return Answer(question, reply.grounding, reply.error, waited_s)

    def _wait(self) -> Reply | None:
        """Wait for the reply in slices, so that a stop is heard."""
        end_s = time.monotonic() + self._config.deadline_s + self._config.start_timeout_s
        while (left_s := end_s - time.monotonic()) > 0 and not self._stopped():
            reply = self._worker.wait(min(left_s, _STOP_CHECK_S))
            if reply is not None or not self._worker.busy:
                return reply
        return None

    def close(self) -> None:
        """End the process. May be called twice."""
        if self._closed_as is None:
            self._closed_as = self.state
        self._worker.close()
