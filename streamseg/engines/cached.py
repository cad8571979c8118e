"""A decoder graph that goes on from its own cache: keys and values from its outputs to its inputs.

They stay where the provider works: on a GPU nothing but tokens, their places and logits cross over.
Knows tensors by name, no words.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamseg.engines.onnx_session import OnnxRuntimeOptions, one_line, open_session
from streamseg.errors import EngineError

PAST, PRESENT = "past_", "present_"
LOGITS = "logits"


class CachedEngine:
    """A session whose inputs `past_*` continue its outputs `present_*`, which grow by what is run.

    Args:
        name: For messages.
        source: The graph's file, its weights beside it.
        options: Threads and providers.

    Raises:
        EngineError: It does not load, or its inputs and outputs are not of this kind.
        MissingDependencyError: onnxruntime is not installed.
    """

    def __init__(self, name: str, source: Path, options: OnnxRuntimeOptions) -> None:
        self.name = name
        self._session = open_session(name, source, options)
        self._place = ("cpu" if options.providers[0] == "cpu" else "cuda", options.device_id)
        inputs = {node.name: node for node in self._session.get_inputs()}
        outputs = [node.name for node in self._session.get_outputs()]
        self.inputs = [key for key in inputs if not key.startswith(PAST)]
        """Names of those that the caller gives."""
        kept = [key.removeprefix(PAST) for key in inputs if key.startswith(PAST)]
        if not kept or set(outputs) != {LOGITS, *(PRESENT + key for key in kept)}:
            raise EngineError(
                f"{name}: expected outputs {LOGITS} and a {PRESENT}… for every input {PAST}…, got "
                f"{', '.join(outputs)[:200]}"
            )
        self._kept = kept
        self._empty: dict[str, NDArray[Any]] = {}
        for key in kept:
            batch, heads, _, width = inputs[PAST + key].shape
            if not all(isinstance(side, int) for side in (batch, heads, width)):
                raise EngineError(f"{name}: expected {PAST}{key} to be open in its length alone")
            self._empty[key] = np.zeros((batch, heads, 0, width), np.float32)
        self.shapes = {key: tuple(node.shape) for key, node in inputs.items()}
        """Of every input; an open side is a name."""
        self._cache: dict[str, Any] = {}
        self.length = 0
        """Rows in the cache."""

    def begin(self) -> None:
        """Forget what was run."""
        self._cache = {}
        self.length = 0

    def run(self, inputs: dict[str, NDArray[Any]], rows: int) -> NDArray[np.float32]:
        """Run over some more rows.

        Args:
            inputs: By the names of `inputs`.
            rows: By how many the cache grows.

        Returns:
            (1, V) logits after the last of them.

        Raises:
            EngineError: Inputs do not fit, or the device fails.
        """
        binding = self._session.io_binding()
        try:
            for key, array in inputs.items():
                binding.bind_cpu_input(key, np.ascontiguousarray(array))
            for key in self._kept:
                if self._cache:
                    binding.bind_ortvalue_input(PAST + key, self._cache[key])
                else:
                    binding.bind_cpu_input(PAST + key, self._empty[key])
            binding.bind_output(LOGITS, "cpu")
            for key in self._kept:
                binding.bind_output(PRESENT + key, *self._place)
            self._session.run_with_iobinding(binding)
        except Exception as error:
            self.begin()
            raise EngineError(f"{self.name}: ONNX Runtime failed: {one_line(error)}") from error
        logits, *grown = binding.get_outputs()
        self._cache = dict(zip(self._kept, grown, strict=True))
        self.length += rows
        found: NDArray[np.float32] = logits.numpy()
        return found

    def missing(self, wanted: Sequence[str]) -> list[str]:
        """Of the inputs wanted, those that it does not have, and those that it has besides."""
        return sorted(set(wanted) ^ set(self.inputs))
