"""A part made ready for export: normalisation folded into convolutions, weights rounded once."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from streamseg.export.part import Part

Module = TypeVar("Module", bound=nn.Module)
Precision = Literal["fp32", "fp16", "bf16"]
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def lower(part: Part, precision: Precision) -> Part:
    """The part in `precision`, on its own weights; the given one is left as it is.

    Batch normalisation is folded in float32, then weights, and inputs that are not `exact`,
    are rounded.
    """
    module = lowered(part.module, precision)
    return replace(part, module=module, inputs=lowered_inputs(part, precision))


def lowered_inputs(part: Part, precision: Precision) -> dict[str, Tensor]:
    """The example inputs of the part in `precision`."""
    dtype = DTYPES[precision]
    return {name: _cast(part, name, tensor, dtype) for name, tensor in part.inputs.items()}


def lowered(module: Module, precision: Precision) -> Module:
    """A copy with batch normalisation folded and weights rounded."""
    twin = copy.deepcopy(module)
    fold_batch_norms(twin)
    return twin.to(DTYPES[precision])


def fold_batch_norms(module: nn.Module) -> None:
    """Put each batch normalisation into the convolution registered right before it, in place.

    Only for networks that run their layers in the order in which they hold them, as ResNets do.
    """
    for child in module.modules():
        before: tuple[str, nn.Module] | None = None
        for name, layer in list(child.named_children()):
            if isinstance(layer, nn.BatchNorm2d) and before is not None:
                conv_name, conv = before
                if isinstance(conv, nn.Conv2d) and conv.out_channels == layer.num_features:
                    setattr(child, conv_name, fuse_conv_bn_eval(conv.eval(), layer.eval()))
                    setattr(child, name, nn.Identity())
            before = name, layer


def _cast(part: Part, name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor if name in part.exact or not tensor.is_floating_point() else tensor.to(dtype)
