"""XMem's loop on engines: the plain network's masks, whatever the counts and the buckets."""

import copy
import logging

import pytest
import torch

from streamseg.config import EngineConfig, MemoryConfig, WindowsConfig
from streamseg.engines.onnxruntime import OnnxRuntimeEngine
from streamseg.errors import EngineError
from streamseg.export.xmem_engines import XMemEngines
from streamseg.nets.xmem import selftest_xmem
from streamseg.propagation.xmem import XMemPropagator

MEMORY = MemoryConfig(mem_every=2, top_k=8)
HEIGHT, WIDTH = 48, 80


@pytest.fixture(scope="module")
def network():
    return selftest_xmem()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("engines")


def engines(network, cache, **settings):
    return XMemEngines(network, EngineConfig(**settings), cache, MEMORY.top_k)


def run(network, objects, steps=5):
    """(steps, objects + 1, H, W): a picture that shifts, an object more on the third."""
    generator = torch.Generator().manual_seed(1)
    wide = torch.randn((3, HEIGHT, WIDTH + steps), generator=generator)
    masks = torch.zeros((objects + 1, HEIGHT, WIDTH))
    for index in range(objects + 1):
        masks[index, 4 + 3 * index : 20 + 3 * index, 4 + 12 * index : 14 + 12 * index] = 1
    propagator = XMemPropagator(network, MEMORY)
    out = []
    for step in range(steps):
        image = wide[:, :, step : step + WIDTH]
        given = {0: masks[:objects], 2: masks[objects:]}.get(step)
        ids = {0: range(1, objects + 1), 2: [objects + 1]}.get(step)
        result = propagator.step(image, given, ids)
        out.append(
            torch.cat((result, result.new_zeros(objects + 2 - len(result), *result.shape[1:])))
        )
    return torch.stack(out)


@pytest.mark.parametrize(
    "settings",
    [{"channels_last": True}, {"channels_last": True, "objects": (2,)}, {"packed": True}],
)
def test_torch_options_change_nothing(network, cache, settings):
    made = engines(network, cache, **settings)
    torch.testing.assert_close(run(made.network(), 3), run(network, 3), rtol=0, atol=1e-4)
    assert set(made.summary()["parts"].values()) == {"torch"}


def test_onnx_runtime_pads_to_a_bucket_and_takes_many_in_turns(network, cache):
    """Three, then four objects over engines for two: two turns, the second padded at first."""
    made = engines(network, cache, family="onnxruntime", objects=(2,))
    torch.testing.assert_close(run(made.network(), 3), run(network, 3), rtol=0, atol=1e-4)
    assert made.summary()["parts"] == {
        "xmem_key": "onnxruntime",
        "xmem_value_deep_n2": "onnxruntime",
        "xmem_decode_n2": "onnxruntime",
    }
    assert made.summary()["refused"] == {}
    assert len(list(cache.glob("*.onnx"))) == 3


def test_windows_run_on_engines_of_their_own_size(network, cache):
    """Log-odds so low that nothing reaches out of the windows where the objects were given."""
    network = copy.deepcopy(network)
    network.decoder.pred.bias -= 40
    windows = WindowsConfig(from_objects=2, high=12, wide=14)  # objects in turn: one whole
    generator = torch.Generator().manual_seed(1)
    image = torch.randn((3, 384, 576), generator=generator)
    masks = torch.zeros((3, 384, 576))
    for index in range(3):
        masks[index, 100:130, 60 + 90 * index : 90 + 90 * index] = 1
    made = engines(network, cache, family="onnxruntime", objects=(2,))
    out = []
    for each in (network, made.network()):
        propagator = XMemPropagator(each, MEMORY, windows)
        propagator.step(image, masks)
        propagator._whole_at = {1: 0, 2: 0, 3: 0}
        propagator.step(image)
        out.append((propagator._solo, propagator._sensory))
    for ours, theirs in zip(*out, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)
    assert {"xmem_fuse_n2", "xmem_window_n2", "xmem_decode_n2"} < set(made.summary()["parts"])
    window = made.find("window", 2, (192, 224))
    assert {spec.name: spec.shape for spec in window.inputs}["fused"] == (2, 32, 12, 14)


def test_bfloat16_is_near(network, cache):
    made = engines(network, cache, precision="bf16")
    difference = (run(made.network(), 2) - run(network, 2)).abs().max()
    assert 1e-5 < difference < 0.1


def test_another_family_stands_in_only_where_config_allows_and_never_silently(
    network, cache, caplog
):
    wanted = {"family": "tensorrt-rtx", "objects": (2,)}
    with pytest.raises(EngineError, match="expected a CUDA device for tensorrt-rtx, got cpu"):
        engines(network, cache, **wanted)

    with caplog.at_level(logging.WARNING):
        made = engines(network, cache, **wanted, fallback=("onnxruntime",))
        torch.testing.assert_close(run(made.network(), 1), run(network, 1), rtol=0, atol=1e-4)
    assert "xmem_key runs on onnxruntime instead: tensorrt-rtx: xmem_key" in caplog.text
    summary = made.summary()
    assert summary["asked"] == "tensorrt-rtx"
    assert summary["parts"]["xmem_key"] == "onnxruntime"
    assert "expected a CUDA device" in summary["refused"]["xmem_key"][0]


def test_a_folder_without_a_fitting_part_is_an_error_that_says_so(network, cache, tmp_path):
    made = engines(network, cache, family="onnxruntime", folder=str(tmp_path))
    with pytest.raises(EngineError, match=r"xmem_key: expected onnx of it in .* found nothing"):
        run(made.network(), 1)


def test_engines_are_made_once(network, cache):
    made = engines(network, cache, family="onnxruntime", objects=(2,))
    first = made.find("key", None, (HEIGHT, WIDTH))
    assert isinstance(first, OnnxRuntimeEngine)
    assert made.find("key", None, (HEIGHT, WIDTH)) is first
