"""XMem in parts: the network's own answers, in torch and on ONNX Runtime.

That TensorRT takes them is tested in test_every_part.py.
"""

import pytest
import torch

from streamseg.config import MemoryConfig
from streamseg.engines.onnxruntime import OnnxRuntimeEngine
from streamseg.engines.torch import TorchEngine
from streamseg.export.onnx import OPSET, to_model
from streamseg.export.precision import lower
from streamseg.export.verify import LIMITS, reference, verify
from streamseg.export.xmem import Readout, XMemShapes, part_keys, part_name, parts
from streamseg.nets.attention import address
from streamseg.nets.xmem import KeyFeatures, selftest_xmem
from streamseg.propagation.xmem.memory import Memory

SMALL = XMemShapes(64, 96, (3,), 48, 5, window=(2, 3))


@pytest.fixture(scope="module")
def network():
    return selftest_xmem()


@pytest.fixture(scope="module")
def small(network):
    return {part.name: part for part in parts(network, SMALL)}


@pytest.fixture(scope="module")
def models(small):
    """Each small part as ONNX, exported once."""
    return {name: to_model(lower(part, "fp32")) for name, part in small.items()}


NAMES = [part_name(kind, count) for kind, count in part_keys(SMALL)]
every_part = pytest.mark.parametrize("name", NAMES)


def test_there_is_a_part_for_every_call_and_count():
    assert len(NAMES) == 7
    assert len(part_keys(XMemShapes())) == 1 + 5 * 6
    assert len(part_keys(XMemShapes(window=None))) == 1 + 5 * 4


def test_the_parts_are_the_networks_calls(network, small):
    def run(name):
        part = small[name]
        return part.inputs, reference(part)

    given, features = run("xmem_key")
    with torch.inference_mode():
        whole = network.encode_key(given["image"])
        for field, value in zip(KeyFeatures._fields, whole, strict=True):
            assert torch.equal(features[field], value), field

        given, out = run("xmem_value_deep_n3")
        arguments = (given["image"], given["f16"], given["masks"], given["sensory"])
        value, sensory = network.encode_value(*arguments)
        assert torch.equal(out["value"], value)
        assert torch.equal(out["new_sensory"], sensory)
        assert torch.equal(run("xmem_value_n3")[1]["value"], value)

        given, out = run("xmem_decode_n3")
        mixed = whole._replace(**{n: given[n] for n in ("fused16", "skip8", "skip4")})
        probabilities, sensory = network.decode(mixed, given["readout"], given["sensory"])
        assert torch.equal(out["probabilities"], probabilities)
        assert torch.equal(out["new_sensory"], sensory)

        given, out = run("xmem_fuse_n3")
        mixed = whole._replace(fused16=given["fused16"])
        fused = network.fuse(mixed, given["readout"], given["sensory"])
        assert torch.equal(out["fused"], fused)
        given, out = run("xmem_window_n3")
        assert given["skip4"].shape[-2:] == (8, 12)
        torch.testing.assert_close(given["fused"], fused[:, :, :2, :3])
        probabilities, sensory = network.refine(*given.values())
        assert torch.equal(out["probabilities"], probabilities)
        assert torch.equal(out["new_sensory"], sensory)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_the_readout_is_the_memorys_own_at_any_fill(network, frames):
    """A fixed table with a count reads as the growing one does, with the same usage."""
    generator = torch.Generator().manual_seed(frames)
    h, w, top_k, capacity = 3, 4, 5, 48

    def noise(*shape):
        return torch.randn(shape, generator=generator)

    memory = Memory(MemoryConfig(top_k=top_k), 16, torch.device("cpu"))
    rows, values = [], []
    for time in range(frames):
        key, shrinkage = noise(1, 16, h, w), noise(1, 1, h, w).square() + 1
        stored = {1: noise(32, h, w), 2: noise(32, h, w)}
        memory.add(time, key, shrinkage, torch.sigmoid(noise(1, 16, h, w)), stored)
        rows.append(address(key[0].flatten(1).T, shrinkage[0].flatten(1).T))
        values.append(torch.stack([stored[id_].flatten(1).T for id_ in (1, 2)]))
    key, selection = noise(1, 16, h, w), torch.sigmoid(noise(1, 16, h, w))
    expected = memory.read(key, selection, (1, 2))

    filled = frames * h * w
    addresses, table = noise(capacity, 33) * 9, noise(2, capacity, 32) * 9
    addresses[:filled], table[:, :filled] = torch.cat(rows), torch.cat(values, 1)
    readout, usage = Readout(top_k)(addresses, table, torch.tensor([filled]), key, selection)
    torch.testing.assert_close(readout, expected, rtol=1e-5, atol=1e-5)
    assert not usage[filled:].any()
    torch.testing.assert_close(usage[:filled], memory._elements._use, rtol=1e-4, atol=1e-5)


@every_part
def test_onnx_runtime_agrees_with_torch(small, models, name):
    part, model = small[name], models[name]
    assert [graph_input.name for graph_input in model.graph.input] == list(part.inputs)
    assert [output.name for output in model.graph.output] == list(part.outputs)
    assert model.opset_import[0].version == OPSET
    engine = OnnxRuntimeEngine(name, model.SerializeToString())
    assert engine.inputs == part.specs
    verdict = verify(engine, part.inputs, reference(part), LIMITS["fp32"])
    assert verdict.passed, str(verdict)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
@every_part
def test_a_rounded_part_keeps_what_the_loop_keeps_in_float32(small, name, precision):
    part = small[name]
    rounded = lower(part, precision)
    engine = TorchEngine(name, rounded.module, rounded.specs, rounded.outputs, torch.device("cpu"))
    features = {"f16", "fused16", "skip8", "skip4", "values", "fused"}
    for spec in (*engine.inputs, *engine.outputs):
        whole = {"fp16": "float16", "bf16": "bfloat16"}[precision]
        expected = whole if spec.name in features else "float32"
        assert spec.dtype == ("int64" if spec.name == "count" else expected), spec.name
    verdict = verify(engine, rounded.inputs, reference(part), LIMITS[precision])
    assert verdict.passed, str(verdict)


@pytest.mark.parametrize(("height", "width"), [(100, 96), (96, 0)])
def test_sizes_that_do_not_divide_are_told(height, width):
    with pytest.raises(ValueError, match="expected multiples of 16, got a height and width"):
        XMemShapes(height, width)
