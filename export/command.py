"""The export command: every chosen part made, judged and only then put into the folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import torch

from streamseg.config import Config
from streamseg.engines import Engine
from streamseg.engines.files import cannot_write, locked, sweep
from streamseg.engines.manifest import add_to_manifest, weights_sha256
from streamseg.engines.onnxruntime import OnnxRuntimeEngine
from streamseg.engines.torch import TorchEngine
from streamseg.engines.xmem import XMemOnEngines
from streamseg.errors import ConfigError
from streamseg.export.build import Format, Made, Order, make
from streamseg.export.networks import Source, chosen, runs_parts, sources, wholes
from streamseg.export.precision import DTYPES, Precision, lower
from streamseg.export.reasoner.export import NAME as REASONER
from streamseg.export.reasoner.export import Precision as Rounding
from streamseg.export.reasoner.export import Reasoner
from streamseg.export.reasoner.plans import build_plans
from streamseg.export.tensorrt import CURRENT, TIMING_CACHE
from streamseg.export.verify_xmem import (
    CLIP_FRAMES,
    IOU_LIMIT,
    Clip,
    PipelineVerdict,
    verify_loop,
)
from streamseg.export.whole import Whole
from streamseg.export.xmem import Kind, XMemShapes, part_name
from streamseg.nets.xmem import XMem
from streamseg.reasoning.models.exported.record import FOLDER

Step = Callable[[str, int, int], None]
"""Told what is being done, how many steps are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for.

    Attributes:
        parts: Names, or beginnings of names; none: all.
        format: Of the files.
        precision: Of weights and features; int8 and int4 are the reasoner's.
        target: Card that plans are for.
        clip_frames: Frames that whole pipelines are compared on; 0: not compared.
        model: Of the reasoner; empty: the config's.
    """

    parts: tuple[str, ...] = ()
    format: Format = "onnx"
    precision: Precision | Literal["int8", "int4"] = "fp32"
    target: str = CURRENT
    clip_frames: int = CLIP_FRAMES
    model: str = ""


def export(config: Config, wanted: Wanted, output: Path, step: Step) -> list[Made]:
    """Export the parts of a config's networks.

    Files and manifest entries of what passed are in `output` afterwards, nothing of what
    failed; when a network's loop fails, none of that network's files are.

    Raises:
        CheckpointError, ConfigError, MissingDependencyError, OutputError: Nothing was exported.
    """
    reasoners, others = _reasoners(config, wanted)
    picked: list[tuple[Source | Whole, list[str]]] = []
    if others or not reasoners:
        precision = _of_parts(wanted)
        alone = wholes(config)
        parted = sources(config) if runs_parts(config) or not alone else []
        picked = chosen([*parted, *alone], others)
    total = sum(len(names) + isinstance(source, Source) for source, names in picked)
    rows: list[Made] = []
    with locked(output / ".lock"):
        _sweep(output)
        for source, names in picked:
            with _staging(output) as staging:
                order = _order(wanted, precision, staging)
                if isinstance(source, Whole):
                    step(source.name, len(rows), total)
                    row = source.make(order)
                    _publish(staging, output, [row])
                    rows.append(row)
                else:
                    rows += _export_one(source, names, config, wanted, order, step, total, rows)
        for reasoner in reasoners:
            with _staging(output) as staging:
                made = reasoner.export(_of_reasoner(wanted), staging, output, step)
                exact = all(not row.verdict.startswith("FAILED") for row in made)
                if wanted.format != "onnx" and exact:
                    step(f"reasoner: {wanted.format} for {wanted.target}", 0, 1)
                    made += build_plans(output / FOLDER, _order(wanted, "fp32", staging))
                rows += made
    return rows


def _reasoners(config: Config, wanted: Wanted) -> tuple[list[Reasoner], list[str]]:
    """The reasoner, where it is asked for by name or model, and the other parts that are."""
    others = [name for name in wanted.parts if name != REASONER]
    if len(others) == len(wanted.parts) and not wanted.model:
        return [], others
    vlm = config.reasoning.vlm
    return [Reasoner(wanted.model) if wanted.model else Reasoner(vlm.model, vlm.revision)], others


def _of_parts(wanted: Wanted) -> Precision:
    """The precision of networks that are not the reasoner.

    Raises:
        ConfigError: They have it not.
    """
    if wanted.precision in ("int8", "int4"):
        raise ConfigError(
            f"expected --precision {', '.join(DTYPES)} for these parts, got {wanted.precision}, "
            "which is the reasoner's alone (--parts reasoner)"
        )
    return cast(Precision, wanted.precision)


def _of_reasoner(wanted: Wanted) -> Rounding:
    """The same of the reasoner."""
    if wanted.precision in ("fp16", "bf16"):
        raise ConfigError(
            f"reasoner: expected --precision fp32, int8 or int4, got {wanted.precision}"
        )
    if wanted.format != "onnx" and wanted.precision != "fp32":
        raise ConfigError(
            f"reasoner: expected --precision fp32 with --format {wanted.format}, got "
            f"{wanted.precision}: rounded weights are ONNX Runtime's own operators"
        )
    return cast(Rounding, wanted.precision)


@contextmanager
def _staging(output: Path) -> Iterator[Path]:
    """A folder out of sight that is gone at the end, whatever happened."""
    try:
        folder = tempfile.mkdtemp(prefix=".staging-", dir=output)
    except OSError as error:
        raise cannot_write(output, error) from None
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _export_one(
    source: Source,
    names: Sequence[str],
    config: Config,
    wanted: Wanted,
    order: Order,
    step: Step,
    total: int,
    before: Sequence[Made],
) -> list[Made]:
    weights = weights_sha256(source.network)
    rows: list[Made] = []
    for name in names:
        step(name, len(before) + len(rows), total)
        rows.append(make(source.make(name), order, weights))
    whole = len(names) == len(source.part_names)
    if whole and wanted.clip_frames and all(row.passed for row in rows):
        step(f"{source.name}, all together", len(before) + len(rows), total)
        loop = _judge_loop(source, config, order, wanted.clip_frames)
        rows.append(loop)
        if loop.verdict.startswith("FAILED"):
            return [_withdrawn(row) if row.passed else row for row in rows]
    _publish(order.staging, order.staging.parent, rows)
    return rows


def _order(wanted: Wanted, precision: Precision, staging: Path) -> Order:
    timings = staging.parent / TIMING_CACHE
    return Order(wanted.format, precision, wanted.target, staging, timings)


def _judge_loop(source: Source, config: Config, order: Order, frames: int) -> Made:
    """The loop over the staged files against the plain network."""
    verdict = _JUDGES[source.name](source, config, _Staged(source, order), frames)
    sign, word = ("≥", "same masks") if verdict.passed else ("<", "FAILED: other masks")
    words = f"{word}, IoU {verdict.iou:.4f} {sign} {IOU_LIMIT} over {frames} frames"
    return Made(f"{source.name} loop", None, 0.0, verdict.difference, words)


def _judge_xmem(source: Source, config: Config, staged: _Staged, frames: int) -> PipelineVerdict:
    network, shapes = cast(XMem, source.network), cast(XMemShapes, source.shapes)
    engines = XMemOnEngines(
        lambda kind, count, size: staged.engine(part_name(cast(Kind, kind), count)),
        dict,
        network.key_dim,
        network.hidden_dim,
        torch.device("cpu"),
        shapes.objects,
        staged.dtype,
    )
    clip = Clip(shapes.height, shapes.width, frames)
    xmem = config.propagation.xmem
    return verify_loop(network, engines, clip, xmem.memory, xmem.windows)


def _judge_sam2_video(
    source: Source, config: Config, staged: _Staged, frames: int
) -> PipelineVerdict:
    from streamseg.engines.sam2 import Sam2OnEngines, Sam2Sizes
    from streamseg.export import sam2_video, verify_sam2
    from streamseg.nets.sam2_video import Sam2Video

    network = cast(Sam2Video, source.network)
    shapes = cast(sam2_video.Sam2VideoShapes, source.shapes)
    engines = Sam2OnEngines(
        lambda kind, *of: staged.engine(sam2_video.part_name(cast(sam2_video.Kind, kind), *of)),
        dict,
        Sam2Sizes.of(network),
        torch.device("cpu"),
        staged.dtype,
        shapes.objects,
        shapes.frames,
    )
    return verify_sam2.verify_loop(network, engines, config.propagation.sam2, frames)


def _judge_sam2_image(source: Source, _: Config, staged: _Staged, frames: int) -> PipelineVerdict:
    from streamseg.engines.sam2_image import Sam2ImageOnEngines
    from streamseg.export import sam2_image, verify_sam2_image
    from streamseg.nets.sam2_image import Sam2Image

    network = cast(Sam2Image, source.network)
    shapes = cast(sam2_image.Sam2ImageShapes, source.shapes)
    engines = Sam2ImageOnEngines(
        lambda kind, *of: staged.engine(sam2_image.part_name(cast(sam2_image.Kind, kind), *of)),
        dict,
        network.size,
        torch.device("cpu"),
        staged.dtype,
        shapes.objects,
        shapes.points,
    )
    return verify_sam2_image.verify_segmenter(network, engines, frames)


_JUDGES = {
    "xmem": _judge_xmem,
    "sam2_video": _judge_sam2_video,
    "sam2_image": _judge_sam2_image,
}


class _Staged:
    """Engines over files not yet published; bfloat16 runs in torch, for want of another."""

    def __init__(self, source: Source, order: Order) -> None:
        self._source = source
        self._order = order
        self._engines: dict[str, Engine] = {}

    @property
    def dtype(self) -> torch.dtype:
        """Of features."""
        dtype: torch.dtype = DTYPES[self._order.precision]
        return dtype

    def engine(self, name: str) -> Engine:
        """That part's, made on the first call."""
        if name not in self._engines:
            self._engines[name] = self._make(name)
        return self._engines[name]

    def _make(self, name: str) -> Engine:
        if self._order.precision != "bf16":
            return OnnxRuntimeEngine(name, self._order.staging / f"{name}.onnx")
        part = lower(self._source.make(name), "bf16")
        return TorchEngine(name, part.module, part.specs, part.outputs, torch.device("cpu"))


def _withdrawn(row: Made) -> Made:
    words = "withdrawn: the loop as a whole failed"
    return Made(row.part, None, row.build_s, row.difference, f"FAILED: {words}")


def _publish(staging: Path, output: Path, rows: Sequence[Made]) -> None:
    """Move what passed into the folder, then name it in the manifest."""
    entries = [row.entry for row in rows if row.entry is not None]
    try:
        for entry in entries:
            (staging / entry.file).replace(output / entry.file)
    except OSError as error:
        raise cannot_write(output, error) from None
    add_to_manifest(output, entries)


def _sweep(output: Path) -> None:
    """Remove what a killed export left; its lock was released when it died."""
    for left in output.glob(".staging-*"):
        shutil.rmtree(left, ignore_errors=True)
    sweep(output / TIMING_CACHE)
