"""One question after another, each waited for: how a video that has time asks a reasoner.

The considered reasoner answers where the config has one, and the quick one where it has not or
where the considered one gives no answer. Knows the worker; does not know why it asks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from streamseg.clock import RealClock
from streamseg.config import ReasoningConfig
from streamseg.errors import ReasoningError
from streamseg.reasoning import LOCATORS
from streamseg.reasoning.dialogue import Answer, Question
from streamseg.reasoning.doubts import Doubts
from streamseg.reasoning.worker.client import ReasoningWorker, Reply
from streamseg.types import Event, ReasonerState, Speed

_STOP_CHECK_S = 0.25
"""How often a wait looks whether it is to be given up."""


class Interview:
    """Asks and waits. Used by one thread.

    Args:
        stopped: Ends a wait without an answer.
    """

    def __init__(
        self,
        config: ReasoningConfig,
        on_event: Callable[[Event], None],
        stopped: Callable[[], bool],
    ) -> None:
        self._config = config
        self._on_event = on_event
        self._stopped = stopped
        self._doubts = Doubts(on_event)
        wanted = [speed for speed in (Speed.DEEP, Speed.FAST) if self._has(speed)]
        self._workers = {
            speed: ReasoningWorker(config, RealClock(), on_event, speed=speed) for speed in wanted
        }
        self._speed = wanted[0]
        self._closed_as: ReasonerState | None = None

    @property
    def doubt(self) -> str:
        """What the newest answer leaves in doubt, in brief."""
        return self._doubts.brief

    @property
    def state(self) -> ReasonerState:
        """Of the reasoner asked last; after `close`, as it was then."""
        return self._closed_as or ReasonerState(self._workers[self._speed].state)

    def start(self) -> None:
        """Begin to load the reasoner that is asked first, and return at once."""
        self._workers[self._speed].start()

    def ask(self, question: Question) -> Answer:
        """Ask and wait; an error that says so where there is no answer, or it was stopped."""
        answer = self._ask(question, tuple(self._workers))
        if answer.grounding is not None:
            self._doubts.hear(
                answer.grounding, question.query_id, question.asked_ns, question.frame.index
            )
        return answer

    @property
    def locates(self) -> bool:
        """Whether one of the reasoners can say where in a video words apply."""
        return bool(self._locators)

    def locate(self, question: Question) -> Answer:
        """The same for a question of mode SEGMENT or FRAME, put to those alone who can say."""
        return self._ask(question, self._locators)

    @property
    def _locators(self) -> tuple[Speed, ...]:
        config = self._config
        return tuple(speed for speed in self._workers if config.speed(speed).backend in LOCATORS)

    def _ask(self, question: Question, speeds: tuple[Speed, ...]) -> Answer:
        begun_s = time.monotonic()
        answer = Answer(question, None, "stopped", 0.0)
        for speed in speeds:
            if self._stopped():
                break
            self._speed = speed
            reply, error = self._reply(self._workers[speed], question)
            grounding = None if reply is None else reply.grounding
            answer = Answer(question, grounding, error, time.monotonic() - begun_s)
            if grounding is not None:
                break
        return answer

    def condition(self) -> dict[str, Any]:
        """The state in words, and how often and why the reasoners failed; ready for JSON."""
        failed = [worker for worker in self._workers.values() if worker.failures]
        return {
            "state": str(self.state),
            "speed": str(self._speed),
            "failures": sum(worker.failures for worker in failed),
            "last_failure": failed[-1].last_failure if failed else None,
        }

    def close(self) -> None:
        """End the processes. May be called twice."""
        self._closed_as = self.state
        for worker in self._workers.values():
            worker.close()

    def _has(self, speed: Speed) -> bool:
        return self._config.speed(speed).backend != "none"

    def _reply(
        self, worker: ReasoningWorker, question: Question
    ) -> tuple[Reply | None, str | None]:
        """The reply, or why there is none."""
        worker.start()
        try:
            worker.submit(question.request, tag=question.query_id)
        except ReasoningError as error:
            return None, str(error)
        while not self._stopped():
            reply = worker.wait(_STOP_CHECK_S)
            if reply is not None:
                return reply, reply.error
            if not worker.busy:
                return None, "the reasoner gave no answer"
        worker.cancel()
        return None, "stopped"
