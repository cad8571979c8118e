"""Engines: named tensors in, named tensors out. They do not know frames, masks or streams.

Three families stand behind one protocol: `engines.torch`, `engines.onnxruntime` and
`engines.tensorrt`. Shapes are static: an engine that serves several sizes is several engines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from streamseg.errors import EngineError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Engine", "TensorSpec", "check_inputs", "dtype_of"]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What one tensor of an engine looks like.

    Attributes:
        name: As in the exported graph.
        shape: Static.
        dtype: "float32", "float16", "bfloat16", "int64", "int32" or "bool".
    """

    name: str
    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, name: str, tensor: Tensor) -> TensorSpec:
        """The spec that `tensor` meets."""
        return cls(name, tuple(tensor.shape), dtype_of(tensor))

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


class Engine(Protocol):
    """One part of a network, ready to run.

    Attributes:
        part: Its name, such as "xmem_decoder_n4".
        inputs: What `run` takes, in the part's order.
        outputs: What it gives back.
    """

    part: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run once; may be called from several threads. The outputs are the caller's to keep.

        Raises:
            EngineError: An input is missing, unknown, or of another shape or dtype; names the
                part, the input, what was expected and what came.
        """


def dtype_of(tensor: Tensor) -> str:
    """A tensor's dtype by the name that specs use."""
    return str(tensor.dtype).removeprefix("torch.")


def check_inputs(part: str, specs: Sequence[TensorSpec], inputs: Mapping[str, Tensor]) -> None:
    """Hold what came against what an engine takes.

    Raises:
        EngineError: See `Engine.run`.
    """
    for spec in specs:
        if spec.name not in inputs:
            raise EngineError(f"{part}: expected an input {spec.name!r} {spec}, got none")
        tensor = inputs[spec.name]
        if tuple(tensor.shape) != spec.shape or dtype_of(tensor) != spec.dtype:
            got = TensorSpec.of(spec.name, tensor)
            raise EngineError(f"{part}: input {spec.name!r}: expected {spec}, got {got}")
    if len(inputs) != len(specs):
        known = [spec.name for spec in specs]
        extra = sorted(set(inputs) - set(known))
        raise EngineError(f"{part}: expected the inputs {known}, got also {extra}")
