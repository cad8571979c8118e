"""Networks that are not cut into parts; an ONNX file taken as it is, checked.

Its open sizes are closed, it is run, and its outputs are held against the file's own. Knows neither
detectors nor cutters.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamseg.engines import TensorSpec
from streamseg.engines.arrays import ArrayEngine
from streamseg.engines.files import write_whole
from streamseg.engines.manifest import Entry, versions, with_file
from streamseg.engines.whole import file_sha256
from streamseg.errors import CheckpointError, ConfigError, EngineError, MissingDependencyError
from streamseg.export.build import Made, Order, build_for, file_name, judge_plan, target_of
from streamseg.export.fingerprint import code_sha256
from streamseg.export.verify import LIMITS, Verdict, distance

Shape = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Whole:
    """A network to export in one piece.

    Attributes:
        name: "detector" or "cutter".
        make: Makes its file in the order's staging folder, if it passes.
    """

    name: str
    make: Callable[[Order], Made]

    @property
    def part_names(self) -> tuple[str, ...]:
        """Itself."""
        return (self.name,)


def as_it_is(name: str, file: Path, picture: Shape, fits: Callable[[ArrayEngine], None]) -> Whole:
    """An ONNX file, taken as it is.

    Args:
        picture: What its open sizes become.
        fits: Raises where the network is none of the kind wanted.
    """
    return Whole(name, lambda order: _taken(name, file, picture, fits, order))


def _taken(
    name: str, file: Path, picture: Shape, fits: Callable[[ArrayEngine], None], order: Order
) -> Made:
    """Close a file's sizes, run it, and hold it against itself; then build what was ordered."""
    if order.precision != "fp32":
        raise ConfigError(
            f"{name}: expected --precision fp32, got {order.precision}: {file.name} is taken as "
            "it is"
        )
    begun_s = time.perf_counter()
    original = ArrayEngine(file.name, file, picture=picture)
    fits(original)
    onnx, opset = closed_model(file, original.inputs)
    engine = ArrayEngine(name, onnx)
    inputs = {spec.name: _noise(spec) for spec in engine.inputs}
    expected = {key: torch.from_numpy(value) for key, value in original.run(inputs).items()}
    verdict = _verdict(expected, engine.run(inputs))
    words = ["equal on ONNX Runtime"]
    content = onnx
    try:
        if order.format != "onnx" and verdict.passed:
            content = build_for(name, onnx, order)
            tensors = {key: torch.from_numpy(value) for key, value in inputs.items()}
            judged, said = judge_plan(name, content, tensors, expected, order)
            words.append(said)
            verdict = max(filter(None, (verdict, judged)), key=lambda each: each.difference)
    except EngineError as error:
        return Made(name, None, 0.0, None, f"FAILED: {error}")
    build_s = round(time.perf_counter() - begun_s, 3)
    if not verdict.passed:
        return Made(name, None, build_s, verdict.difference, f"FAILED: {verdict}")
    entry = _entry(name, engine, file, opset, order)
    write_whole(order.staging / entry.file, content)
    entry = with_file(entry, content, target_of(order), build_s)
    entry = replace(entry, difference=verdict.difference)
    return Made(name, entry, build_s, verdict.difference, ", ".join(words))


def closed_model(file: Path, inputs: tuple[TensorSpec, ...]) -> tuple[bytes, int]:
    """A file's graph with the sizes of its inputs fixed, and its opset.

    Raises:
        CheckpointError: It is no ONNX, keeps weights in other files, or is not sound.
        MissingDependencyError: onnx is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise MissingDependencyError("onnx", "export") from None
    try:
        model = onnx.load(str(file), load_external_data=False)
        if any(tensor.external_data for tensor in model.graph.initializer):
            raise CheckpointError(f"{file}: expected one file, its weights lie in others")
        sides = {spec.name: spec.shape for spec in inputs}
        for value in model.graph.input:
            dims = value.type.tensor_type.shape.dim
            for dim, side in zip(dims, sides.get(value.name, ()), strict=False):
                dim.ClearField("dim_param")
                dim.dim_value = side
        del model.graph.value_info[:]
        for value in model.graph.output:
            value.type.tensor_type.ClearField("shape")
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
        onnx.checker.check_model(model)
    except (ValueError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        words = " ".join(str(error).split())[:300]
        raise CheckpointError(f"{file} is not sound ONNX: {words}") from None
    opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)
    return model.SerializeToString(), int(opset)


def _entry(name: str, engine: ArrayEngine, file: Path, opset: int, order: Order) -> Entry:
    return Entry(
        part=name,
        file=file_name(name, order),
        format=order.format,
        precision=order.precision,
        target="",
        inputs=engine.inputs,
        outputs=engine.outputs,
        opset=opset,
        options={},
        weights_sha256=file_sha256(file),
        code_sha256=code_sha256(),
        file_sha256="",
        nbytes=0,
        build_s=0.0,
        difference=None,
        versions=versions(),
    )


def _verdict(expected: Mapping[str, Tensor], got: Mapping[str, NDArray[Any]]) -> Verdict:
    found = {key: distance(value, torch.from_numpy(got[key])) for key, value in expected.items()}
    worst = max(found, key=lambda key: found[key])
    return Verdict(found[worst], worst, LIMITS["fp32"])


def _noise(spec: TensorSpec) -> NDArray[Any]:
    """A picture of about the range that networks are fed."""
    values = np.random.default_rng(0).normal(0.0, 1.0, spec.shape)
    return np.ascontiguousarray(values.astype(spec.dtype))
