"""Linear layers as oneDNN likes them on a CPU: weights laid out once, what follows in the product.

Called plainly, torch copies a linear layer's bias over the result before each product, and passes
over the result again for the activation: on the first stages of SAM2's trunk, with many tokens of
few channels, that takes longer than the product.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

_FUSED = {nn.GELU: ("gelu", "none"), nn.ReLU: ("relu", "")}
"""What oneDNN calls an activation, and which of its formulas: GELU by the error function."""


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this build of torch has the operators, and this CPU what they want for `dtype`.

    For bfloat16 that is AVX-512 or AVX-NE-CONVERT; torch's plain linear layers do without.
    """
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not available or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    return dtype != torch.bfloat16 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def packed(module: nn.Module) -> nn.Module:
    """The module with every linear layer replaced, and the activation after it in a `Sequential`.

    Args:
        module: On a CPU, in float32 or bfloat16; left as it is, and shared but for those layers.

    Returns:
        One that answers alike, and cannot be trained or exported.
    """
    if type(module) is nn.Linear:
        return _PackedLinear(module)
    if type(module) is nn.Sequential:
        return nn.Sequential(*_fused(list(module)))
    twin = copy.copy(module)
    twin._modules = {
        name: None if child is None else packed(child) for name, child in module._modules.items()
    }
    return twin


def _fused(layers: Sequence[nn.Module]) -> list[nn.Module]:
    """Layers that run one after another, fewer by the activations that go with a product."""
    found: list[nn.Module] = []
    before: nn.Module | None = None
    for layer in layers:
        name, formula = _FUSED.get(type(layer), ("", ""))
        if type(before) is nn.Linear and name and getattr(layer, "approximate", "none") == "none":
            found[-1] = _PackedLinear(before, name, formula)
        else:
            found.append(packed(layer))
        before = layer
    return found


class _PackedLinear(nn.Module):
    """A linear layer and an activation as one call of oneDNN."""

    def __init__(self, layer: nn.Linear, activation: str = "none", formula: str = "") -> None:
        super().__init__()
        self.weight = _laid_out(layer)
        self.bias = None if layer.bias is None else layer.bias.detach()
        self.activation, self.formula = activation, formula

    def forward(self, tokens: Tensor) -> Tensor:
        """(…, C) to (…, C')."""
        return cast(
            Tensor,
            torch.ops.mkldnn._linear_pointwise(
                tokens, self.weight, self.bias, self.activation, [], self.formula
            ),
        )


def _laid_out(layer: nn.Linear) -> Tensor:
    """Its weight, once for each layer: engines for several counts of objects share theirs."""
    if layer not in _LAID_OUT:
        weight = layer.weight.detach()
        _LAID_OUT[layer] = torch.ops.mkldnn._reorder_linear_weight(weight, None)
    return _LAID_OUT[layer]


_LAID_OUT: WeakKeyDictionary[nn.Linear, Tensor] = WeakKeyDictionary()
