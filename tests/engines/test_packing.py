"""Packed linear layers: the module's own answer, on its own weights, which stay what they were."""

from __future__ import annotations

import gc

import pytest
import torch
from torch import Tensor, nn

from streamseg.engines import TensorSpec, packing
from streamseg.engines.packing import can_pack, packed
from streamseg.engines.torch import TorchEngine, TorchOptions
from streamseg.errors import EngineError

CPU = torch.device("cpu")
INPUTS = (TensorSpec("tokens", (2, 5, 8), "float32"),)
HALF = (TensorSpec("tokens", (2, 5, 8), "bfloat16"),)


class Block(nn.Module):
    """Layers in a sequence, in a list, by themselves, one without a bias, and nothing at all."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.feed = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8), nn.ReLU())
        self.rough = nn.Sequential(nn.Linear(8, 8), nn.GELU(approximate="tanh"), nn.Sigmoid())
        self.more = nn.ModuleList((nn.Linear(8, 8, bias=False), nn.Sequential(nn.Linear(8, 8))))
        self.norm = nn.LayerNorm(8)
        self.nothing = None

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.feed(self.norm(tokens)) * self.rough(tokens)
        for layer in self.more:
            tokens = layer(tokens)
        return tokens


def tokens() -> Tensor:
    return torch.randn((2, 5, 8), generator=torch.Generator().manual_seed(1))


def linear_layers(module: nn.Module) -> list[nn.Module]:
    return [layer for layer in module.modules() if type(layer) is nn.Linear]


@torch.no_grad()
def test_it_answers_as_before_and_leaves_the_module_alone() -> None:
    block = Block()
    expected, names = block(tokens()), [name for name, _ in block.named_modules()]
    twin = packed(block)
    torch.testing.assert_close(twin(tokens()), expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(block(tokens()), expected)
    assert [name for name, _ in block.named_modules()] == names
    assert len(linear_layers(block)) == 5
    assert linear_layers(twin) == []


def test_exact_activations_go_with_the_product_and_others_stay() -> None:
    twin = packed(Block())
    assert not any(isinstance(layer, nn.ReLU) for layer in twin.modules())
    stayed = [layer for layer in twin.modules() if isinstance(layer, nn.GELU)]
    assert [layer.approximate for layer in stayed] == ["tanh"]


@torch.no_grad()
def test_in_bfloat16_it_differs_by_rounding_alone_where_the_cpu_can() -> None:
    block = Block()
    expected = block(tokens())
    if not can_pack(torch.bfloat16):
        options = TorchOptions(packed=True)
        with pytest.raises(EngineError, match=r"pack linear layers in torch\.bfloat16, got cpu"):
            TorchEngine("block", block.bfloat16(), HALF, ("out",), CPU, options)
        return
    got = packed(block.bfloat16())(tokens().bfloat16())
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got.float(), expected, rtol=0.0, atol=0.05)


def test_twins_share_their_weights_which_go_with_the_module() -> None:
    gc.collect()  # of what other tests left
    before = len(packing._LAID_OUT)
    block = Block()
    one, other = packed(block), packed(block)
    assert one.feed[0].weight is other.feed[0].weight
    assert len(packing._LAID_OUT) == before + 5
    del one, other, block
    gc.collect()
    assert len(packing._LAID_OUT) == before


def test_an_engine_packs_what_it_runs_and_not_what_it_was_given() -> None:
    block = Block()
    engine = TorchEngine("block", block, INPUTS, ("out",), CPU, TorchOptions(packed=True))
    with torch.no_grad():
        expected = block(tokens())
    got = engine.run({"tokens": tokens()})["out"]
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)
    assert len(linear_layers(block)) == 5


@pytest.mark.parametrize("other", ["autocast", "compile"])
def test_with_what_lays_weights_out_itself_it_is_refused(other: str) -> None:
    options = TorchOptions(packed=True, **{other: True})
    with pytest.raises(EngineError, match="block: expected packed alone, got it with autocast or"):
        TorchEngine("block", Block(), INPUTS, ("out",), CPU, options)


def test_where_torch_cannot_it_says_what_to_leave_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamseg.engines.torch.can_pack", lambda dtype: False)
    with pytest.raises(EngineError, match=r"block: expected a CPU, and torch with oneDNN.*leave"):
        TorchEngine("block", Block(), INPUTS, ("out",), CPU, TorchOptions(packed=True))
