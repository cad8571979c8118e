"""From a part to an engine that runs it: torch at once, else exported before, cached or built."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from streamseg.config import EngineConfig, EngineFamily
from streamseg.engines import Engine
from streamseg.engines.cache import EngineCache, Key
from streamseg.engines.manifest import (
    Entry,
    read_manifest,
    trusted_bytes,
    versions,
    weights_sha256,
    with_file,
)
from streamseg.engines.onnxruntime import OnnxRuntimeEngine, OnnxRuntimeOptions
from streamseg.engines.tensorrt import Family, TensorRtEngine, gpu_target, load_library
from streamseg.engines.torch import TorchEngine, TorchOptions
from streamseg.errors import EngineError, MissingDependencyError
from streamseg.export.onnx import OPSET, to_model
from streamseg.export.part import Part
from streamseg.export.tensorrt import TIMING_CACHE, build_plan


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
        """An engine for a part in the config's precision.

        Raises:
            EngineError: Neither the family nor any that may stand in for it can run the part.
            MissingDependencyError: As the only reason, a package is not installed.
        """
        refused: list[str] = []
        first: Exception | None = None
        for family in (self._config.family, *self._config.fallback):
            try:
                return Provided(self._make(part, family), family, tuple(refused))
            except (EngineError, MissingDependencyError) as error:
                first = first or error
                refused.append(f"{family}: {error}")
        assert first is not None
        if len(refused) == 1:
            raise first
        raise EngineError(f"{part.name}: no engine family can run it: {'; '.join(refused)}")

    def _make(self, part: Part, family: EngineFamily) -> Engine:
        config = self._config
        if family == "torch":
            options = TorchOptions(
                channels_last=config.channels_last,
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
            return OnnxRuntimeEngine(part.name, self._onnx(on_cpu(part)), options_ort)
        return self._plan(on_cpu(part), family)

    def _onnx(self, part: Part) -> bytes:
        found = self._exported(part, "onnx", ("",))
        if found is not None:
            return found
        key = self._key(part, "onnx", "", versions().get("torch", ""))
        return self._cache.get(key, lambda: self._export(part, key))

    def _export(self, part: Part, key: Key) -> tuple[Entry, bytes]:
        begun_s = time.perf_counter()
        content = to_model(part).SerializeToString()
        return self._entry(part, key, content, "", time.perf_counter() - begun_s)

    def _plan(self, part: Part, family: Family) -> Engine:
        target = gpu_target(self._device if self._device.type == "cuda" else None)
        version = str(load_library(family).__version__)
        if target is None:
            raise EngineError(f"{part.name}: expected an NVIDIA GPU for {family}, found none")
        if self._device.type != "cuda":
            raise EngineError(
                f"{part.name}: expected a CUDA device for {family}, got {self._device}"
            )
        plan = self._exported(part, family, (target, "current"))
        if plan is None:
            gpu = f"{torch.cuda.get_device_name(self._device)} {target}"
            key = self._key(part, family, gpu, version)
            plan = self._cache.get(key, lambda: self._compile(part, key, family, target))
        return TensorRtEngine(
            part.name,
            plan,
            family,
            f"streamseg export --parts {part.name} --format {family}",
            self._device,
            cuda_graph=self._config.cuda_graph,
        )

    def _compile(self, part: Part, key: Key, family: Family, target: str) -> tuple[Entry, bytes]:
        onnx = self._onnx(part)
        begun_s = time.perf_counter()
        timings = self._cache_folder / TIMING_CACHE
        content = build_plan(part.name, onnx, family=family, timing_cache=timings)
        return self._entry(part, key, content, target, time.perf_counter() - begun_s)

    def _exported(self, part: Part, format_: str, targets: Sequence[str]) -> bytes | None:
        """The file that `streamseg export` made of this very part; None when there is none.

        Raises:
            EngineError: A folder is named that has nothing for this network at this size.
        """
        if not self._config.folder:
            return None
        folder = Path(self._config.folder).expanduser()
        entries = [entry for entry in read_manifest(folder) if entry.part == part.name]
        for entry in entries:
            if (
                entry.format == format_
                and entry.target in targets
                and entry.precision == self._config.precision
                and entry.weights_sha256 == self._weights
                and entry.inputs == part.specs
            ):
                return trusted_bytes(folder, entry)
        if format_ == "onnx" or entries:
            raise EngineError(
                f"{part.name}: expected {format_} in {self._config.precision} with these weights "
                f"for inputs {', '.join(map(str, part.specs))} in {folder}, found "
                f"{len(entries)} that differ; run streamseg export again"
            )
        return None

    def _key(self, part: Part, format_: str, gpu: str, version: str) -> Key:
        precision = self._config.precision
        return Key(part.name, self._weights, format_, precision, part.specs, gpu, version)

    def _entry(
        self, part: Part, key: Key, content: bytes, target: str, build_s: float
    ) -> tuple[Entry, bytes]:
        entry = describe(part, key.format, key.precision, self._weights, key.file)
        return with_file(entry, content, target, build_s), content


def on_cpu(part: Part) -> Part:
    """The part with weights of its own on the CPU, where the exporter wants them."""
    return replace(part, module=copy.deepcopy(part.module).cpu())


def describe(part: Part, format_: str, precision: str, weights: str, file: str) -> Entry:
    """What a manifest says of a part on the CPU before there is a file."""
    outputs = TorchEngine(
        part.name, part.module, part.specs, part.outputs, torch.device("cpu")
    ).outputs
    return Entry(
        part=part.name,
        file=file,
        format=format_,
        precision=precision,
        target="",
        inputs=part.specs,
        outputs=outputs,
        opset=OPSET,
        weights_sha256=weights,
        file_sha256="",
        nbytes=0,
        build_s=0.0,
        difference=None,
        versions=versions(),
    )
