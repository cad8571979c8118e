"""Tiny ONNX networks whose answers are known, written to files for the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Side = int | str


def saying(path: Path, picture: Sequence[Side], answers: Mapping[str, NDArray[np.float32]]) -> Path:
    """A network that takes a picture of that shape and always gives the same answers."""
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, name))
        for name, value in answers.items()
    ]
    return _save(path, nodes, picture, {name: value.shape for name, value in answers.items()})


def brightness(path: Path, side: Side = 32) -> Path:
    """A map (1, 1, side, side) of a picture's brightness: the mean of its channels."""
    axes = numpy_helper.from_array(np.asarray([1], np.int64), "axes")
    nodes = [
        helper.make_node("Constant", [], ["axes"], value=axes),
        helper.make_node("ReduceMean", ["picture", "axes"], ["map"], keepdims=1),
    ]
    return _save(path, nodes, (1, 3, side, side), {"map": (1, 1, side, side)})


def mean_colour(path: Path, picture: Sequence[Side], mean: Sequence[Side] = (1, 3)) -> Path:
    """(1, 3) of what a network is fed: the mean of each of its channels."""
    axes = numpy_helper.from_array(np.asarray([2, 3], np.int64), "axes")
    nodes = [
        helper.make_node("Constant", [], ["axes"], value=axes),
        helper.make_node("ReduceMean", ["picture", "axes"], ["mean"], keepdims=0),
    ]
    return _save(path, nodes, picture, {"mean": mean})


def _save(
    path: Path,
    nodes: Sequence[Any],
    picture: Sequence[Side],
    outputs: Mapping[str, Sequence[Side]],
) -> Path:
    taken = helper.make_tensor_value_info("picture", TensorProto.FLOAT, picture)
    given = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in outputs.items()
    ]
    graph = helper.make_graph(nodes, "tiny", [taken], given)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    path.write_bytes(made.SerializeToString())
    return path
