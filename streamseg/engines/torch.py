"""PyTorch as an engine: which device, and the parts of our networks that stages may call."""

from __future__ import annotations

import torch

from streamseg.errors import ConfigError, EngineError
from streamseg.nets.attention import address, probe

__all__ = ["address", "pick_device", "probe"]


def pick_device(name: str) -> torch.device:
    """Turn `auto`, `cpu`, `cuda`, `cuda:1` or `mps` into a device that is there.

    Raises:
        ConfigError: No such kind of device.
        EngineError: This machine has none of it.
    """
    if name == "auto":
        return torch.device(_best())
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(
            f"expected a device such as auto, cpu, cuda, cuda:1 or mps, got {name!r}"
        ) from None
    if device.type not in ("cpu", "cuda", "mps"):
        raise ConfigError(f"expected a device such as auto, cpu, cuda or mps, got {name!r}")
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
