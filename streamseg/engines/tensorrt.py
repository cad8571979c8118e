"""TensorRT as an engine: `tensorrt` on servers and Jetson, `tensorrt_rtx` on desktop RTX.

One implementation over what the two libraries have in common. A plan comes as bytes that the
caller has held against a manifest (`engines.manifest.trusted_bytes`): it is executable code.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from streamseg.engines import TensorSpec, check_inputs
from streamseg.errors import EngineError, MissingDependencyError

Family = Literal["tensorrt", "tensorrt-rtx"]

_MODULES = {
    "tensorrt": ("tensorrt",),
    # The meta package brings the name tensorrt_rtx, the bindings' wheel alone its own.
    "tensorrt-rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
_WARMUP_RUNS = 2


def load_library(family: Family) -> Any:
    """The family's Python module.

    Raises:
        MissingDependencyError: It is not installed, or its libraries do not load.
    """
    reason = ""
    for name in _MODULES[family]:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        except (ImportError, OSError) as error:
            reason = f"{name} does not load: {error}"
    raise MissingDependencyError(family, family, reason)


class Log:
    """Keeps what a TensorRT library says, to be told when something fails."""

    def __init__(self, library: Any) -> None:
        self.lines: list[str] = []
        lines, base = self.lines, library.ILogger
        serious = base.Severity.ERROR

        class Listener(base):  # type: ignore[misc, valid-type]
            def __init__(self) -> None:
                base.__init__(self)

            def log(self, severity: Any, message: str) -> None:
                if severity <= serious and len(lines) < 100:
                    lines.append(" ".join(message.split())[:300])

        self.listener = Listener()

    def last(self) -> str:
        """The newest complaint."""
        return self.lines[-1] if self.lines else "no reason given"


class TensorRtEngine:
    """A plan on the GPU that it was built for.

    Args:
        part: Its name.
        plan: The plan's bytes, trusted.
        family: The library that built it.
        rebuild: The command that would build it anew, for errors.
        device: A CUDA device; inputs must lie there.
        cuda_graph: Record a run once and replay it.

    Raises:
        EngineError: No GPU, or a plan from another version or for another card.
        MissingDependencyError: The library is not installed.
    """

    def __init__(
        self,
        part: str,
        plan: bytes,
        family: Family,
        rebuild: str,
        device: torch.device | None = None,
        *,
        cuda_graph: bool = False,
    ) -> None:
        self.part = part
        library = load_library(family)
        if not torch.cuda.is_available():
            raise EngineError(f"{part}: expected an NVIDIA GPU to run {family} on, found none")
        self.device = device or torch.device("cuda", torch.cuda.current_device())
        self._log = Log(library)
        self._lock = threading.Lock()
        with torch.cuda.device(self.device):
            self._runtime = library.Runtime(self._log.listener)
            self._engine = self._runtime.deserialize_cuda_engine(plan)
            if self._engine is None:
                raise EngineError(
                    f"{part}: the plan does not load with {family} {library.__version__} on "
                    f"{torch.cuda.get_device_name(self.device)} ({self._log.last()}); "
                    f"rebuild it: {rebuild}"
                )
            self._context = self._engine.create_execution_context()
            self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        if self._context is None:
            raise EngineError(f"{part}: no memory for its context ({self._log.last()})")
        self.inputs, self.outputs = _specs(library, self._engine)
        self._held = {spec.name: _buffer(spec, self.device) for spec in self.inputs}
        self._results = {spec.name: _buffer(spec, self.device) for spec in self.outputs}
        for name, buffer in (*self._held.items(), *self._results.items()):
            self._context.set_tensor_address(name, buffer.data_ptr())
        self._graph = self._recorded() if cuda_graph else None

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `Engine.run`. Runs on a stream of its own, in order with the caller's."""
        check_inputs(self.part, self.inputs, inputs)
        with self._lock, torch.cuda.device(self.device):
            caller = torch.cuda.current_stream(self.device)
            self._stream.wait_stream(caller)
            with torch.cuda.stream(self._stream):
                for name, tensor in inputs.items():
                    self._held[name].copy_(tensor, non_blocking=True)
                    tensor.record_stream(self._stream) if tensor.is_cuda else None
                if self._graph is not None:
                    self._graph.replay()
                else:
                    self._enqueue()
                outputs = {name: buffer.clone() for name, buffer in self._results.items()}
            caller.wait_stream(self._stream)
            for tensor in outputs.values():
                tensor.record_stream(caller)
        return outputs

    def _enqueue(self) -> None:
        stream = torch.cuda.current_stream(self.device).cuda_stream
        if not self._context.execute_async_v3(stream):
            raise EngineError(f"{self.part}: TensorRT failed: {self._log.last()}")

    def _recorded(self) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device), torch.cuda.stream(self._stream):
            for _ in range(_WARMUP_RUNS):
                self._enqueue()
        self._stream.synchronize()
        with torch.cuda.graph(graph, stream=self._stream):
            self._enqueue()
        return graph


def gpu_target(device: torch.device | None = None) -> str | None:
    """The compute capability of the GPU that is here, such as "sm86"; None without one."""
    if not torch.cuda.is_available():
        return None
    major, minor = torch.cuda.get_device_capability(device)
    return f"sm{major}{minor}"


def _specs(library: Any, engine: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    inputs: list[TensorSpec] = []
    outputs: list[TensorSpec] = []
    names = _dtype_names(library)
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        spec = TensorSpec(
            name, tuple(engine.get_tensor_shape(name)), names[engine.get_tensor_dtype(name)]
        )
        is_input = engine.get_tensor_mode(name) == library.TensorIOMode.INPUT
        (inputs if is_input else outputs).append(spec)
    return tuple(inputs), tuple(outputs)


def _dtype_names(library: Any) -> dict[Any, str]:
    ours = {
        "FLOAT": "float32",
        "HALF": "float16",
        "BF16": "bfloat16",
        "INT32": "int32",
        "INT64": "int64",
        "BOOL": "bool",
    }
    found = {}
    for theirs, name in ours.items():
        with contextlib.suppress(AttributeError):  # older libraries lack the newer types
            found[getattr(library.DataType, theirs)] = name
    return found


def _buffer(spec: TensorSpec, device: torch.device) -> Tensor:
    return torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype), device=device)
