"""A guide inside of transformers' `generate`, beside the logits where they lie."""

from __future__ import annotations

from typing import Any

import torch

from streamseg.reasoning.models.guiding import Guide


class InGenerate:
    """Both a logits processor and, by `after`, a stopping criterion, for one answer."""

    def __init__(self, guide: Guide) -> None:
        self._guide = guide

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Logits (1, V) of the next token to those that it is chosen by.

        Raises:
            ReasoningError: They are not numbers.
        """
        allowed = self._guide.allowed()
        if allowed is not None:
            scores = scores.masked_fill(~torch.from_numpy(allowed).to(scores.device), -torch.inf)
        best, choice = scores[0].max(dim=-1)
        told = torch.stack((best.float(), choice.float(), scores[0].isnan().any().float())).tolist()
        forced = self._guide.force(int(choice), sound=not told[2] and abs(told[0]) < float("inf"))
        if forced is None:
            return scores
        only = torch.full_like(scores, -torch.inf)
        only[0, forced] = 0.0
        return only

    def after(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        """(1,) bool: whether the model, whose last token is the newest, has written enough."""
        enough = self._guide.wrote(int(input_ids[0, -1]))
        return torch.tensor([enough], device=input_ids.device)
