"""The network: the public layout, shapes of its parts, and what a wrong checkpoint says."""

import json
import runpy
from pathlib import Path

import pytest
import torch

from streamseg.errors import CheckpointError
from streamseg.nets.attention import address, probe, readout
from streamseg.nets.xmem import XMem, selftest_xmem

TESTS = Path(__file__).parents[1]
MANIFEST = json.loads((TESTS / "data" / "xmem_manifest.json").read_text())


def layout(network):
    return {name: list(tensor.shape) for name, tensor in network.state_dict().items()}


def test_the_state_dict_is_the_public_checkpoints():
    with torch.device("meta"):
        network = XMem(key_dim=64, value_dim=512, hidden_dim=64)
    assert len(MANIFEST) == 412
    assert layout(network) == MANIFEST


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"key_dim": 24, "value_dim": 48, "hidden_dim": 8, "width": 4, "value_width": 12},
        {"key_blocks": (2, 1, 3), "value_blocks": (1, 2, 1), "decoder_dim": 64, "up_dim": 24},
    ],
)
def test_sizes_are_read_off_a_state_dict(sizes):
    small = {"width": 8, "value_width": 8, "decoder_dim": 32, "up_dim": 16, "value_dim": 32}
    network = XMem(**{**small, **sizes})
    again = XMem.from_state_dict(network.state_dict())
    assert layout(again) == layout(network)
    assert not again.training
    assert not any(parameter.requires_grad for parameter in again.parameters())


def test_a_half_precision_checkpoint_becomes_float32():
    state = {name: tensor.half() for name, tensor in selftest_xmem().state_dict().items()}
    assert XMem.from_state_dict(state).decoder.pred.weight.dtype == torch.float32


def test_each_entry_that_differs_is_named():
    state = dict(selftest_xmem().state_dict())
    del state["decoder.pred.bias"]
    state["surplus.weight"] = torch.zeros(1)
    state["key_proj.d_proj.bias"] = torch.zeros(3)
    with pytest.raises(CheckpointError) as caught:
        XMem.from_state_dict(state)
    message = str(caught.value)
    assert "decoder.pred.bias is missing" in message
    assert "surplus.weight is not expected" in message
    assert "key_proj.d_proj.bias has shape [3], expected [1]" in message
    assert "\n" not in message


@torch.inference_mode()
def test_a_network_for_single_objects_takes_no_notice_of_others():
    """As the original pads it for evaluation (its `load_weights`): with zeros, at the end."""
    state = dict(selftest_xmem().state_dict())
    state["value_encoder.conv1.weight"] = state["value_encoder.conv1.weight"][:, :4]
    network = XMem.from_state_dict(state)
    weight = network.value_encoder.conv1.weight
    assert torch.equal(weight[:, :4], state["value_encoder.conv1.weight"])
    assert not weight[:, 4:].any()
    image, masks = torch.randn(1, 3, 64, 64), torch.rand(2, 64, 64)
    f16 = network.encode_key(image).f16
    both = network.value_encoder(image, f16, masks)
    alone = network.value_encoder(image, f16, masks[:1])
    assert torch.allclose(both[:1], alone, atol=1e-5)


@pytest.mark.parametrize("state", [{}, {"decoder.pred.weight": torch.zeros(())}])
def test_what_is_no_xmem_at_all_is_refused(state):
    with pytest.raises(CheckpointError, match="expected an XMem state dict of 412 entries"):
        XMem.from_state_dict(state)


def test_the_selftest_network_is_the_same_for_a_seed_alone():
    one, same, other = selftest_xmem(3), selftest_xmem(3), selftest_xmem(4)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[name])
    assert not torch.equal(one.decoder.pred.weight, other.decoder.pred.weight)


@torch.inference_mode()
def test_parts_take_any_number_of_objects_and_treat_each_alone():
    network = selftest_xmem()
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 3, 48, 64, generator=generator)
    features = network.encode_key(image)
    assert features.key.shape == (1, 16, 3, 4)
    assert features.shrinkage.shape == (1, 1, 3, 4)
    assert float(features.shrinkage.min()) >= 1
    assert features.skip8.shape[-2:] == (6, 8)
    assert features.skip4.shape[-2:] == (12, 16)

    read = torch.randn(3, 32, 3, 4, generator=generator)
    sensory = torch.randn(3, 16, 3, 4, generator=generator)
    together, updated = network.decode(features, read, sensory)
    assert together.shape == (3, 48, 64)
    for index in range(3):
        at = slice(index, index + 1)
        alone, alone_updated = network.decode(features, read[at], sensory[at])
        torch.testing.assert_close(together[at], alone, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(updated[at], alone_updated, atol=1e-5, rtol=1e-4)

    masks = torch.rand(3, 48, 64, generator=generator)
    value, deepened = network.encode_value(image, features.f16, masks, sensory)
    assert value.shape == (3, 32, 3, 4)
    assert not torch.equal(deepened, sensory)
    _, untouched = network.encode_value(image, features.f16, masks, sensory, deep=False)
    assert untouched is sensory


def test_aggregation_is_a_distribution_that_keeps_odds():
    solo = torch.tensor([0.9, 0.5, 0.2]).view(3, 1, 1)
    together = XMem.aggregate(solo)
    assert together.shape == (4, 1, 1)
    assert float(together.sum()) == pytest.approx(1)
    assert float(together[1] / together[2]) == pytest.approx(9, rel=1e-5)
    assert float(together[1] / together[3]) == pytest.approx(36, rel=1e-5)


def test_similarity_is_the_papers():
    generator = torch.Generator().manual_seed(1)
    key, query = torch.randn(7, 5, generator=generator), torch.randn(4, 5, generator=generator)
    shrinkage = 1 + torch.rand(7, 1, generator=generator)
    selection = torch.rand(4, 5, generator=generator)
    ours = probe(query, selection) @ address(key, shrinkage).T
    gap = (key[None] - query[:, None]).square()
    paper = -shrinkage[:, 0] * (selection[:, None] * gap).sum(-1) / 5**0.5
    torch.testing.assert_close(ours, paper)


def test_readout_of_one_element_is_its_value_and_gradients_flow():
    addresses = address(torch.zeros(1, 5), torch.ones(1, 1)).requires_grad_()
    values = torch.arange(6.0).view(2, 1, 3)
    probes = probe(torch.ones(4, 5), torch.ones(4, 5))
    torch.testing.assert_close(readout(addresses, values, probes), values.expand(2, 4, 3))
    readout(addresses, values, probes, top_k=1).sum().backward()
    assert addresses.grad is not None


def test_the_parts_export():
    """Each part traces to a static graph: what compilers want."""
    network = selftest_xmem()
    image = torch.zeros(1, 3, 48, 64)
    program = torch.export.export(_Encode(network), (image,))
    with torch.inference_mode():
        for ours, theirs in zip(network.encode_key(image), program.module()(image), strict=True):
            torch.testing.assert_close(ours, theirs)


class _Encode(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, image):
        return tuple(self.network.encode_key(image))


def test_procedural_weights_fill_every_entry():
    tensor = runpy.run_path(str(TESTS / "procweights.py"))["tensor"]
    small = selftest_xmem().state_dict()
    filled = {
        name: torch.as_tensor(tensor(name, tuple(value.shape))) for name, value in small.items()
    }
    assert layout(XMem.from_state_dict(filled)) == layout(selftest_xmem())
