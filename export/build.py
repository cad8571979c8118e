"""One part to one file that has passed the gate, staged out of sight until all is well."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor

from streamseg.engines.files import write_whole
from streamseg.engines.manifest import Entry, with_file
from streamseg.engines.onnxruntime import OnnxRuntimeEngine
from streamseg.engines.tensorrt import Family, TensorRtEngine, gpu_target
from streamseg.engines.torch import TorchEngine
from streamseg.errors import ConfigError, EngineError
from streamseg.export.onnx import to_model
from streamseg.export.part import Part
from streamseg.export.precision import Precision, lower
from streamseg.export.provider import describe
from streamseg.export.tensorrt import CURRENT, Lengths, build_plan
from streamseg.export.verify import LIMITS, Verdict, reference, verify

Format = Literal["onnx", "tensorrt", "tensorrt-rtx"]


@dataclass(frozen=True, slots=True)
class Order:
    """What to make of every part.

    Attributes:
        format: Of the files.
        precision: Of weights and features.
        target: Card that plans are for: sm86, …, or current.
        staging: Folder that files are made in.
        timings: File with what TensorRT has timed, kept between exports; None: not kept.
    """

    format: Format
    precision: Precision
    target: str
    staging: Path
    timings: Path | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a part.

    Attributes:
        part: Its name.
        entry: For the manifest; None when it failed.
        build_s: Seconds that it took, without the gate.
        difference: The largest of all engines that ran it, relative to the output's range.
        verdict: In words.
        alone: Bytes of a file that no manifest of engines names.
    """

    part: str
    entry: Entry | None
    build_s: float
    difference: float | None
    verdict: str
    alone: int = 0

    @property
    def passed(self) -> bool:
        return self.entry is not None

    @property
    def nbytes(self) -> int:
        """Of its file; 0 where there is none."""
        return self.alone if self.entry is None else self.entry.nbytes


class _Stopwatch:
    """Counts the seconds spent in its blocks."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._begun_s = 0.0

    def __enter__(self) -> None:
        self._begun_s = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._begun_s


def make(part: Part, order: Order, weights: str) -> Made:
    """Export a part as ordered, and put it through the parity gate.

    Args:
        part: In float32, as the network runs it: this is what is right.
        order: What to make.
        weights: `weights_sha256` of the network.

    Raises:
        ConfigError: A target that the library does not know.
        MissingDependencyError: A package that the order needs is not installed.
        OutputError: The staging folder cannot be written.
    """
    building = _Stopwatch()
    try:
        with building:
            lowered = lower(part, order.precision)
            onnx = to_model(lowered).SerializeToString()
        write_whole(order.staging / f"{part.name}.onnx", onnx)
        verdicts, words = _judge(part, lowered, onnx, order)
        content = onnx
        if order.format != "onnx" and all(verdict.passed for verdict in verdicts):
            with building:
                content = build_for(part.name, onnx, order)
            expected = reference(part)
            verdict, said = judge_plan(part.name, content, lowered.inputs, expected, order)
            words.append(said)
            verdicts += [] if verdict is None else [verdict]
    except EngineError as error:
        return Made(part.name, None, building.seconds, None, f"FAILED: {error}")
    build_s = building.seconds
    worst = max(verdicts, key=lambda verdict: verdict.difference)
    if not all(verdict.passed for verdict in verdicts):
        return Made(part.name, None, build_s, worst.difference, f"FAILED: {worst}")
    file = file_name(part.name, order)
    write_whole(order.staging / file, content)
    entry = describe(lowered, order.format, order.precision, weights, file)
    entry = with_file(entry, content, target_of(order), round(build_s, 3))
    entry = replace(entry, difference=worst.difference)
    return Made(part.name, entry, build_s, worst.difference, ", ".join(words))


def file_name(part: str, order: Order) -> str:
    """Such as xmem_key.fp16.onnx or xmem_key.fp32.sm86.tensorrt-rtx.plan."""
    if order.format == "onnx":
        return f"{part}.{order.precision}.onnx"
    return f"{part}.{order.precision}.{target_of(order)}.{order.format}.plan"


def target_of(order: Order) -> str:
    """The card that its plans are for; "" where there are none."""
    if order.format == "onnx":
        return ""
    return (gpu_target() or CURRENT) if order.target == CURRENT else order.target


def _judge(part: Part, lowered: Part, onnx: bytes, order: Order) -> tuple[list[Verdict], list[str]]:
    """The lowered part in torch, and its ONNX where ONNX Runtime can run it, against torch."""
    expected = reference(part)
    limit = LIMITS[order.precision]
    cpu = torch.device("cpu")
    torch_engine = TorchEngine(part.name, lowered.module, lowered.specs, part.outputs, cpu)
    verdicts = [verify(torch_engine, lowered.inputs, expected, limit)]
    if order.precision == "bf16":
        return verdicts, ["equal in torch", "ONNX Runtime has no bfloat16 on a CPU"]
    engine = OnnxRuntimeEngine(part.name, onnx)
    verdicts.append(verify(engine, lowered.inputs, expected, limit))
    return verdicts, ["equal on ONNX Runtime"]


def build_for(name: str, onnx: bytes | Path, order: Order, lengths: Lengths | None = None) -> bytes:
    """A plan of a graph, for the card of the order; see `build_plan`.

    Raises:
        ConfigError: A target that is not known, or the one here, and none is.
        EngineError: It cannot be built.
        MissingDependencyError: The library is not installed.
    """
    family = cast(Family, order.format)
    if order.target == CURRENT and gpu_target() is None:
        raise ConfigError(
            "expected a GPU for --target current, found none; name one, such as --target sm86"
        )
    return build_plan(name, onnx, order.target, family, order.timings, lengths)


def judge_plan(
    name: str,
    plan: bytes,
    inputs: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    order: Order,
) -> tuple[Verdict | None, str]:
    """Run a plan where its card is: the verdict, None where it is not, and words for it."""
    here = gpu_target()
    if here is None or order.target not in (CURRENT, here) or order.format == "onnx":
        return None, "built, not run: no such card here"
    engine = TensorRtEngine(name, plan, order.format, "streamseg export")
    verdict = verify(engine, inputs, expected, LIMITS[order.precision])
    return verdict, f"equal on {order.format}"
