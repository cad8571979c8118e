"""What this machine can run: its parts, each engine family, the engines of a config, the cache."""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamseg.config import Config, NetworkSection
from streamseg.errors import StreamSegError
from streamseg.masking import mask
from streamseg.version import __version__

if TYPE_CHECKING:
    from streamseg.engines.manifest import Entry

_CPU_FEATURES = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "neon", "asimd")
Report = dict[str, Any]


def examine(config: Config | None = None) -> Report:
    """Look at the machine; builds nothing, and loads networks only to find their engines' files.

    Args:
        config: Also say which engine its parts would run on.

    Returns:
        Plain values, by keys that stay:
        streamseg: version.
        machine: python, system, processor, cores, features, memory_gib, free_gib.
        gpus: found (name, target, memory_gib, driver) and, where none is, the reason.
        families: by name, usable, detail, and the command that would mend it.
        cache: folder, files (part, file, format, precision, target, nbytes, and its state:
            whole, damaged or missing), mib in all, problem.
        auto: config, which it would take, and said, why not a better one.
        hub: cache, endpoint, offline, and token: whether there is one, never its value.
        With a config, config: its name; parts: per network, part, engine, family, reason,
            objects (buckets), files (by part: folder, cache, to be built, or what is wrong)
            and problem, "" where it can run.
    """
    families = {name: check() for name, check in _FAMILIES.items()}
    found: Report = {
        "streamseg": __version__,
        "machine": _machine(),
        "gpus": _gpus(),
        "families": families,
        "cache": _cache(),
        "auto": _auto(),
        "hub": _hub(),
    }
    if config is not None:
        found["config"] = config.name
        found["parts"] = _parts(config, families)
    return found


def can_run(found: Report) -> bool:
    """Whether all that the config needs is here; true without a config."""
    return not any(part["problem"] for part in found.get("parts", ()))


def to_json(found: Report) -> str:
    """One object, indented."""
    return json.dumps(found, indent=2, ensure_ascii=False)


def to_text(found: Report) -> str:
    """For people: a line each."""
    return "\n".join(_lines(found))


def _lines(found: Report) -> Iterator[str]:
    machine = found["machine"]
    yield f"streamseg {found['streamseg']}, Python {machine['python']}, {machine['system']}"
    yield f"processor  {machine['processor']}, {machine['cores']} cores"
    yield f"           {', '.join(machine['features']) or 'no vector features known'}"
    yield f"memory     {machine['memory_gib']} GiB, {machine['free_gib']} GiB free"
    if not found["gpus"]["found"]:
        yield f"GPU        none: {found['gpus']['reason']}"
    for gpu in found["gpus"]["found"]:
        yield (
            f"GPU        {gpu['name']}, {gpu['target']}, {gpu['memory_gib']} GiB, "
            f"driver {gpu['driver']}"
        )
    yield "engines"
    for name, family in found["families"].items():
        state = "usable" if family["usable"] else "not usable"
        mend = f"; {family['mend']}" if family["mend"] else ""
        yield f"  {name:22} {state}: {family['detail']}{mend}"
    for part in found.get("parts", ()):
        yield from _part_lines(part)
    cache = found["cache"]
    yield f"cache      {cache['folder']}: {len(cache['files'])} engines, {cache['mib']} MiB"
    for file in cache["files"]:
        kind = " ".join(w for w in (file["format"], file["precision"], file["target"]) if w)
        size = f"{file['nbytes'] / 2**20:.1f} MiB"
        yield f"  {file['part']:30} {kind:24} {size:>10}  {file['state']}"
    if cache["problem"]:
        yield f"           {cache['problem']}"
    hub = found["hub"]
    token = "a token" if hub["token"] else "no token (gated models want one: hf auth login)"
    yield f"hub        {hub['endpoint']}{', offline' if hub['offline'] else ''}, {token}"
    yield f"           its cache is {hub['cache']}"
    yield f"auto       {found['auto']['said']}"


def _part_lines(part: Report) -> Iterator[str]:
    yield f"{part['part']}"
    yield f"  runs on {part['engine']} ({part['reason']})"
    if part["objects"]:
        yield f"  for {', '.join(str(count) for count in part['objects'])} objects"
    for origin, count in Counter(part["files"].values()).items():
        yield f"  {count} of {len(part['files'])} engines: {_ORIGIN_WORDS.get(origin, origin)}"
    if part["problem"]:
        yield f"  cannot run: {part['problem']}"


_ORIGIN_WORDS = {"folder": "from the folder named", "cache": "from the cache"}


# ── the machine ──────────────────────────────────────────────────────────────────────────────


def _machine() -> Report:
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


def _gpus() -> Report:
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


# ── the engine families ──────────────────────────────────────────────────────────────────────


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


_FAMILIES: dict[str, Callable[[], Report]] = {
    "torch": _torch,
    "onnxruntime cpu": _onnxruntime("cpu"),
    "onnxruntime cuda": _onnxruntime("cuda"),
    "onnxruntime tensorrt": _onnxruntime("tensorrt"),
    "tensorrt": _tensorrt("tensorrt"),
    "tensorrt-rtx": _tensorrt("tensorrt-rtx"),
}


# ── the engines of a config, and the cache ───────────────────────────────────────────────────


