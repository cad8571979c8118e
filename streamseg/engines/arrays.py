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

from streamseg.engines.onnx_session import OnnxRuntimeOptions, one_line, open_session, spec_of
from streamseg.errors import EngineError

Arrays = dict[str, NDArray[Any]]


class ArrayEngine:
    """An ONNX file with static shapes; `inputs` and `outputs` say which.

    Args:
        name: For messages.
        source: The file.
        options: Threads and providers.

    Raises:
        EngineError: It does not load, or its shapes are not static.
        MissingDependencyError: onnxruntime is not installed.
    """

    def __init__(self, name: str, source: Path, options: OnnxRuntimeOptions | None = None) -> None:
        self.name = name
        self._session = open_session(name, source, options or OnnxRuntimeOptions())
        self.inputs = tuple(spec_of(name, node) for node in self._session.get_inputs())
        self.outputs = tuple(spec_of(name, node) for node in self._session.get_outputs())

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
        names = [spec.name for spec in self.outputs]
        try:
            results = self._session.run(names, dict(inputs))
        except Exception as error:
            raise EngineError(f"{self.name}: ONNX Runtime failed: {one_line(error)}") from error
        return dict(zip(names, results, strict=True))
