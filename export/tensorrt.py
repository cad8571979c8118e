"""ONNX to a TensorRT plan, for a card that need not be here.

The same code builds with `tensorrt` and with `tensorrt_rtx`. Networks are strongly typed:
each tensor has the type that the ONNX says, so precision is decided at export. TensorRT-RTX
compiles for any of its targets without a GPU; TensorRT only for the one that is here.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamseg.engines.files import locked, sweep, write_whole
from streamseg.engines.tensorrt import Family, Log, load_library
from streamseg.errors import ConfigError, EngineError, OutputError

_LOG = logging.getLogger(__name__)
_DIGEST = hashlib.sha256().digest_size
CURRENT = "current"
TIMING_CACHE = "timing.cache"
Shape = tuple[int, ...]


def targets(family: Family) -> tuple[str, ...]:
    """Compute capabilities that the library builds for, such as "sm86"; last "current"."""
    library = load_library(family)
    if not hasattr(library, "ComputeCapability"):
        return (CURRENT,)
    names = [name.lower() for name in library.ComputeCapability.__members__]
    return (*sorted((n for n in names if n.startswith("sm")), key=lambda n: int(n[2:])), CURRENT)


Lengths = Mapping[str, tuple[Shape, Shape, Shape]]
"""Of inputs whose sides are open: the least shape, the usual one and the largest, by name."""


def build_plan(
    part: str,
    onnx: bytes | Path,
    target: str = CURRENT,
    family: Family = "tensorrt-rtx",
    timing_cache: Path | None = None,
    lengths: Lengths | None = None,
) -> bytes:
    """Compile a part.

    Args:
        part: Its name, for errors.
        onnx: The model, or its file where weights lie beside it.
        target: One of `targets`.
        family: The library to build with.
        timing_cache: Kept between builds, so that a kernel is timed once; made if missing.
            TensorRT-RTX times nothing when it builds, and keeps none.
        lengths: What it is built for, of inputs with open sides.

    Raises:
        ConfigError: No such target.
        EngineError: An unsupported layer, or no GPU where one is needed; says what TensorRT said.
        MissingDependencyError: The library is not installed.
    """
    library = load_library(family)
    log = Log(library)
    builder = library.Builder(log.listener)
    if builder is None:
        raise EngineError(f"{part}: {family} cannot build here: {log.last()}")
    network = _parsed(library, builder, log, part, onnx)
    config = builder.create_builder_config()
    _aim(library, config, target, family)
    if lengths:
        profile = builder.create_optimization_profile()
        for name, shapes in lengths.items():
            profile.set_shape(name, *shapes)
        config.add_optimization_profile(profile)
    timing_cache = timing_cache if family == "tensorrt" else None
    cache = _load_timings(config, timing_cache)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineError(f"{part}: {family} cannot build it for {target}: {log.last()}")
    _save_timings(config, cache, timing_cache)
    return bytes(plan)


def _parsed(library: Any, builder: Any, log: Log, part: str, onnx: bytes | Path) -> Any:
    network = builder.create_network(_strongly_typed(library))
    parser = library.OnnxParser(network, log.listener)
    read = parser.parse_from_file(str(onnx)) if isinstance(onnx, Path) else parser.parse(onnx)
    if not read:
        told = [parser.get_error(index) for index in range(parser.num_errors)]
        text = "; ".join(_complaint(error) for error in told)
        raise EngineError(f"{part}: TensorRT does not take this ONNX: {text[:500]}")
    return network


def _complaint(error: Any) -> str:
    """Which layer, and what is wrong with it."""
    layer = f"{error.node_operator()} {error.node_name()}".strip()
    words = " ".join(str(error.desc()).split())
    return f"{layer}: {words}" if layer else words


def _strongly_typed(library: Any) -> int:
    """The flag's bit; 0 where every network is strongly typed."""
    flag = getattr(library.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _aim(library: Any, config: Any, target: str, family: Family) -> None:
    known = targets(family)
    if target not in known:
        raise ConfigError(f"expected a target of {family}, {', '.join(known)}, got {target!r}")
    if target != CURRENT:
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(library.ComputeCapability, target.upper()), 0)


def _load_timings(config: Any, path: Path | None) -> Any:
    """A timing cache in use, from the file where that is whole and fits; None where unwanted."""
    if path is None:
        return None
    for content in dict.fromkeys((_read_timings(path), b"")):
        cache = config.create_timing_cache(content)
        if cache is not None and config.set_timing_cache(cache, False):
            return cache
    return None  # of another version or card, and none can be begun


def _read_timings(path: Path) -> bytes:
    """What was timed before; nothing where there is none, or where it is damaged."""
    try:
        held = path.read_bytes()
    except OSError:
        return b""
    digest, content = held[:_DIGEST], held[_DIGEST:]
    return content if hashlib.sha256(content).digest() == digest else b""


def _save_timings(config: Any, cache: Any, path: Path | None) -> None:
    """Keep what was timed, after its hash; a plan is as good without."""
    if cache is None or path is None:
        return
    content = bytes((config.get_timing_cache() or cache).serialize())
    try:
        with locked(path.with_suffix(".lock")):
            sweep(path)
            write_whole(path, hashlib.sha256(content).digest() + content)
    except OutputError as error:
        _LOG.warning("what TensorRT timed is not kept: %s", error)