def _parts(config: Config, families: Report) -> list[Report]:
    """Per stage of a config that runs a network: which family runs it, and where its files are."""
    stages: dict[str, tuple[str, Any]] = {}
    if config.propagation.backend == "xmem":
        stages["xmem"] = ("propagation.xmem", config.propagation.xmem)
    if config.propagation.backend == "sam2":
        stages["sam2_video"] = ("propagation.sam2", config.propagation.sam2)
    if config.segmentation.backend == "sam2":
        stages["sam2_image"] = ("segmentation.sam2", config.segmentation.sam2)
    rows = {
        network: _choice(name, section, families) for network, (name, section) in stages.items()
    }
    if any(row["family"] not in (None, "torch") and not row["problem"] for row in rows.values()):
        _add_files(config, rows, {network: section for network, (_, section) in stages.items()})
    return [*rows.values(), *_exported_reasoner(config)]


def _exported_reasoner(config: Config) -> Iterator[Report]:
    """The same of a reasoner that was exported, its files held against their hashes."""
    if "exported" not in (config.reasoning.fast.backend, config.reasoning.deep.backend):
        return
    from streamseg.reasoning.models.exported import chat, record

    section = config.reasoning.exported
    row: Report = {"part": "reasoning.exported", "engine": "nothing", "family": None}
    row |= {"reason": f"folder {section.folder or 'not named'}", "objects": [], "files": {}}
    try:
        place, described, precision = chat.prepare(section)
        row |= {"engine": f"onnxruntime {section.provider}", "family": "onnxruntime"}
        chosen = described.precisions[precision]
        row["reason"] = f"{described.source} in {precision}, {chosen.agreement}"
        graphs = (chosen.vision.files[0], chosen.decoder.files[0])
        row["files"] = dict.fromkeys(graphs, "folder")
        record.check_hashes(place, described, precision)
    except StreamSegError as error:
        yield {**row, "problem": str(error)}
        return
    yield {**row, "problem": ""}


def _choice(part: str, section: NetworkSection, families: Report) -> Report:
    engine = section.engine
    refused: list[str] = []
    row: Report = {"part": part, "engine": "nothing", "family": None, "files": {}}
    row["objects"] = [] if engine.is_plain else list(engine.objects)
    row["problem"] = _missing_weights(section) or _missing_device(section, families)
    for family in engine.families:
        name = f"onnxruntime {engine.providers[0]}" if family == "onnxruntime" else family
        if families[name]["usable"]:
            reason = "; ".join([*refused, f"{name} in {engine.precision}"])
            return {**row, "engine": name, "family": family, "reason": reason}
        refused.append(f"{name} is not usable: {families[name]['detail']}")
    reason = "; ".join(refused)
    return {**row, "reason": reason, "problem": row["problem"] or f"nothing runs it: {reason}"}


def _missing_weights(section: Any) -> str:
    from streamseg.weights import list_models

    for model in list_models():
        if model.name == section.checkpoint and not model.present:
            return f"its weights are not here: run streamseg models fetch {model.name}"
    return ""


def _missing_device(section: NetworkSection, families: Report) -> str:
    if not families["torch"]["usable"]:
        return ""  # said by the families
    from streamseg.engines.torch import pick_device

    try:
        pick_device(section.device)
    except StreamSegError as error:
        return str(error)
    return ""


def _add_files(config: Config, rows: dict[str, Report], sections: dict[str, Any]) -> None:
    """Say of each part where its file is; loads the networks, whose hash is part of its name."""
    from streamseg.engines.torch import pick_device
    from streamseg.export.inventory import inventory
    from streamseg.export.networks import sources
    from streamseg.weights import cache_dir

    try:
        networks = sources(config)
    except StreamSegError as error:
        for row in rows.values():
            row["problem"] = row["problem"] or str(error)
        return
    for source in networks:
        row, section = rows[source.name], sections[source.name]
        if row["family"] in (None, "torch"):
            continue
        try:
            device = pick_device(section.device)
            folder = cache_dir() / "engines"
            row["files"] = inventory(source, section.engine, row["family"], device, folder)
        except StreamSegError as error:
            row["problem"] = str(error)
            continue
        wrong = [said for said in row["files"].values() if said not in _ORIGINS]
        row["problem"] = wrong[0] if wrong else ""


_ORIGINS = ("folder", "cache", "to be built", "needs no file")


def _cache() -> Report:
    from streamseg.engines.manifest import read_manifest
    from streamseg.weights import cache_dir

    folder = cache_dir() / "engines"
    try:
        entries, problem = read_manifest(folder), ""
    except StreamSegError as error:
        entries, problem = [], str(error)
    files = [
        {
            "part": entry.part,
            "file": entry.file,
            "format": entry.format,
            "precision": entry.precision,
            "target": entry.target,
            "nbytes": entry.nbytes,
            "state": _state(folder, entry),
        }
        for entry in entries
    ]
    mib = round(sum(entry.nbytes for entry in entries) / 2**20, 1)
    return {"folder": str(folder), "files": files, "mib": mib, "problem": problem}


def _auto() -> Report:
    """What the default config stands for here."""
    from streamseg.weights import auto

    choice = auto.choose()
    return {"config": choice.config, "said": str(choice)}


def _hub() -> Report:
    from streamseg.weights import places

    token = bool(os.environ.get("HF_TOKEN"))
    if not token and find_spec("huggingface_hub") is not None:
        from huggingface_hub.constants import HF_TOKEN_PATH

        token = Path(HF_TOKEN_PATH).is_file()
    return {
        "cache": str(places.hub_cache()),
        "endpoint": mask(places.hub_endpoint()),
        "offline": places.hub_is_off(),
        "token": token,
    }


def _state(folder: Path, entry: Entry) -> str:
    """Whether the file is what the manifest says, by its hash."""
    from streamseg.engines.manifest import trusted_bytes

    try:
        trusted_bytes(folder, entry)
    except StreamSegError:
        return "damaged" if (folder / entry.file).exists() else "missing"
    return "whole"
