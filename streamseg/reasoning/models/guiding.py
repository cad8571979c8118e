"""Steering inside of transformers' `generate`: what it may write next, and when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from streamseg.errors import ReasoningError
from streamseg.reasoning.language.steering import Stage, Steering

if TYPE_CHECKING:
    from streamseg.reasoning.models.grammar import Grammar


class Guide:
    """Both a logits processor and, by `after`, a stopping criterion, for one answer."""

    def __init__(self, steering: Steering, grammar: Grammar | None) -> None:
        self.steering = steering
        self._grammar = grammar
        self._within = False
        """The grammar holds: from the answer's first token to its last."""
        self._over = grammar is None
        if grammar is not None:
            grammar.begin()

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Logits (1, V) of the next token to those that it is chosen by.

        Raises:
            ReasoningError: They are not numbers.
        """
        self._within = not self._over and self.steering.stage is Stage.ANSWERING
        if self._within and self._grammar is not None:
            allowed = torch.from_numpy(self._grammar.allowed()).to(scores.device)
            scores = scores.masked_fill(~allowed, -torch.inf)
        best, choice = scores[0].max(dim=-1)
        told = torch.stack((best.float(), choice.float(), scores[0].isnan().any().float())).tolist()
        if told[2] or not abs(told[0]) < float("inf"):
            raise ReasoningError(
                "the model's logits are not finite: its weights are damaged, or "
                "reasoning.vlm.dtype does not hold them (try bfloat16 or float32)"
            )
        forced = self.steering.force(int(choice))
        if forced is None:
            return scores
        self._within = False
        only = torch.full_like(scores, -torch.inf)
        only[0, forced] = 0.0
        return only

    def after(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        """(1,) bool: whether the model, whose last token is the newest, has written enough."""
        token = int(input_ids[0, -1])
        if self._within and self._grammar is not None:
            self._grammar.take(token)
            if self._grammar.whole:
                self._over = True
                self.steering.close()
        self.steering.saw(token)
        return torch.tensor([self.steering.stopped], device=input_ids.device)
