"""What a figure was measured on: a figure without its machine means nothing."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

from streamseg.loop.summary import versions


def describe() -> dict[str, Any]:
    """Processor, cores, memory in GiB, and library versions, in plain values."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "versions": versions(),
    }


def report(name: str, figures: dict[str, Any], path: Path | None) -> None:
    """Print one JSON line for machines, and keep it in `path` if given."""
    line = json.dumps({"benchmark": name, **figures, "machine": describe()}, ensure_ascii=False)
    print(line)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line + "\n", encoding="utf-8")


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
