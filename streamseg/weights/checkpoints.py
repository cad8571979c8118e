"""A weights file from anywhere → tensors by name, or a refusal; runs no code a file may hold."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from streamseg.borders.paths import trouble_with_path
from streamseg.errors import CheckpointError, MissingDependencyError

if TYPE_CHECKING:
    from torch import Tensor

Shapes = Mapping[str, Sequence[int]]


SUFFIXES = frozenset({".safetensors", ".pth", ".pt", ".bin"})
"""Of weights files."""


def read_state(path: Path, inside: str | None = None) -> dict[str, Tensor]:
    """Read every tensor of a `.safetensors` or torch (`.pth`, `.pt`, `.bin`) file onto the CPU.

    A torch file is a pickle, and a pickle can hold code: it is read by torch's restricted
    unpickler, which knows tensors and plain containers only.

    Args:
        path: The file.
        inside: Where the file holds the tensors under this name, beside what training left (as
            Meta's do: "model"), those are read and the rest is not looked at.

    Raises:
        CheckpointError: The file is missing, truncated, holds code, or holds no tensors.
        MissingDependencyError: torch or safetensors is not installed.
    """
    if trouble := trouble_with_path(path):
        raise CheckpointError(f"no weights file: {trouble}")
    if not path.is_file():
        raise CheckpointError(f"no weights file {path}: give the path of a file that exists")
    state = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    if isinstance(state, dict) and isinstance(state.get(inside), dict):
        state = state[inside]
    if not isinstance(state, dict) or not state:
        raise CheckpointError(f"{path}: expected tensors by name, got {_describe(state)}")
    odd = [str(key) for key, value in state.items() if not _is_tensor(key, value)]
    if odd:
        raise CheckpointError(
            f"{path}: expected tensors by name, got something else at: {', '.join(odd)}"
        )
    return state


def check_shapes(path: Path, expected: Shapes, found: Shapes, ignore: Sequence[str] = ()) -> None:
    """Hold what a file has against what a network needs, key by key.

    Args:
        path: The file, for the message.
        expected: Shape by name that the network needs.
        found: Shape by name in the file.
        ignore: Patterns (matched at the start) of names that the file may hold in excess.

    Raises:
        CheckpointError: Naming every key that is missing, unexpected or of another shape.
    """
    missing = [key for key in expected if key not in found]
    unexpected = [
        key
        for key in found
        if key not in expected and not any(re.match(pattern, key) for pattern in ignore)
    ]
    shapes = [
        f"{key} (expected {tuple(expected[key])}, got {tuple(found[key])})"
        for key in expected
        if key in found and tuple(expected[key]) != tuple(found[key])
    ]
    faults = (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
    lines = [f"{what}: {', '.join(sorted(keys))}" for what, keys in faults if keys]
    if lines:
        raise CheckpointError(f"{path} is not a checkpoint of this network; {'; '.join(lines)}")


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Shape by name."""
    return {key: tuple(value.shape) for key, value in state.items()}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise MissingDependencyError("safetensors", "neural") from None
    try:
        return dict(load_file(path))
    except Exception as error:  # noqa: BLE001 - a hostile file may fail in any way at all
        raise _damaged(path, error) from None


def _read_torch(path: Path) -> object:
    try:
        import torch
    except ImportError:
        raise MissingDependencyError("torch", "neural") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old pickle protocols; the refusal says it all
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - a hostile file may fail in any way at all
        forbidden = re.search(r"GLOBAL (\S+)", str(error))
        if forbidden:
            raise CheckpointError(
                f"{path} holds code ({forbidden[1]}), not only weights: it is refused and none of "
                "it was run; get the file again from where its makers publish it"
            ) from None
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> CheckpointError:
    detail = " ".join(str(error).split())[:120] or type(error).__name__
    return CheckpointError(
        f"{path} ({path.stat().st_size} bytes) is truncated or is no weights file ({detail}): "
        "delete it and get it again"
    )


def _is_tensor(key: object, value: object) -> bool:
    import torch

    return isinstance(key, str) and isinstance(value, torch.Tensor)


def _describe(value: object) -> str:
    return "nothing" if value in ({}, None) else type(value).__name__
