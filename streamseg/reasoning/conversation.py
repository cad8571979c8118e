"""The reasoners that there are, at one speed or two: each asked and heard by itself, so that a deep
question in flight hinders no fast one. Does not know which is asked when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from streamseg.clock import Clock
from streamseg.config import ReasoningConfig
from streamseg.reasoning.dialogue import Answer, Dialogue, Question
from streamseg.reasoning.doubts import Doubts
from streamseg.types import Event, GroundingMode, ReasonerState, Speed


class Conversation:
    """A dialogue with each reasoner of the config.

    Attributes:
        first: Who is asked when the trigger fires: the fast one, where there is one.
        both: There is a deep one to be asked besides.
    """

    def __init__(
        self,
        config: ReasoningConfig,
        clock: Clock,
        on_event: Callable[[Event], None],
        stopped: Callable[[], bool] = lambda: False,
        factories: Mapping[Speed, str] | None = None,
    ) -> None:
        """
        Args:
            stopped: Ends a wait in virtual time without an answer.
            factories: `module:function` that makes the reasoner of a speed, in its process, in
                place of the config's backend.
        """
        made = factories or {}
        self._dialogues = {
            speed: Dialogue(config, clock, on_event, stopped, speed, made.get(speed))
            for speed in speeds(config, made)
        }
        self.first = next(iter(self._dialogues))
        self.both = len(self._dialogues) > 1
        self._clock = clock
        self._doubts = Doubts(on_event)
        self._considered: int | None = None
        """The newest query of which the deep one could tell: the fast one's doubts are settled."""

    @property
    def doubt(self) -> str:
        """What the newest answer to the query in force leaves in doubt, in brief."""
        return self._doubts.brief

    @property
    def state(self) -> ReasonerState:
        """Whether the first one can be asked; after `close`, as it was then."""
        return self._dialogues[self.first].state

    def condition(self) -> dict[str, Any]:
        """The first one's state in words, how often and why it failed, and the same of each speed;
        ready for JSON."""
        each = {speed.value: dialogue.condition() for speed, dialogue in self._dialogues.items()}
        return {**each[self.first.value], "speeds": each}

    @property
    def waiting(self) -> bool:
        """A question is in flight."""
        return any(dialogue.waiting for dialogue in self._dialogues.values())

    def ready(self, speed: Speed) -> bool:
        """Asking one now makes sense: nothing of its own is in flight and it is there."""
        return speed in self._dialogues and self._dialogues[speed].ready

    def start(self) -> None:
        """Start the processes and return at once."""
        for dialogue in self._dialogues.values():
            dialogue.start()

    def ask(self, question: Question) -> None:
        """Ask the one that the question is for; an earlier one of its own is given up."""
        self._dialogues[question.speed].ask(question)

    def cancel(self) -> None:
        """Want no answer any more: what was asked about is not what is looked for now."""
        self._doubts.forget()
        for dialogue in self._dialogues.values():
            dialogue.cancel()

    def cancel_deep(self) -> None:
        """Want no answer of the deep one that is asked besides: its picture is gone."""
        if self.both:
            self._dialogues[Speed.DEEP].cancel()

    def hear(self) -> Iterator[Answer]:
        """Answers that are due, the fast one's first; what is asked meanwhile may be among them."""
        for dialogue in self._dialogues.values():
            answer = dialogue.hear()
            if answer is None:
                continue
            self._note_doubts(answer)
            yield answer

    def _note_doubts(self, answer: Answer) -> None:
        asked, grounding = answer.question, answer.grounding
        if grounding is None or asked.mode is GroundingMode.WITNESS:
            return
        if asked.speed is Speed.DEEP and not grounding.cannot_tell:
            self._considered = asked.query_id
        elif asked.query_id == self._considered:
            return
        now_ns = self._clock.now_ns()
        self._doubts.hear(grounding, asked.query_id, now_ns, asked.frame.index)

    def close(self) -> None:
        """End the processes. May be called twice."""
        with ExitStack() as steps:
            for dialogue in self._dialogues.values():
                steps.callback(dialogue.close)


def speeds(config: ReasoningConfig, factories: Mapping[Speed, str]) -> tuple[Speed, ...]:
    """Those that somebody answers at, the fast one first."""
    return tuple(s for s in Speed if s in factories or config.speed(s).backend != "none")
