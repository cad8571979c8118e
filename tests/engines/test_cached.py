"""A decoder that sums what it was given: its cache grows, is continued, and is forgotten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from streamseg.engines.cached import CachedEngine
from streamseg.engines.onnx_session import OnnxRuntimeOptions
from streamseg.errors import EngineError


def decoder(path: Path, present: str = "present_key_0", heads: int | str = 1) -> Path:
    """ids (1, tokens) float32 to logits (1, 2): their sum with all before, twice."""
    nodes = [
        helper.make_node("Reshape", ["ids", "shape"], ["new"]),
        helper.make_node("Concat", ["past_key_0", "new"], [present], axis=2),
        helper.make_node("ReduceSum", [present], ["sum"], keepdims=0),
        helper.make_node("Expand", ["sum", "twice"], ["logits"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "sums",
        [
            value("ids", TensorProto.FLOAT, [1, "tokens"]),
            value("past_key_0", TensorProto.FLOAT, [1, heads, "past", 1]),
        ],
        [
            value("logits", TensorProto.FLOAT, [1, 2]),
            value(present, TensorProto.FLOAT, [1, heads, "total", 1]),
        ],
        [
            numpy_helper.from_array(np.array([1, 1, -1, 1]), "shape"),
            numpy_helper.from_array(np.array([1, 2]), "twice"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, path)
    return path


def run(engine: CachedEngine, *numbers: float) -> float:
    found = engine.run({"ids": np.array([numbers], np.float32)}, len(numbers))
    assert found.shape == (1, 2)
    return float(found[0, 0])


def test_the_cache_grows_until_it_is_forgotten(tmp_path: Path) -> None:
    engine = CachedEngine("sums", decoder(tmp_path / "sums.onnx"), OnnxRuntimeOptions(threads=1))
    assert engine.inputs == ["ids"]
    assert engine.shapes["past_key_0"] == (1, 1, "past", 1)
    assert run(engine, 1, 2, 3) == 6
    assert engine.length == 3
    assert run(engine, 4) == 10
    assert run(engine, 5, 6) == 21
    assert engine.length == 6
    engine.begin()
    assert engine.length == 0
    assert run(engine, 7) == 7


def test_after_a_failed_run_it_begins_anew(tmp_path: Path) -> None:
    engine = CachedEngine("sums", decoder(tmp_path / "sums.onnx"), OnnxRuntimeOptions(threads=1))
    run(engine, 1, 2)
    with pytest.raises(EngineError, match="sums: ONNX Runtime failed") as caught:
        engine.run({"ids": np.zeros((2, 1), np.float32)}, 1)
    assert "\n" not in str(caught.value)
    assert run(engine, 5) == 5


@pytest.mark.parametrize(
    ("present", "heads", "said"),
    [
        ("future_key_0", 1, r"expected outputs logits and a present_… for every input past_…"),
        ("present_key_0", "heads", "expected past_key_0 to be open in its length alone"),
    ],
)
def test_other_graphs_are_refused(
    tmp_path: Path, present: str, heads: int | str, said: str
) -> None:
    path = decoder(tmp_path / "sums.onnx", present, heads)
    with pytest.raises(EngineError, match=said):
        CachedEngine("sums", path, OnnxRuntimeOptions(threads=1))
