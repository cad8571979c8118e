"""Which networks a config names, and the parts of each."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import torch

from streamseg import weights
from streamseg.config import Config
from streamseg.errors import ConfigError
from streamseg.export.part import Part
from streamseg.export.xmem import XMemParts, XMemShapes, part_keys, part_name
from streamseg.nets.xmem import STRIDE, XMem

if TYPE_CHECKING:
    from streamseg.export.sam2_image import Sam2ImageShapes
    from streamseg.export.sam2_video import Sam2VideoShapes
    from streamseg.export.whole import Whole


class _HasParts(Protocol):
    @property
    def part_names(self) -> tuple[str, ...]: ...


Named = TypeVar("Named", bound=_HasParts)


@dataclass(frozen=True, slots=True)
class Source:
    """A network to export.

    Attributes:
        name: "xmem", "sam2_image" or "sam2_video".
        network: In float32, on the CPU; its hash goes into the manifest.
        part_names: Of all its parts.
        make: Makes one of them.
        shapes: Of the parts, for the check of all together.
    """

    name: str
    network: torch.nn.Module
    part_names: tuple[str, ...]
    make: Callable[[str], Part]
    shapes: XMemShapes | Sam2VideoShapes | Sam2ImageShapes


def runs_parts(config: Config) -> bool:
    """Whether the config runs a network that is cut into parts."""
    carried, cut = config.propagation.backend, config.segmentation.backend
    return carried in ("xmem", "sam2") or cut == "sam2"


def wholes(config: Config) -> list[Whole]:
    """The networks that the config runs in one piece.

    Raises:
        CheckpointError: A file is missing or damaged.
        ConfigError: Nothing describes how a detector's file is to be read.
        MissingDependencyError: onnx is not installed.
    """
    found = []
    if "objects" in (config.reasoning.fast.backend, config.reasoning.deep.backend):
        from streamseg.export.detector import detector

        found.append(detector(config.reasoning.objects))
    if config.segmentation.backend == "salient":
        from streamseg.export.cutter import cutter

        found.append(cutter(config.segmentation.salient))
    return found


def sources(config: Config) -> list[Source]:
    """The networks that the config runs, loaded.

    Raises:
        CheckpointError: Weights are missing or do not fit.
        ConfigError: The config names no network.
        MissingDependencyError: torch or transformers is not installed.
    """
    found = []
    if config.propagation.backend == "xmem":
        found.append(_xmem(config))
    if config.propagation.backend == "sam2":
        found.append(_sam2_video(config))
    if config.segmentation.backend == "sam2":
        found.append(_sam2_image(config))
    if not found:
        raise ConfigError(
            f"config {config.name!r} runs no network; choose one with SAM2 or XMem, "
            "such as sam2.1-tiny or everyday, or selftest to try it"
        )
    return found


def chosen(found: Sequence[Named], wanted: Sequence[str]) -> list[tuple[Named, list[str]]]:
    """The parts to export: all, or those of the given names or name beginnings.

    Raises:
        ConfigError: A name fits no part.
    """
    for want in wanted:
        if not any(_fits(name, want) for source in found for name in source.part_names):
            known = [name for source in found for name in source.part_names]
            close = difflib.get_close_matches(want[:80], known, 1, 0.5)
            nearest = f" (did you mean {close[0]!r}?)" if close else ""
            raise ConfigError(f"no part {want[:80]!r}{nearest}; there are: {', '.join(known)}")
    picked = []
    for source in found:
        names = [
            name
            for name in source.part_names
            if not wanted or any(_fits(name, want) for want in wanted)
        ]
        if names:
            picked.append((source, names))
    return picked


def xmem_shapes(config: Config) -> XMemShapes:
    """The static shapes that the config's XMem is exported for."""
    xmem = config.propagation.xmem
    engine = xmem.engine
    height = _multiple(xmem.height)
    width = _multiple(round(xmem.height * engine.aspect))
    windows = xmem.windows
    window = (windows.high, windows.wide) if windows.from_objects else None
    return XMemShapes(height, width, engine.objects, engine.capacity, xmem.memory.top_k, window)


def _multiple(side: int) -> int:
    return -(-side // STRIDE) * STRIDE


def _fits(name: str, want: str) -> bool:
    return name == want or name.startswith(f"{want}_")


def _xmem(config: Config) -> Source:
    network: XMem = weights.load_xmem(config.propagation.xmem.checkpoint, "cpu")
    shapes = xmem_shapes(config)
    maker = XMemParts(network, shapes)
    keys = {part_name(kind, count): (kind, count) for kind, count in part_keys(shapes)}
    return Source("xmem", network, tuple(keys), lambda name: maker.make(*keys[name]), shapes)


def _sam2_image(config: Config) -> Source:
    from streamseg.export import sam2_image

    sam2 = config.segmentation.sam2
    network = weights.load_sam2_image(sam2.checkpoint, "cpu")
    shapes = sam2_image.Sam2ImageShapes(sam2.engine.objects, sam2.points)
    maker = sam2_image.Sam2ImageParts(network)
    keys = {sam2_image.part_name(*key): key for key in sam2_image.part_keys(shapes)}
    return Source("sam2_image", network, tuple(keys), lambda name: maker.make(*keys[name]), shapes)


def _sam2_video(config: Config) -> Source:
    from streamseg.export import sam2_video

    sam2 = config.propagation.sam2
    network = weights.load_sam2_video(sam2.checkpoint, "cpu")
    shapes = sam2_video.Sam2VideoShapes(sam2.engine.objects, sam2.bank_frames, sam2.query_rows)
    maker = sam2_video.Sam2VideoParts(network, shapes.rows)
    keys = {sam2_video.part_name(*key): key for key in sam2_video.part_keys(network, shapes)}
    return Source("sam2_video", network, tuple(keys), lambda name: maker.make(*keys[name]), shapes)


def names_of(picked: Sequence[tuple[Source, list[str]]]) -> Iterator[str]:
    """Every part that will be exported."""
    for _, names in picked:
        yield from names
