"""From a part to an engine that runs it: torch at once, else exported before, cached or built."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import torch

from streamseg.config import EngineConfig, EngineFamily
from streamseg.engines import Engine
from streamseg.engines.cache import EngineCache, FileFormat, Key
from streamseg.engines.manifest import (
    Entry,
    read_manifest,
    trusted_bytes,
    versions,
    weights_sha256,
    with_file,
)
from streamseg.engines.onnx_session import OnnxRuntimeOptions, require
from streamseg.engines.onnxruntime import OnnxRuntimeEngine
from streamseg.engines.packing import can_pack
from streamseg.engines.tensorrt import Family, TensorRtEngine, gpu_target, load_library
from streamseg.engines.torch import TorchEngine, TorchOptions
from streamseg.errors import EngineError, MissingDependencyError
from streamseg.export.fingerprint import code_sha256
from streamseg.export.onnx import OPSET, to_model
from streamseg.export.part import Part
from streamseg.export.precision import DTYPES
from streamseg.export.tensorrt import TIMING_CACHE, build_plan

T = TypeVar("T")
Origin = Literal["needs no file", "folder", "cache", "to be built"]

_GRAPH_PACKAGES = ("torch", "transformers", "onnx", "onnxscript")
"""Whose versions change the ONNX that a part comes to."""


@dataclass(frozen=True, slots=True)
class Provided:
    """An engine, by which family, and why not by one asked for before.

    Attributes:
        engine: Ready to run.
        family: That runs it.
        refused: What each family tried before said.
    """

    engine: Engine
    family: EngineFamily
    refused: tuple[str, ...] = ()


class Provider:
    """Finds or makes an engine for each part of one network.

    Args:
        network: Its hash is part of what an engine is found by.
        config: Family, precision, what may stand in.
        device: Where torch runs; ONNX Runtime and TensorRT go by their own settings.
        cache: Folder for engines built on first use.
    """

    def __init__(
        self, network: torch.nn.Module, config: EngineConfig, device: torch.device, cache: Path
    ) -> None:
        self._config = config
        self._device = device
        self._cache_folder = cache
        self._cache = EngineCache(cache)
        self._weights = weights_sha256(network)

    @property
    def problems(self) -> list[str]:
        """Why something could not be kept in the cache."""
        return self._cache.problems

    def provide(self, part: Part) -> Provided:
        """An engine for a part in the config's precision, by the first family that runs it.

        Raises:
            EngineError: Neither the family nor any that may stand in for it can run the part.
            MissingDependencyError: As the only reason, a package is not installed.
        """
        engine, family, refused = self._first(part.name, lambda family: self._make(part, family))
        return Provided(engine, family, refused)

    def check(self) -> None:
        """Find out before the first frame that no family can run here at all.

        Raises:
            EngineError, MissingDependencyError: As `provide`.
        """
        self._first("its engines", self._present)

    def _first(
        self, what: str, attempt: Callable[[EngineFamily], T]
    ) -> tuple[T, EngineFamily, tuple[str, ...]]:
        """What comes of the first family that does not refuse, which, and what others said."""
        refused: list[str] = []
        for family in self._config.families:
            try:
                return attempt(family), family, tuple(refused)
            except (EngineError, MissingDependencyError) as error:
                if len(self._config.families) == 1:
                    raise
                refused.append(f"{family}: {error}")
        raise EngineError(f"{what}: no engine family can run here: {'; '.join(refused)}")

    def _present(self, family: EngineFamily) -> None:
        if family == "onnxruntime":
            require(self._config.providers)
        elif family != "torch":
            self._card("its engines", family)

    def origin(self, part: Part, family: EngineFamily) -> Origin:
        """Where the family's engine would come from, as things stand; builds nothing.

        Args:
            part: Its inputs in the config's precision; its module is not looked at.
            family: Usable here.

        Raises:
            EngineError: Its file is not in the folder named, or damaged.
            MissingDependencyError: The family's library is not installed.
        """
        if family == "torch":
            return "needs no file"
        key = self._key(part, "onnx" if family == "onnxruntime" else family)
        if self._config.folder and (key.format == "onnx" or self._has_plans(key)):
            trusted_bytes(self._folder, self._exported(key))
            return "folder"
        return "cache" if self._cache.holds(key) else "to be built"

    def _make(self, part: Part, family: EngineFamily) -> Engine:
        config = self._config
        if family == "torch":
            options = TorchOptions(
                channels_last=config.channels_last,
                packed=self._packs(),
                autocast=config.autocast,
                compile=config.compile,
                cuda_graph=config.cuda_graph and self._device.type == "cuda",
            )
            return TorchEngine(
                part.name, part.module, part.specs, part.outputs, self._device, options
            )
        if family == "onnxruntime":
            options_ort = OnnxRuntimeOptions(
                config.providers, config.threads, self._device.index or 0, self._cache_folder
            )
            return OnnxRuntimeEngine(part.name, self._onnx(part), options_ort)
        return self._plan(part, family)

    def _packs(self) -> bool:
        """Packing changes how fast, not what: where it cannot be, it is left out."""
        config = self._config
        on_cpu = config.packed and self._device.type == "cpu"
        return on_cpu and can_pack(DTYPES[config.precision])

    def _onnx(self, part: Part) -> bytes:
        key = self._key(part, "onnx")
        if self._config.folder:
            return trusted_bytes(self._folder, self._exported(key))
        return self._cache.get(key, lambda: self._export(part, key))

    def _export(self, part: Part, key: Key) -> tuple[Entry, bytes]:
        part, begun_s = on_cpu(part), time.perf_counter()
        content = to_model(part).SerializeToString()
        return _entry(part, key, content, time.perf_counter() - begun_s)

    def _plan(self, part: Part, family: Family) -> Engine:
        key = self._key(part, family)
        plan, rebuild = self._planned(part, key, family)
        return TensorRtEngine(
            part.name, plan, family, rebuild, self._device, cuda_graph=self._config.cuda_graph
        )

    def _planned(self, part: Part, key: Key, family: Family) -> tuple[bytes, str]:
        """The plan, exported before or built here, and the command that would make it anew."""
        if self._has_plans(key):
            return trusted_bytes(self._folder, self._exported(key)), self._rebuild(key)
        plan = self._cache.get(key, lambda: self._compile(part, key, family))
        return plan, f"rm {self._cache_folder / key.file}, and run again"

    def _compile(self, part: Part, key: Key, family: Family) -> tuple[Entry, bytes]:
        onnx = self._onnx(part)
        begun_s = time.perf_counter()
        timings = self._cache_folder / TIMING_CACHE
        content = build_plan(part.name, onnx, family=family, timing_cache=timings)
        return _entry(on_cpu(part), key, content, time.perf_counter() - begun_s)

    # ── files exported before ────────────────────────────────────────────────────────────────

    @property
    def _folder(self) -> Path:
        return Path(self._config.folder).expanduser()

    def _has_plans(self, key: Key) -> bool:
        """Whether the folder named has plans of this part; where it has ONNX, plans are built."""
        if not self._config.folder:
            return False
        entries = [entry for entry in read_manifest(self._folder) if entry.part == key.part]
        return not entries or any(entry.format == key.format for entry in entries)

    def _exported(self, key: Key) -> Entry:
        """What `streamseg export` made of this very part.

        Raises:
            EngineError: The folder has nothing of it, or what it has differs: says in what.
        """
        entries = [entry for entry in read_manifest(self._folder) if entry.part == key.part]
        differences = [key.differences(entry) for entry in entries]
        if [] in differences:
            return entries[differences.index([])]
        found = "nothing of it"
        if entries:
            nearest = min(range(len(entries)), key=lambda index: len(differences[index]))
            found = f"{entries[nearest].file} with {'; '.join(differences[nearest])}"
        raise EngineError(
            f"{key.part}: expected {key.format} of it in {self._folder}, found {found}; "
            f"run {self._rebuild(key)}"
        )

    def _rebuild(self, key: Key) -> str:
        """The command that makes the file of a part in the folder named."""
        return (
            f"streamseg export --config NAME --parts {key.part} --format {key.format} "
            f"--precision {key.precision} --output {self._folder}"
        )

    def _key(self, part: Part, format_: FileFormat) -> Key:
        """What the part's file is found by.

        Raises:
            EngineError: A plan, and no card to run it on.
            MissingDependencyError: A plan, and its library is not installed.
        """
        target, gpu, library = self._card(part.name, format_) if format_ != "onnx" else ("", "", {})
        made_by = {name: v for name, v in versions().items() if name in _GRAPH_PACKAGES}
        return Key(
            part=part.name,
            weights_sha256=self._weights,
            code_sha256=code_sha256(),
            options=dict(part.options),
            inputs=part.specs,
            precision=self._config.precision,
            format=format_,
            target=target,
            gpu=gpu,
            versions=made_by | library,
        )

    def _card(self, part: str, family: Family) -> tuple[str, str, dict[str, str]]:
        """Compute capability and name of the card, and the version of the library."""
        library: dict[str, str] = {family: str(load_library(family).__version__)}
        if self._device.type != "cuda":
            raise EngineError(f"{part}: expected a CUDA device for {family}, got {self._device}")
        target = gpu_target(self._device)
        if target is None:
            raise EngineError(f"{part}: expected an NVIDIA GPU for {family}, found none")
        return target, torch.cuda.get_device_name(self._device), library


def _entry(part: Part, key: Key, content: bytes, build_s: float) -> tuple[Entry, bytes]:
    entry = describe(part, key.format, key.precision, key.weights_sha256, key.file)
    return with_file(entry, content, key.target, build_s), content


def on_cpu(part: Part) -> Part:
    """The part with weights of its own on the CPU, where the exporter wants them."""
    return replace(part, module=copy.deepcopy(part.module).cpu())


def describe(part: Part, format_: FileFormat, precision: str, weights: str, file: str) -> Entry:
    """What a manifest says of a part on the CPU before there is a file."""
    outputs = TorchEngine(
        part.name, part.module, part.specs, part.outputs, torch.device("cpu")
    ).outputs
    builder = {} if format_ == "onnx" else {format_: str(load_library(format_).__version__)}
    return Entry(
        part=part.name,
        file=file,
        format=format_,
        precision=precision,
        target="",
        inputs=part.specs,
        outputs=outputs,
        opset=OPSET,
        options=dict(part.options),
        weights_sha256=weights,
        code_sha256=code_sha256(),
        file_sha256="",
        nbytes=0,
        build_s=0.0,
        difference=None,
        versions=versions() | builder,
    )
