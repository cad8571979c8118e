"""How a network that is run here writes an answer, whatever runs it: tokens, limits, the text.

Shared by `vlm` and `exported`, so that both ask, steer, stop and read alike.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any

from streamseg.config import WritingSection
from streamseg.reasoning.language import schema
from streamseg.reasoning.language.prompt import Prompt
from streamseg.reasoning.language.steering import Limits, Steering
from streamseg.reasoning.models.chat import Completion
from streamseg.reasoning.models.grammar import Grammar
from streamseg.reasoning.models.guiding import Guide

_STEER_SHARE = 0.7
"""Of the time for an answer, after which thinking is ended: a list of one object takes some sixty
tokens, thinking up to twice as many."""
_TAGS = 64
"""Tokens for what stands around thinking and answer."""


class Writing:
    """Makes a guide for each answer, and an answer of the tokens written.

    Args:
        tokenizer: transformers' own.
        ends: Tokens with which the model ends what it writes.
        vocabulary: Length of its logits.
        config: Its budgets, and whether a grammar holds.
        most: Objects in an answer, where it is held to a grammar.
        damaged: What to do where logits are no numbers, for people.

    Raises:
        MissingDependencyError: A grammar is asked for, and llguidance is not installed.
        ReasoningError: The tokenizer serves no grammar.
    """

    def __init__(
        self,
        tokenizer: Any,
        ends: Collection[int],
        vocabulary: int,
        config: WritingSection,
        most: int,
        damaged: str,
    ) -> None:
        self.ends = tuple(ends)
        self._tokenizer = tokenizer
        self._config = config
        self._damaged = damaged
        self._grammar: Grammar | None = None
        if config.grammar:
            self._grammar = Grammar(tokenizer, vocabulary, schema.block(most))

    def guide(self, asked: Prompt, until: float) -> Guide:
        """For the answer to a prompt, which is due at `until` on `time.monotonic`."""
        now = time.monotonic()
        limits = Limits(
            thinking=min(asked.budget, self._config.most_thinking),
            answer=self._config.answer_tokens,
            steer_at=now + _STEER_SHARE * (until - now),
            stop_at=until,
        )
        grammar = self._grammar if asked.objects else None
        steering = Steering(
            self.encode,
            self.decode,
            self.ends,
            asked.thinks,
            limits,
            tagged=grammar is not None,
        )
        return Guide(steering, grammar, self._damaged)

    def longest(self, asked: Prompt) -> int:
        """Tokens past which nothing is written, whatever the guide says."""
        return asked.budget + self._config.answer_tokens + _TAGS

    def completion(self, begun: str, ids: Sequence[int], guide: Guide) -> Completion:
        """What a model wrote after what stood there already; ends are left out."""
        kept = list(ids)
        while kept and kept[-1] in self.ends:
            kept.pop()
        steering = guide.steering
        return Completion(
            begun + self.decode(kept), steering.thought or len(kept), tuple(steering.notes)
        )

    def encode(self, text: str) -> list[int]:
        """Text to tokens, special ones as they are."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Tokens to text, special ones as they are."""
        text: str = self._tokenizer.decode(
            ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text
