"""The objective of group-relative policy optimisation, as pure functions of tensors.

Source: GRPO (DeepSeekMath, arXiv 2402.03300): an answer's advantage is its reward against its
group's mean; the ratio to the policy that drew it is clipped; a divergence to the start is held
against it. Three steps are those of later work: advantages are
divided by the deviation of the whole batch, not of their group (arXiv 2508.08221: a group whose
answers hardly differ would count as much as one that is torn), and the mean is over tokens, not
over answers (DAPO, arXiv 2503.14476: or each token of a long answer would count less), and the
divergence is estimated by x²/2, x the difference of log-probabilities, instead of exp(x) - x - 1:
its gradient is the divergence's own, and does not grow without bound where the start thought a
drawn token far likelier.
"""

from __future__ import annotations

import torch
from torch import Tensor

CLIP = 0.2
_LEAST = 1e-4


def advantages(rewards: Tensor) -> Tensor:
    """Rewards (P, G) against their group's mean, by the deviation over all groups.

    All 0 where no group's answers differ.
    """
    against = rewards - rewards.mean(1, keepdim=True)
    return against / against.square().mean().sqrt().clamp(min=_LEAST)


def objective(
    now: Tensor, drawn: Tensor, start: Tensor, advantage: Tensor, kl: float
) -> tuple[Tensor, dict[str, float]]:
    """What is to be made small, and figures.

    Args:
        now: (N,) log-probability of each token by the policy.
        drawn: (N,) the same when it was drawn.
        start: (N,) the same by the policy at the start; read only where `kl` is above 0.
        advantage: (N,) of each token's answer.
        kl: Weight of the divergence to the start.
    """
    ratio = torch.exp(now - drawn)
    clipped = ratio.clamp(1 - CLIP, 1 + CLIP)
    gained = torch.minimum(ratio * advantage, clipped * advantage)
    apart = start - now
    divergence = apart.square() / 2
    loss = (kl * divergence - gained).mean() if kl > 0 else -gained.mean()
    figures = {
        "ratio": ratio.mean(),
        "clipped": (ratio != clipped).float().mean(),
        "kl": divergence.mean(),
    }
    return loss, {name: float(figure.detach()) for name, figure in figures.items()}
