"""Muon for matrices beside AdamW for the rest, both on one schedule.

Muon (Jordan et al., 2024): the momentum of a matrix is brought near an orthogonal one by five
Newton-Schulz steps; scaled to AdamW's size of step as Moonlight does (Liu et al., 2025). In
float32: torch's own works in bfloat16, which most processors only imitate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_QUINTIC = (3.4445, -4.7750, 2.0315)
_MOMENTUM = 0.95
_STEPS = 5
_DECAY = {"muon": 0.05, "adamw": 0.01}
_ADAMW_SHARE = 0.7
"""Of Muon's rate; not tuned."""


class Muon(torch.optim.Optimizer):
    """For matrices alone; those of one shape are worked on together."""

    def __init__(self, parameters: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(list(parameters), {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step along the gradients."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[parameter.shape].append(parameter)
            for shape, parameters in alike.items():
                ways = torch.stack([self._way(parameter) for parameter in parameters])
                scale = 0.2 * max(shape) ** 0.5 * group["lr"]
                for parameter, way in zip(parameters, orthogonal(ways), strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.sub_(way, alpha=scale)

    def _way(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        gradient = parameter.grad
        assert gradient is not None
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(gradient, 1 - _MOMENTUM)
        way: Tensor = gradient.lerp(state["momentum"], _MOMENTUM)
        return way


def orthogonal(matrices: Tensor) -> Tensor:
    """(N, R, C) matrices with their singular values brought near 1."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    a, b, c = _QUINTIC
    for _ in range(_STEPS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    made: Tensor = x.mT if tall else x
    return made


class Both:
    """Two optimisers as one.

    Args:
        named: Parameters with their names; those of two dimensions go to Muon, unless they are
            tables (embeddings, learned positions, heads).
        rate: Muon's highest.
    """

    def __init__(self, named: Iterable[tuple[str, Tensor]], rate: float) -> None:
        matrices: list[Tensor] = []
        rest: list[Tensor] = []
        for name, parameter in named:
            table = any(part in name for part in ("embed", "head", "lm_head"))
            (rest if table or parameter.ndim != 2 else matrices).append(parameter)
        self.parameters = [*matrices, *rest]
        self._rates = (rate, rate * _ADAMW_SHARE)
        self._both: tuple[torch.optim.Optimizer, ...] = (
            Muon(matrices, rate, _DECAY["muon"]),
            torch.optim.AdamW(
                rest, self._rates[1], betas=(0.9, 0.98), weight_decay=_DECAY["adamw"]
            ),
        )

    def step(self, loss: Tensor, factor: float) -> None:
        """Along a loss, at a share of the highest rates; gradients are clipped to a norm of 1."""
        for optimiser, rate in zip(self._both, self._rates, strict=True):
            optimiser.zero_grad()
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimiser in self._both:
            optimiser.step()

    def state_dict(self) -> list[Any]:
        """Of both, for a checkpoint."""
        return [optimiser.state_dict() for optimiser in self._both]

    def load_state_dict(self, states: list[Any]) -> None:
        """The reverse."""
        for optimiser, state in zip(self._both, states, strict=True):
            optimiser.load_state_dict(state)
