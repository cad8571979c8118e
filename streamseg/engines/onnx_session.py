"""Opens ONNX Runtime's sessions: providers, threads, errors in words; knows no torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from streamseg.engines import TensorSpec
from streamseg.errors import EngineError, MissingDependencyError

Provider = Literal["cpu", "cuda", "tensorrt"]

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
ONNX_TYPES = {
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
        lengths: Inputs are of another length at every run: how memory was laid out for one is then
            not kept, for it would be for each of them.
    """

    providers: tuple[Provider, ...] = ("cpu",)
    threads: int = 0
    device_id: int = 0
    cache: Path | None = None
    lengths: bool = False


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


def open_session(part: str, source: Path | bytes, options: OnnxRuntimeOptions) -> Any:
    """An `onnxruntime.InferenceSession` on a file or its bytes.

    Raises:
        EngineError: A provider is not there, or the file does not load.
        MissingDependencyError: onnxruntime is not installed.
    """
    runtime = _import()
    require(options.providers, part)
    settings = runtime.SessionOptions()
    settings.log_severity_level = 3
    settings.intra_op_num_threads = options.threads or os.cpu_count() or 1
    settings.enable_mem_pattern = not options.lengths
    # Threads that wait busily between runs take the cores from what torch does in the meantime.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    content = str(source) if isinstance(source, Path) else source
    try:
        return runtime.InferenceSession(content, settings, providers=_chosen(options))
    except Exception as error:
        raise EngineError(
            f"{part}: ONNX Runtime cannot load {source if isinstance(source, Path) else 'it'}: "
            f"{one_line(error)}"
        ) from error


def spec_of(part: str, node: Any) -> TensorSpec:
    """What an input or output of a session looks like.

    Raises:
        EngineError: Its shape is not static, or its type is none of ours.
    """
    shape = tuple(node.shape)
    if node.type not in ONNX_TYPES or not all(isinstance(side, int) for side in shape):
        raise EngineError(
            f"{part}: expected static shapes, got {node.name!r} {node.type} {list(shape)}; "
            "export it with fixed sizes (`streamseg export` does)"
        )
    return TensorSpec(node.name, shape, ONNX_TYPES[node.type][0])


def is_open(node: Any) -> bool:
    """Whether an input of a session leaves sides open, for whoever calls to choose."""
    return not all(isinstance(side, int) for side in node.shape)


def closed(part: str, node: Any, shape: tuple[int, ...]) -> TensorSpec:
    """What an input looks like whose open sides are those of `shape`.

    Raises:
        EngineError: Its other sides are not, or its type is none of ours.
    """
    sides = zip(node.shape, shape, strict=False)
    agree = len(node.shape) == len(shape) and all(
        side == given for side, given in sides if isinstance(side, int)
    )
    if node.type not in ONNX_TYPES or not agree:
        raise EngineError(
            f"{part}: expected an input of {list(shape)}, got {node.name!r} {node.type} "
            f"{list(node.shape)}"
        )
    return TensorSpec(node.name, shape, ONNX_TYPES[node.type][0])


def one_line(error: Exception) -> str:
    """ONNX Runtime's words, short."""
    return " ".join(str(error).split())[:300]


def _import() -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise MissingDependencyError("onnxruntime", "everyday") from None
    return onnxruntime


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
