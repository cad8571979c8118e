"""A whole network in one ONNX file, run on numpy arrays: no parts, no torch, nothing exported.

For small networks that stand alone (a detector, a cutter) on machines that have ONNX Runtime and no
more. What is cut into parts, or stays on a GPU between them, is `engines.onnxruntime`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamseg.engines import TensorSpec
from streamseg.engines.onnx_session import (
    OnnxRuntimeOptions,
    closed,
    is_open,
    one_line,
    open_session,
    spec_of,
)
from streamseg.errors import EngineError

Arrays = dict[str, NDArray[Any]]


class ArrayEngine:
    """An ONNX file whose shapes are static, or become so; `inputs` and `outputs` say which.

    Args:
        name: For messages.
        source: The file, or its content.
        options: Threads and providers.
        picture: Shape that the one input takes where the file leaves sides open.

    Raises:
        EngineError: It does not load, or its shapes are neither static nor those of `picture`.
        MissingDependencyError: onnxruntime is not installed.
    """

    def __init__(
        self,
        name: str,
        source: Path | bytes,
        options: OnnxRuntimeOptions | None = None,
        picture: tuple[int, ...] | None = None,
    ) -> None:
        self.name = name
        self._session = open_session(name, source, options or OnnxRuntimeOptions())
        taken, given = self._session.get_inputs(), self._session.get_outputs()
        if picture is not None and len(taken) == 1 and is_open(taken[0]):
            self.inputs: tuple[TensorSpec, ...] = (closed(name, taken[0], picture),)
        else:
            self.inputs = tuple(spec_of(name, node) for node in taken)
        said = not any(is_open(node) for node in (*taken, *given))
        self.outputs = tuple(spec_of(name, node) for node in given) if said else self._tried()

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        """Run once; may be called from several threads.

        Raises:
            EngineError: An input is missing or of another shape or dtype, or the run failed.
        """
        for spec in self.inputs:
            array = inputs.get(spec.name)
            if array is None or array.shape != spec.shape or array.dtype != np.dtype(spec.dtype):
                got = "none" if array is None else f"{array.dtype}{list(array.shape)}"
                raise EngineError(f"{self.name}: input {spec.name!r}: expected {spec}, got {got}")
        return self._results(dict(inputs))

    def _results(self, inputs: Arrays) -> Arrays:
        names = [node.name for node in self._session.get_outputs()]
        try:
            results = self._session.run(names, inputs)
        except Exception as error:
            raise EngineError(f"{self.name}: ONNX Runtime failed: {one_line(error)}") from error
        return dict(zip(names, results, strict=True))

    def _tried(self) -> tuple[TensorSpec, ...]:
        """What comes out for an empty picture: the file does not say it."""
        zeros = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in self.inputs}
        return tuple(
            TensorSpec(name, array.shape, str(array.dtype))
            for name, array in self._results(zeros).items()
        )
