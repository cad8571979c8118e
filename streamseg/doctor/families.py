"""The engine families: which of them can be used here, and what would mend those that cannot."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from streamseg.errors import StreamSegError

Report = dict[str, Any]


def _family(usable: bool, detail: str, mend: str = "") -> Report:
    return {"usable": usable, "detail": detail, "mend": mend}


def _missing(package: str, extra: str) -> Report:
    return _family(False, f"{package} is not installed", f'run pip install "streamseg[{extra}]"')


def _torch() -> Report:
    if find_spec("torch") is None:
        return _missing("torch", "neural")
    import torch

    devices = ["cpu"]
    devices += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return _family(True, f"torch {torch.__version__} on {', '.join(devices)}")


def _onnxruntime(provider: str) -> Callable[[], Report]:
    def check() -> Report:
        if find_spec("onnxruntime") is None:
            return _missing("onnxruntime", "export" if provider == "cpu" else "gpu")
        if find_spec("torch") is None:
            return _missing("torch", "neural")
        import onnxruntime

        from streamseg.engines.onnx_session import available_providers

        there = available_providers()
        detail = f"onnxruntime {onnxruntime.__version__} has {', '.join(there)}"
        if provider not in there:
            return _family(False, detail, 'run pip install "streamseg[gpu]"')
        return _family(True, detail)

    return check


def _tensorrt(family: str) -> Callable[[], Report]:
    def check() -> Report:
        if find_spec("torch") is None:
            return _missing("torch", "neural")
        from streamseg.engines import tensorrt

        try:
            library = tensorrt.load_library(family)  # type: ignore[arg-type]
        except StreamSegError:
            return _missing(family, family)
        detail = f"{family} {library.__version__}"
        if tensorrt.gpu_target() is None:
            builds = " (it builds for cards elsewhere)" if family == "tensorrt-rtx" else ""
            mend = "needs an NVIDIA GPU, its driver, and torch with CUDA"
            return _family(False, f"{detail}, no GPU that torch can use{builds}", mend)
        return _family(True, detail)

    return check


FAMILIES: dict[str, Callable[[], Report]] = {
    "torch": _torch,
    "onnxruntime cpu": _onnxruntime("cpu"),
    "onnxruntime cuda": _onnxruntime("cuda"),
    "onnxruntime tensorrt": _onnxruntime("tensorrt"),
    "tensorrt": _tensorrt("tensorrt"),
    "tensorrt-rtx": _tensorrt("tensorrt-rtx"),
}
