"""ONNX Runtime as an engine: a file and providers, inputs and outputs bound where they lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from streamseg.engines import TensorSpec, check_inputs
from streamseg.engines.onnx_session import (
    ONNX_TYPES,
    OnnxRuntimeOptions,
    one_line,
    open_session,
    spec_of,
)
from streamseg.errors import EngineError


class OnnxRuntimeEngine:
    """An ONNX file with static shapes as an engine.

    Args:
        part: Its name.
        source: The file, or its bytes.
        options: See `OnnxRuntimeOptions`.

    Raises:
        EngineError: A provider is not there, or the file does not load.
        MissingDependencyError: onnxruntime is not installed.
    """

    def __init__(
        self, part: str, source: Path | bytes, options: OnnxRuntimeOptions | None = None
    ) -> None:
        self.part = part
        self._options = options or OnnxRuntimeOptions()
        self._session = open_session(part, source, self._options)
        self.inputs = tuple(spec_of(part, node) for node in self._session.get_inputs())
        self.outputs = tuple(spec_of(part, node) for node in self._session.get_outputs())
        on_gpu = self._options.providers[0] != "cpu"
        self._device = torch.device("cuda", self._options.device_id) if on_gpu else _CPU
        self._numbers = dict(ONNX_TYPES.values())

    @property
    def device(self) -> torch.device:
        """Where inputs must lie, and outputs will."""
        return self._device

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `Engine.run`. Nothing is copied but inputs that are not contiguous."""
        check_inputs(self.part, self.inputs, inputs)
        held = {name: tensor.contiguous() for name, tensor in inputs.items()}
        outputs = {
            spec.name: torch.empty(
                spec.shape, dtype=getattr(torch, spec.dtype), device=self._device
            )
            for spec in self.outputs
        }
        binding = self._session.io_binding()
        for spec in self.inputs:
            binding.bind_input(spec.name, *self._place(spec, held[spec.name]))
        for spec in self.outputs:
            binding.bind_output(spec.name, *self._place(spec, outputs[spec.name]))
        if self._device.type == "cuda":  # what torch still computes, the session would read
            torch.cuda.current_stream(self._device).synchronize()
        try:
            self._session.run_with_iobinding(binding)
        except Exception as error:
            raise EngineError(f"{self.part}: ONNX Runtime failed: {one_line(error)}") from error
        return outputs

    def _place(self, spec: TensorSpec, tensor: Tensor) -> tuple[Any, ...]:
        """Device, its index, element type, shape and address, as a binding wants them."""
        if tensor.device.type != self._device.type:
            raise EngineError(
                f"{self.part}: input {spec.name!r}: expected it on {self._device}, "
                f"got {tensor.device}"
            )
        number = self._numbers[spec.dtype]
        return tensor.device.type, tensor.device.index or 0, number, spec.shape, tensor.data_ptr()


_CPU = torch.device("cpu")
