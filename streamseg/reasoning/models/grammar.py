"""Holds an answer to its JSON schema while it is written, by llguidance; knows no network."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from streamseg.errors import MissingDependencyError, ReasoningError
from streamseg.types import Mask

_LIKE_PYTHON = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class Grammar:
    """Which tokens may come next; begun anew for each answer."""

    def __init__(self, tokenizer: Any, vocabulary: int, schema: dict[str, Any]) -> None:
        """Args:
        tokenizer: transformers' own, of the fast kind.
        vocabulary: Length of the network's logits.

        Raises:
            MissingDependencyError: llguidance is not installed.
            ReasoningError: The tokenizer or the schema is none that it takes.
        """
        try:
            import llguidance
            from llguidance import hf
        except ImportError:
            raise MissingDependencyError("llguidance", "grammar") from None
        try:
            self._tokens = hf.from_tokenizer(tokenizer, n_vocab=vocabulary)
        except (ValueError, TypeError) as error:
            raise ReasoningError(f"the tokenizer serves no grammar: {str(error)[:200]}") from None
        whole = {**schema, "x-guidance": _LIKE_PYTHON}
        self._grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(whole))
        self._vocabulary = vocabulary
        self.begin()

    def begin(self) -> None:
        """Another answer begins."""
        import llguidance

        self._matcher = llguidance.LLMatcher(self._tokens, self._grammar)
        self._sound()

    def allowed(self) -> Mask:
        """(vocabulary,) bool: the tokens that may come next."""
        import llguidance.numpy as by_numpy

        bits = by_numpy.allocate_token_bitmask(1, self._vocabulary)
        by_numpy.fill_next_token_bitmask(self._matcher, bits, 0)
        unpacked = np.unpackbits(bits.view(np.uint8), bitorder="little")
        return np.asarray(unpacked[: self._vocabulary], np.bool_)

    def take(self, token: int) -> None:
        """A token was written."""
        self._matcher.consume_token(token)
        self._sound()

    @property
    def whole(self) -> bool:
        """Whether the answer is complete and nothing may follow."""
        return bool(self._matcher.is_stopped())

    def _sound(self) -> None:
        if self._matcher.is_error():
            said = " ".join(str(self._matcher.get_error()).split())[:200]
            raise ReasoningError(f"the answer's grammar: {said}")
