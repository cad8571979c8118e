"""ONNX Runtime as an engine: bound inputs and outputs, providers that must be there."""

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from streamseg.engines import TensorSpec
from streamseg.engines.onnx_session import OnnxRuntimeOptions
from streamseg.engines.onnxruntime import OnnxRuntimeEngine
from streamseg.errors import EngineError

TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "int64": TensorProto.INT64}


def model(dtype="float32", shape=(2, 3)):
    kind = TYPES[dtype]
    a, b, out = (helper.make_tensor_value_info(name, kind, shape) for name in "abc")
    node = helper.make_node("Add", ["a", "b"], ["c"])
    graph = helper.make_graph([node], "sum", [a, b], [out])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(made)
    return made.SerializeToString()


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64"])
def test_it_answers_in_the_files_types(dtype):
    engine = OnnxRuntimeEngine("sum", model(dtype))
    assert engine.inputs == (TensorSpec("a", (2, 3), dtype), TensorSpec("b", (2, 3), dtype))
    a = torch.arange(6).reshape(2, 3).to(getattr(torch, dtype))
    assert torch.equal(engine.run({"a": a, "b": 2 * a})["c"], 3 * a)


def test_inputs_need_not_be_contiguous_and_answers_outlive_the_next_run():
    engine = OnnxRuntimeEngine("sum", model())
    turned = torch.arange(6.0).reshape(3, 2).T
    first = engine.run({"a": turned, "b": turned})["c"]
    engine.run({"a": torch.zeros(2, 3), "b": torch.zeros(2, 3)})
    assert torch.equal(first, 2 * turned)


def test_a_file_is_as_good_as_bytes(tmp_path):
    path = tmp_path / "sum.onnx"
    path.write_bytes(model())
    ones = torch.ones(2, 3)
    assert torch.equal(OnnxRuntimeEngine("sum", path).run({"a": ones, "b": ones})["c"], 2 * ones)


def test_a_provider_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(EngineError, match=r"sum: expected .* provider 'cuda', this one has cpu"):
        OnnxRuntimeEngine("sum", model(), OnnxRuntimeOptions(("cuda",)))


def test_shapes_must_be_static():
    with pytest.raises(EngineError, match=r"sum: expected static shapes, got 'a' .*rows"):
        OnnxRuntimeEngine("sum", model(shape=("rows", 3)))


def test_what_is_no_onnx_does_not_load(tmp_path):
    path = tmp_path / "sum.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(EngineError, match=r"sum: ONNX Runtime cannot load .*sum\.onnx"):
        OnnxRuntimeEngine("sum", path)


def test_wrong_tensors_are_told():
    with pytest.raises(EngineError, match=r"sum: input 'b': expected float32\[2, 3\], got int64"):
        OnnxRuntimeEngine("sum", model()).run({"a": torch.ones(2, 3), "b": torch.ones(2, 3).long()})
