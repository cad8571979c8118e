"""The machine: its processor, memory and cards."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

Report = dict[str, Any]
_CPU_FEATURES = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "neon", "asimd")


def machine() -> Report:
    info = _read("/proc/cpuinfo")
    flags = _field(info, "flags").split() or _field(info, "Features").split()
    memory = _read("/proc/meminfo")
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _field(info, "model name") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "features": [feature for feature in _CPU_FEATURES if feature in flags],
        "memory_gib": _gib(_field(memory, "MemTotal")),
        "free_gib": _gib(_field(memory, "MemAvailable")),
    }


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _field(text: str, name: str) -> str:
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip() == name:
            return value.strip()
    return ""


def _gib(kilobytes: str) -> float | None:
    number = kilobytes.partition(" ")[0]
    return round(int(number) / 2**20, 1) if number.isdigit() else None


def gpus() -> Report:
    """NVIDIA cards by NVML, which needs the driver and nothing else."""
    try:
        import pynvml
    except ImportError:
        reason = 'pip install "streamseg[gpu]" to look for one'
        return {"found": [], "reason": reason}
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return {"found": [], "reason": f"no NVIDIA driver answers ({error})"}
    try:
        return {
            "found": [_gpu(pynvml, i) for i in range(pynvml.nvmlDeviceGetCount())],
            "reason": "",
        }
    except pynvml.NVMLError as error:
        return {"found": [], "reason": f"NVML failed: {error}"}
    finally:
        pynvml.nvmlShutdown()


def _gpu(nvml: Any, index: int) -> Report:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    name, driver = nvml.nvmlDeviceGetName(handle), nvml.nvmlSystemGetDriverVersion()
    return {
        "name": name,
        "target": f"sm{major}{minor}",
        "memory_gib": round(nvml.nvmlDeviceGetMemoryInfo(handle).total / 2**30, 1),
        "driver": driver,
    }
