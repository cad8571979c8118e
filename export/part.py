"""A part: one piece of a network that is exported, checked and run by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from streamseg.engines import TensorSpec


@dataclass(frozen=True)
class Part:
    """A piece of a network with named inputs and outputs and static shapes.

    Attributes:
        name: Unique, a file name: lower case letters, digits and underscores.
        module: Takes the inputs in order, positionally; returns a tensor or a tuple of them.
        inputs: Example inputs. They define order, static shapes and dtypes, and hold values
            that make sense: the parity gate compares on them.
        outputs: Names, in the order that the module returns them.
        exact: Names of inputs and outputs that are float32 in every precision. A module
            brings such an input to its weights' dtype itself, where it can stand it.
        options: Numbers that are baked into the graph and that its inputs do not show.
    """

    name: str
    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: tuple[str, ...]
    exact: frozenset[str] = frozenset()
    options: Mapping[str, int] = field(default_factory=dict)

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """What the inputs must look like, in order."""
        return tuple(TensorSpec.of(name, tensor) for name, tensor in self.inputs.items())
