"""Layers that a vision tower and a decoder share, read off transformers' modules, written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from streamseg.errors import EngineError
from streamseg.export.reasoner.rounding import table
from streamseg.export.reasoner.sheet import Bits, Sheet

_STEADY = ("default", "axial", "linear", "yarn", "llama3")
"""Kinds of rotary positions whose frequencies do not depend on how long a prompt is."""
_NEVER = float(np.finfo(np.float32).min)


def array(tensor: Any) -> NDArray[np.float32]:
    """A parameter in float32, not copied where it is that already."""
    held: NDArray[np.float32] = tensor.detach().to("cpu", torch.float32).numpy()
    return held


def linear(sheet: Sheet, value: str, module: Any, name: str, bits: Bits) -> str:
    """transformers' linear layer."""
    made = sheet.product(value, array(module.weight), name, bits)
    if module.bias is None:
        return made
    return sheet.op("Add", made, sheet.weight(array(module.bias), f"{name}.bias"))


def norm(sheet: Sheet, value: str, module: Any, name: str) -> str:
    """A LayerNorm, or a norm by the root of the mean square, over the last axis.

    Raises:
        EngineError: It is neither.
    """
    weight = sheet.weight(array(module.weight), f"{name}.weight")
    if isinstance(module, torch.nn.LayerNorm):
        bias = sheet.weight(array(module.bias), f"{name}.bias")
        return sheet.op("LayerNormalization", value, weight, bias, axis=-1, epsilon=module.eps)
    if not hasattr(module, "variance_epsilon"):
        raise EngineError(f"the reasoner: no way to export a norm of kind {type(module).__name__}")
    squared = sheet.op("Pow", value, sheet.constant(2.0))
    mean = sheet.op("ReduceMean", squared, sheet.constant([-1]), keepdims=1)
    root = sheet.op("Sqrt", sheet.op("Add", mean, sheet.constant(float(module.variance_epsilon))))
    return sheet.op("Mul", sheet.op("Div", value, root), weight)


def activation(sheet: Sheet, value: str, module: Any) -> str:
    """What stands between two linear layers.

    Raises:
        EngineError: A kind that is not known.
    """
    kind = type(module).__name__
    if kind in ("SiLU", "SiLUActivation"):
        return sheet.op("Mul", value, sheet.op("Sigmoid", value))
    if kind == "QuickGELUActivation":
        steep = sheet.op("Mul", value, sheet.constant(1.702))
        return sheet.op("Mul", value, sheet.op("Sigmoid", steep))
    tanh = kind in ("GELUTanh", "PytorchGELUTanh") or getattr(module, "approximate", "") == "tanh"
    if tanh or kind in ("GELU", "GELUActivation"):
        return sheet.op("Gelu", value, approximate="tanh" if tanh else "none")
    raise EngineError(f"the reasoner: no way to export an activation of kind {kind}")


def perceptron(sheet: Sheet, value: str, module: Any, name: str, bits: Bits) -> str:
    """A block's inner layers: two, or two of which one is the other's gate, and one back."""
    if hasattr(module, "gate_proj"):
        gate = linear(sheet, value, module.gate_proj, f"{name}.gate", bits)
        open_ = activation(sheet, gate, module.act_fn)
        up = linear(sheet, value, module.up_proj, f"{name}.up", bits)
        return linear(sheet, sheet.op("Mul", open_, up), module.down_proj, f"{name}.down", bits)
    first, second, between = (
        next(getattr(module, key) for key in keys if hasattr(module, key))
        for keys in (("fc1", "linear_fc1"), ("fc2", "linear_fc2"), ("act", "act_fn"))
    )
    inner = activation(sheet, linear(sheet, value, first, f"{name}.in", bits), between)
    return linear(sheet, inner, second, f"{name}.out", bits)


def angles(sheet: Sheet, positions: str, rotary: Any, axes: int) -> tuple[str, str]:
    """Positions (..., axes) int64 to cosine and sine (..., width of a head).

    How a family lays its axes over a head's rows (in sections, interleaved) is asked of its own
    module by numbering the angles, so that no layout stands here a second time.

    Args:
        rotary: transformers' module, with `recomposition_frequencies`.
        axes: Of a position: 2 in a picture, 3 in a text.

    Raises:
        EngineError: Its frequencies change with the prompt's length.
    """
    if rotary.rope_type not in _STEADY:
        raise EngineError(
            f"the reasoner: expected rotary positions of kind {', '.join(_STEADY)}, got "
            f"{str(rotary.rope_type)[:40]!r}, whose frequencies change with the length"
        )
    frequencies = array(rotary.inv_freq)
    count = len(frequencies)
    numbered = torch.arange(axes * count, dtype=torch.float64)
    shape = (1, axes, count) if axes == 2 else (axes, 1, 1, count)
    where = rotary.recomposition_frequencies(numbered.reshape(shape)).reshape(-1).long().numpy()
    placed = sheet.op("Cast", positions, to=1)
    chosen = sheet.op("Gather", placed, sheet.constant(where // count), axis=-1)
    turned = sheet.op("Mul", chosen, sheet.constant(frequencies[where % count]))
    scaling = float(rotary.attention_scaling)
    both = sheet.op("Cos", turned), sheet.op("Sin", turned)
    if scaling == 1.0:
        return both
    cosine, sine = (sheet.op("Mul", each, sheet.constant(scaling)) for each in both)
    return cosine, sine


def rotated(sheet: Sheet, rows: str, turn: tuple[str, str], width: int) -> str:
    """Rows (..., width) of queries or keys turned by their angles; halves make pairs."""
    halves = sheet.constant([width // 2, width - width // 2])
    first, second = sheet.ops("Split", rows, halves, count=2, axis=-1)
    swapped = sheet.op("Concat", sheet.op("Neg", second), first, axis=-1)
    cosine, sine = turn
    return sheet.op("Add", sheet.op("Mul", rows, cosine), sheet.op("Mul", swapped, sine))


def unseen(sheet: Sheet, seen: str) -> str:
    """Bool to what is added to scores: nought, or so little that nothing is left."""
    return sheet.op("Where", seen, sheet.constant(0.0), sheet.constant(_NEVER))


def attended(
    sheet: Sheet, query: str, turned_key: str, value: str, scale: float, hidden: str | None
) -> str:
    """Attention.

    Args:
        query: (..., rows, width).
        turned_key: (..., width, rows).
        value: (..., rows, width).
        hidden: Of `unseen`, broadcast to the scores; None: all is seen.
    """
    scaled = sheet.op("Mul", query, sheet.constant(float(scale)))
    scores = sheet.op("MatMul", scaled, turned_key)
    if hidden is not None:
        scores = sheet.op("Add", scores, hidden)
    return sheet.op("MatMul", sheet.op("Softmax", scores, axis=-1), value)


def words(sheet: Sheet, ids: str, module: Any, bits: Bits) -> str:
    """Rows of a table by number; a table in fewer bits than 32 is in eight."""
    rows = array(module.weight)
    if bits == 32:
        return sheet.op("Gather", sheet.weight(rows, "words"), ids, axis=0)
    whole, scale = table(rows)
    read = sheet.op("Gather", sheet.weight(whole, "words.whole"), ids, axis=0)
    scales = sheet.op("Gather", sheet.weight(scale, "words.scales"), ids, axis=0)
    return sheet.op("Mul", sheet.op("Cast", read, to=1), scales)
