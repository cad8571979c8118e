"""A part in half precision: its own copy of the weights, rounded once, at export."""

from __future__ import annotations

import copy
from typing import Literal

import torch
from streamseg.export.part import Part
from torch import Tensor

Precision = Literal["fp32", "fp16", "bf16"]
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def lower(part: Part, precision: Precision) -> Part:
    """The part in `precision`; the given one is left as it is.

    Weights, and inputs that are not `exact`, are rounded. In fp32 it is the part itself.
    """
    if precision == "fp32":
        return part
    dtype = DTYPES[precision]
    inputs = {name: _cast(part, name, tensor, dtype) for name, tensor in part.inputs.items()}
    module = copy.deepcopy(part.module).to(dtype)
    return Part(part.name, module, inputs, part.outputs, part.exact)


def _cast(part: Part, name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor if name in part.exact or not tensor.is_floating_point() else tensor.to(dtype)
