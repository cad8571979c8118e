"""Plans: targets by name, what the compiler refuses told in its words, a cache that may be bad."""

import pytest
from onnx import TensorProto, helper

from streamseg.errors import ConfigError, EngineError
from streamseg.export.tensorrt import build_plan, targets


def model(operator="Relu", domain=""):
    a, b = (helper.make_tensor_value_info(n, TensorProto.FLOAT, (2, 3)) for n in "ab")
    graph = helper.make_graph(
        [helper.make_node(operator, ["a"], ["b"], domain=domain)], "g", [a], [b]
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("elsewhere", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def test_the_known_cards_are_there():
    assert targets("tensorrt-rtx") == ("sm75", "sm80", "sm86", "sm89", "sm120", "sm121", "current")


@pytest.mark.parametrize("target", ["sm75", "sm80", "sm86", "sm89", "sm120", "sm121"])
def test_a_plan_is_built_for_every_card_without_having_one(target):
    assert len(build_plan("relu", model(), target)) > 1000


def test_a_card_that_nobody_knows_is_told_with_those_that_are():
    with pytest.raises(ConfigError, match=r"expected a target of .*sm75.*current, got 'sm60'"):
        build_plan("relu", model(), "sm60")


def test_a_layer_that_is_not_supported_is_an_error_with_the_compilers_words():
    with pytest.raises(EngineError, match=r"odd: TensorRT does not take this ONNX: .*Nonsense"):
        build_plan("odd", model("Nonsense", "elsewhere"), "sm86")


def test_what_is_no_onnx_is_an_error():
    with pytest.raises(EngineError, match="odd: TensorRT does not take this ONNX"):
        build_plan("odd", b"not a model", "sm86")


def test_the_rtx_compiler_keeps_no_timings(tmp_path):
    assert build_plan("relu", model(), "sm86", timing_cache=tmp_path / "timing.cache")
    assert list(tmp_path.iterdir()) == []
