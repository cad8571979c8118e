"""Steering and grammar joined for one answer: which tokens may come, which is written, the end.

Knows tokens as numbers, and no network: whoever runs one asks before each token and tells after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamseg.errors import ReasoningError
from streamseg.reasoning.language.steering import Stage, Steering
from streamseg.types import Mask

if TYPE_CHECKING:
    from streamseg.reasoning.models.grammar import Grammar


class Guide:
    """One answer's guide; made anew for each.

    Args:
        damaged: What to do where logits are no numbers, for people.
    """

    def __init__(self, steering: Steering, grammar: Grammar | None, damaged: str) -> None:
        self.steering = steering
        self._grammar = grammar
        self._damaged = damaged
        self._within = False
        """The grammar holds: from the answer's first token to its last."""
        self._over = grammar is None
        if grammar is not None:
            grammar.begin()

    def allowed(self) -> Mask | None:
        """(V,) bool: the tokens that may come next; None where all may."""
        self._within = not self._over and self.steering.stage is Stage.ANSWERING
        return self._grammar.allowed() if self._within and self._grammar is not None else None

    def force(self, choice: int, sound: bool) -> int | None:
        """The token to write in place of the `choice` among those allowed; None for the choice.

        Args:
            sound: The logits that it was chosen by are numbers.

        Raises:
            ReasoningError: They are not.
        """
        if not sound:
            raise ReasoningError(
                f"the model's logits are not finite: its weights are damaged, or {self._damaged}"
            )
        forced = self.steering.force(choice)
        if forced is not None:
            self._within = False
        return forced

    def wrote(self, token: int) -> bool:
        """Take note of what was written: whether that is enough."""
        if self._within and self._grammar is not None:
            self._grammar.take(token)
            if self._grammar.whole:
                self._over = True
                self.steering.close()
        self.steering.saw(token)
        return self.steering.stopped
