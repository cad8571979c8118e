"""ONNX Runtime as an engine: a file and providers, inputs and outputs bound where they lie."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from streamseg.engines import TensorSpec, check_inputs
from streamseg.errors import EngineError, MissingDependencyError

Provider = Literal["cpu", "cuda", "tensorrt"]

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_DTYPES = {
    "tensor(float)": ("float32", 1),
    "tensor(int32)": ("int32", 6),
    "tensor(int64)": ("int64", 7),
    "tensor(bool)": ("bool", 9),
    "tensor(float16)": ("float16", 10),
    "tensor(bfloat16)": ("bfloat16", 16),
}
"""ONNX's name of a type: ours, and its number in ONNX (TensorProto.DataType)."""


@dataclass(frozen=True, slots=True)
class OnnxRuntimeOptions:
    """How ONNX Runtime runs a part.

    Attributes:
        providers: In order of preference; every one must be there.
        threads: Within an operator, on the CPU; 0: as many as there are cores.
        device_id: Of the GPU.
        cache: Where the TensorRT provider keeps what it timed; None: it times anew. Its engines
            are not kept: they are executable code, which it would load without asking us.
    """

    providers: tuple[Provider, ...] = ("cpu",)
    threads: int = 0
    device_id: int = 0
    cache: Path | None = None


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
        self._session = _session(part, source, self._options)
        self.inputs = tuple(_spec(part, node) for node in self._session.get_inputs())
        self.outputs = tuple(_spec(part, node) for node in self._session.get_outputs())
        on_gpu = self._options.providers[0] != "cpu"
        self._device = torch.device("cuda", self._options.device_id) if on_gpu else _CPU
        self._numbers = dict(_DTYPES.values())

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
            raise EngineError(f"{self.part}: ONNX Runtime failed: {_line(error)}") from error
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


def available_providers() -> tuple[Provider, ...]:
    """Those that the installed ONNX Runtime brings.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
    """
    there = _import().get_available_providers()
    return tuple(ours for ours, theirs in _PROVIDERS.items() if theirs in there)  # type: ignore[misc]


def require(providers: Sequence[Provider], part: str = "its engines") -> None:
    """Raise where a provider is missing.

    Raises:
        EngineError: This ONNX Runtime does not bring it; says who does.
        MissingDependencyError: onnxruntime is not installed.
    """
    there = available_providers()
    for wanted in providers:
        if wanted not in there:
            raise EngineError(
                f"{part}: expected ONNX Runtime's provider {wanted!r}, this one has "
                f'{", ".join(there)}; pip install "streamseg[gpu]" brings cuda and tensorrt'
            )


def _import() -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise MissingDependencyError("onnxruntime", "export") from None
    return onnxruntime


def _session(part: str, source: Path | bytes, options: OnnxRuntimeOptions) -> Any:
    runtime = _import()
    require(options.providers, part)
    settings = runtime.SessionOptions()
    settings.log_severity_level = 3
    settings.intra_op_num_threads = options.threads or os.cpu_count() or 1
    # Threads that wait busily between runs take the cores from what torch does in the meantime.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    content = str(source) if isinstance(source, Path) else source
    try:
        return runtime.InferenceSession(content, settings, providers=_chosen(options))
    except Exception as error:
        raise EngineError(
            f"{part}: ONNX Runtime cannot load {source if isinstance(source, Path) else 'it'}: "
            f"{_line(error)}"
        ) from error


def _chosen(options: OnnxRuntimeOptions) -> Sequence[tuple[str, dict[str, Any]]]:
    """Providers with their settings; the CPU last, for operators that no other one has."""
    chosen = []
    for provider in dict.fromkeys((*options.providers, "cpu")):
        settings: dict[str, Any] = {}
        if provider != "cpu":
            settings["device_id"] = options.device_id
        if provider == "tensorrt" and options.cache is not None:
            settings |= {
                "trt_engine_cache_enable": False,
                "trt_timing_cache_enable": True,
                "trt_timing_cache_path": str(options.cache),
            }
        chosen.append((_PROVIDERS[provider], settings))
    return chosen


def _spec(part: str, node: Any) -> TensorSpec:
    shape = tuple(node.shape)
    if node.type not in _DTYPES or not all(isinstance(side, int) for side in shape):
        raise EngineError(
            f"{part}: expected static shapes, got {node.name!r} {node.type} {list(shape)}; "
            "export it with `streamseg export`"
        )
    return TensorSpec(node.name, shape, _DTYPES[node.type][0])


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
