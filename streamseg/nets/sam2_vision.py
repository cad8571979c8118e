"""SAM2's image trunk as it is wanted here: nothing that no one reads, and quick in bfloat16."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

_ATTENTION = "streamseg_rows"
_ROWS = 512


def trunk(vision: Any) -> nn.Module:
    """transformers' `Sam2VisionModel` without its encodings of positions, which are constants.

    Args:
        vision: Its layers are shared. Its config is told to attend by `_attend` from now on,
            which computes the same.
    """
    lean, neck = _twin(vision), _twin(vision.neck)
    neck.position_encoding = _NoPositions()
    lean.neck = neck
    for module in vision.modules():
        if hasattr(module, "config"):
            module.config._attn_implementation = _ATTENTION
    made: nn.Module = lean
    return made


def _twin(module: nn.Module) -> Any:
    """A module of its own over the same children."""
    twin = copy.copy(module)
    twin._modules = dict(module._modules)
    return twin


class _NoPositions(nn.Module):
    """In place of an encoding of positions that nothing reads."""

    def forward(self, shape: torch.Size, device: torch.device, dtype: torch.dtype) -> Tensor:
        return torch.zeros((), device=device, dtype=dtype)


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **options: Any,
) -> tuple[Tensor, Tensor | None]:
    """Attention over (B, heads, L, D), as transformers' "sdpa".

    On a CPU torch's fused kernel is no quicker in bfloat16 than in float32; plain products of
    some rows at a time are, by half.
    """
    half = query.dtype != torch.float32 and query.device.type == "cpu"
    if not half or attention_mask is not None or torch.compiler.is_exporting():
        fused = ALL_ATTENTION_FUNCTIONS["sdpa"]
        attended: tuple[Tensor, Tensor | None] = fused(
            module, query, key, value, attention_mask, **options
        )
        return attended
    scaled, keys = query * options["scaling"], key.transpose(2, 3)
    read = [(some @ keys).softmax(-1) @ value for some in torch.split(scaled, _ROWS, 2)]
    return torch.cat(read, 2).transpose(1, 2).contiguous(), None


ALL_ATTENTION_FUNCTIONS.register(_ATTENTION, _attend)
