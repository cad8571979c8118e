"""Watches a model write, token by token: when to steer it to its answer, and when to stop it.

Budget forcing (Muennighoff et al., s1, 2025, section 3): a model whose thinking is over its budget
has the end of the thinking and the beginning of the answer put into its mouth, and goes on from
there; cut off, it would have said nothing. Knows tokens and tags, no network.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum

OPEN_THINKING, CLOSE_THINKING = "<think>", "</think>"
OPEN_ANSWER, CLOSE_ANSWER = "<answer>", "</answer>"
_TO_ANSWER = f"\n{CLOSE_THINKING}\n{OPEN_ANSWER}"
_WINDOW = 24
"""Last tokens that are looked at for a tag, which may be a token or as many as it has letters."""
_LONGEST_LOOP = 64
_LEAST_REPEATED = 96
"""Tokens of the same over and over, three times at least, that make a loop."""
_LOOK_EVERY = 16


class Stage(Enum):
    """How far the model has come."""

    THINKING = "thinking"
    BETWEEN = "between"
    ANSWERING = "answering"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Limits:
    """When enough is enough.

    Attributes:
        thinking: Tokens of thinking, after which the model is steered to answer.
        answer: Tokens of the answer, after which it is stopped.
        steer_at: `time.monotonic` at which thinking is ended.
        stop_at: The same for writing at all.
    """

    thinking: int
    answer: int
    steer_at: float
    stop_at: float


class Steering:
    """One answer's course; made anew for each.

    Attributes:
        stage: Where the model is.
        thought: Tokens of its thinking.
        notes: What was done to it, for people.
    """

    def __init__(
        self,
        encode: Callable[[str], Sequence[int]],
        decode: Callable[[Sequence[int]], str],
        ends: Collection[int],
        thinks: bool,
        limits: Limits,
        tagged: bool = False,
    ) -> None:
        """Args:
        encode, decode: Text to tokens and back, special ones as they are.
        ends: Tokens with which a model ends what it writes.
        thinks: It begins within a think block, else within an answer block.
        tagged: Put the answer's tag before every answer, so that it begins with a token of its own.
        """
        self.stage = Stage.THINKING if thinks else Stage.ANSWERING
        self.thought = 0
        self.notes: list[str] = []
        self._encode, self._decode = encode, decode
        self._ends = frozenset(ends)
        self._limits = limits
        self._tagged = tagged
        self._written: list[int] = []
        self._pending: list[int] = []
        self._answered = 0
        self._stopped = False

    def force(self, choice: int) -> int | None:
        """The token to write in place of the model's `choice`; None for what it likes."""
        if not self._pending:
            self._consider(choice)
        return self._pending.pop(0) if self._pending else None

    def saw(self, token: int) -> None:
        """A token was written, forced or not."""
        self._written.append(token)
        if self.stage is Stage.THINKING:
            self.thought += 1
        elif self.stage is Stage.ANSWERING:
            self._answered += 1
        self._advance()

    @property
    def stopped(self) -> bool:
        """Whether the model has written enough."""
        if self.stage is Stage.DONE or self._stopped:
            return True
        if time.monotonic() >= self._limits.stop_at:
            return self._stop("stopped by the deadline")
        if self.stage is Stage.ANSWERING and not self._pending:
            if self._answered >= self._limits.answer:
                return self._stop("stopped for the answer's length")
            if self._loops():
                return self._stop("the model repeats itself")
        return False

    def close(self) -> None:
        """The answer is whole: end it."""
        self._pending = list(self._encode(CLOSE_ANSWER))

    def _stop(self, note: str) -> bool:
        self.notes.append(note)
        self._stopped = True
        return True

    def _consider(self, choice: int) -> None:
        """Decide whether words are to be put into the model's mouth now."""
        if self.stage is Stage.BETWEEN and (self._tagged or choice in self._ends):
            self._pending = list(self._encode(OPEN_ANSWER))
        if self.stage is not Stage.THINKING:
            return
        if self.thought >= self._limits.thinking:
            self._steer("over its budget")
        elif time.monotonic() >= self._limits.steer_at:
            self._steer("out of time")
        elif choice in self._ends:
            self._steer("ended without an answer")
        elif self._loops():
            self._steer("repeated itself")

    def _steer(self, why: str) -> None:
        self.notes.append(f"{why}, steered to answer")
        self._pending = list(self._encode(_TO_ANSWER))

    def _advance(self) -> None:
        """Read the tags among the last tokens. Stages follow one another, so that a tag of the
        last stage that is still in sight changes nothing."""
        tail = self._decode(self._written[-_WINDOW:])
        if self.stage is Stage.THINKING and CLOSE_THINKING in tail:
            self.stage = Stage.BETWEEN
        if self.stage is Stage.BETWEEN:
            after = tail.rpartition(CLOSE_THINKING)[2].lstrip()
            if OPEN_ANSWER in after:
                self.stage = Stage.ANSWERING
            elif after and not OPEN_ANSWER.startswith(after):
                self.stage = Stage.ANSWERING  # an answer without its tag
        if self.stage is Stage.ANSWERING and CLOSE_ANSWER in tail.rpartition(OPEN_ANSWER)[2]:
            self.stage = Stage.DONE

    def _loops(self) -> bool:
        """Whether the last tokens are one short sequence over and over; looked at now and then."""
        written = self._written
        if len(written) < _LEAST_REPEATED or len(written) % _LOOK_EVERY:
            return False
        last = written[-max(_LEAST_REPEATED, 3 * _LONGEST_LOOP) :]
        for length in range(1, _LONGEST_LOOP + 1):
            span = max(_LEAST_REPEATED, 3 * length)
            if len(last) >= span and last[-span:-length] == last[-span + length :]:
                return True
        return False
