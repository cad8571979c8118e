"""PyTorch as an engine: which device, and the parts of our networks that stages may call."""

from __future__ import annotations

import threading
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

from streamseg.config import trouble_with_device
from streamseg.engines import TensorSpec, check_inputs
from streamseg.engines.packing import can_pack, packed
from streamseg.errors import ConfigError, EngineError
from streamseg.nets.attention import address, probe
from streamseg.nets.sam2_decoder import (
    ABSENT,
    BOX_END,
    BOX_POINTS,
    BOX_START,
    NEGATIVE,
    NO_POINT,
    POSITIVE,
)
from streamseg.nets.xmem import XMem

__all__ = [
    "ABSENT",
    "BOX_END",
    "BOX_POINTS",
    "BOX_START",
    "NEGATIVE",
    "NO_POINT",
    "POSITIVE",
    "TorchEngine",
    "TorchOptions",
    "XMem",
    "address",
    "aggregate",
    "pick_device",
    "probe",
]

aggregate = XMem.aggregate
_Forward = Callable[[Sequence[Tensor]], tuple[Tensor, ...]]


@dataclass(frozen=True, slots=True)
class TorchOptions:
    """How torch runs a part.

    Attributes:
        channels_last: Pictures and convolutions' weights lie channel by channel.
        packed: Linear layers as oneDNN likes them: see `packing`; only on a CPU.
        autocast: Convolutions and products in bfloat16 though weights are float32.
        compile: Through torch.compile; the first run takes a while.
        cuda_graph: Recorded once, replayed with one launch; only where CUDA is.
    """

    channels_last: bool = False
    packed: bool = False
    autocast: bool = False
    compile: bool = False
    cuda_graph: bool = False


class TorchEngine:
    """A module as an engine.

    Args:
        part: Its name.
        module: Takes the inputs in order; moved to `device` and brought to channels-last in place.
        inputs: In order.
        outputs: Names, in the order that the module returns them.
        device: Where it runs; inputs must lie there.
        options: See `TorchOptions`.

    Raises:
        EngineError: The options ask for what the device does not have.
    """

    def __init__(
        self,
        part: str,
        module: nn.Module,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[str],
        device: torch.device,
        options: TorchOptions | None = None,
    ) -> None:
        self.part = part
        self.inputs = tuple(inputs)
        self._options = options or TorchOptions()
        self._device = device
        if self._options.cuda_graph and device.type != "cuda":
            raise EngineError(f"{part}: expected a CUDA device for a CUDA graph, got {device}")
        self._module = module.to(device).eval()
        if self._options.channels_last:
            _channels_last(self._module)
        self.outputs = _output_specs(self._module, self.inputs, outputs, device)
        if self._options.packed:
            _check_packable(part, self._options, device, _dtype_of(self._module))
            self._module = packed(self._module)
        self._call: Callable[..., Tensor | Sequence[Tensor]] = self._module
        if self._options.compile:
            self._call = _compiled(part, self._module, device)
        self._graph: _Graph | None = None
        self._lock = threading.Lock()

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `Engine.run`."""
        check_inputs(self.part, self.inputs, inputs)
        ordered = [self._arranged(inputs[spec.name]) for spec in self.inputs]
        with torch.inference_mode():
            if self._options.cuda_graph:
                results = self._replayed(ordered)
            else:
                results = self._forward(ordered)
        return {spec.name: tensor for spec, tensor in zip(self.outputs, results, strict=True)}

    def _arranged(self, tensor: Tensor) -> Tensor:
        if self._options.channels_last and tensor.dim() == 4:
            return tensor.contiguous(memory_format=torch.channels_last)
        return tensor

    def _forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._options.autocast):
            results = _tuple(self._call(*inputs))
        if not self._options.autocast:
            return results
        specs = zip(results, self.outputs, strict=True)
        return tuple(tensor.to(getattr(torch, spec.dtype)) for tensor, spec in specs)

    def _replayed(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        with self._lock:
            if self._graph is None:
                self._graph = _Graph(self._forward, inputs)
            return self._graph.replay(inputs)


class _Graph:
    """One recorded run: inputs are copied in, outputs copied out."""

    def __init__(self, forward: _Forward, inputs: Sequence[Tensor]) -> None:
        self._inputs = [tensor.clone() for tensor in inputs]
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):  # lazily made handles and chosen algorithms must not be recorded
                forward(self._inputs)
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._outputs = forward(self._inputs)

    def replay(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        for held, given in zip(self._inputs, inputs, strict=True):
            held.copy_(given)
        self._graph.replay()
        return tuple(tensor.clone() for tensor in self._outputs)


def _dtype_of(module: nn.Module) -> torch.dtype:
    """Of its weights; float32 if it has none."""
    return next((weight.dtype for weight in module.parameters()), torch.float32)


def _check_packable(
    part: str, options: TorchOptions, device: torch.device, dtype: torch.dtype
) -> None:
    if device.type != "cpu" or not can_pack(dtype):
        raise EngineError(
            f"{part}: expected a CPU, and torch with oneDNN, that pack linear layers in {dtype}, "
            f"got {device} and torch {torch.__version__}; leave packed out"
        )
    if options.autocast or options.compile:
        raise EngineError(
            f"{part}: expected packed alone, got it with autocast or compile, which lay weights "
            "out themselves"
        )


def _channels_last(module: nn.Module) -> None:
    """Convolutions' weights channel by channel; other four-dimensional ones stay."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _compiled(part: str, module: nn.Module, device: torch.device) -> Callable[..., Any]:
    """The module through torch.compile, whole or not at all, under a code object of its own.

    Torch counts compilations by code object, and eight engines of one kind would be enough for it
    to go on uncompiled. On a CPU weights become constants, laid out as the kernels read them.
    """

    def run(*inputs: Tensor) -> Any:
        return module(*inputs)

    own = types.FunctionType(
        run.__code__.replace(co_name=part), run.__globals__, part, None, run.__closure__
    )
    options: dict[str, Any] | None = {"freezing": True} if device.type == "cpu" else None
    return torch.compile(own, dynamic=False, fullgraph=True, options=options)


def _output_specs(
    module: nn.Module, inputs: Sequence[TensorSpec], names: Sequence[str], device: torch.device
) -> tuple[TensorSpec, ...]:
    """What comes out, found by a run without numbers."""
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        fakes = [
            torch.empty(spec.shape, dtype=getattr(torch, spec.dtype), device=device)
            for spec in inputs
        ]
        results = _tuple(module(*fakes))
    return tuple(TensorSpec.of(name, out) for name, out in zip(names, results, strict=True))


def _tuple(results: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (results,) if isinstance(results, Tensor) else tuple(results)


def pick_device(name: str) -> torch.device:
    """Turn `auto`, `cpu`, `cuda`, `cuda:1` or `mps` into a device that is there.

    Raises:
        ConfigError: No such kind of device.
        EngineError: This machine has none of it.
    """
    if trouble := trouble_with_device(name):  # torch ends the process at cuda:99999999999
        raise ConfigError(trouble)
    if name == "auto":
        return torch.device(_best())
    device = torch.device(name)
    if not _present(device):
        raise EngineError(f"device {name!r} is not on this machine; use auto or cpu")
    return device


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _present(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    return device.type == "cpu" or torch.backends.mps.is_available()
