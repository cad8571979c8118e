"""XMem nano's recipe: it trains what the loop runs, and it learns."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from itertools import islice

import pytest
import torch

from streamseg.config import MemoryConfig
from streamseg.nets.xmem import XMem, selftest_xmem
from streamseg.propagation.xmem import XMemPropagator
from streamseg.training.clips import ClipSizes, TrainingClips
from streamseg.training.widen import widened
from streamseg.training.xmem import RECIPE, loss_of, nano, overlap, unrolled
from streamseg.weights import RECORD
from streamseg.weights.checkpoints import read_state


@pytest.fixture(scope="module")
def batch():
    pairs = list(islice(TrainingClips(ClipSizes(frames=3, side=96), seed=5), 2))
    images, masks = zip(*pairs, strict=True)
    return torch.stack(images), torch.stack(masks)


def test_training_unrolls_what_the_loop_runs(batch):
    """In evaluation mode, with every frame stored and everything read, the two are one."""
    images, masks = batch
    network = selftest_xmem()
    with torch.no_grad():
        trained = unrolled(network, images, masks, deep_rate=1.1).softmax(2)
    everything = MemoryConfig(
        mem_every=1, deep_update_every=1, top_k=10_000, enable_long_term=False
    )
    for clip in range(len(images)):
        loop = XMemPropagator(network, everything)
        loop.step(images[clip, 0], masks[clip, 0])
        for index in (1, 2):
            run = loop.step(images[clip, index])
            torch.testing.assert_close(trained[clip, index - 1], run, rtol=0, atol=2e-4)


def test_a_perfect_answer_costs_nearly_nothing_and_a_wrong_one_much(batch):
    _, masks = batch
    wanted = masks[:, 1:]
    right = 20 * torch.cat((1 - wanted.amax(2, keepdim=True), wanted), 2) - 10
    assert loss_of(right, wanted, 0.3) < 0.01
    assert overlap(right, wanted) == 1
    assert loss_of(-right, wanted, 0.3) > 5
    assert overlap(-right, wanted) < 0.1


def test_it_learns(batch):
    """A few steps on one batch lower the loss by a third."""
    torch.manual_seed(0)
    images, masks = batch
    network = nano().train()
    optimiser = torch.optim.AdamW(network.parameters(), 3e-4)
    losses = []
    for _ in range(12):
        loss = loss_of(unrolled(network, images, masks, 0.3), masks[:, 1:], 1.0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] * 2 / 3


def test_the_command_leaves_a_checkpoint_a_log_and_what_ships(tmp_path):
    path, shipped = tmp_path / "made.safetensors", tmp_path / "shipped" / "small"
    command = [sys.executable, "-m", "streamseg.training.xmem", "--output", str(path)]
    command += ["--phases", "0", "--share", str(6 / RECIPE[0].steps), "--ship", str(shipped)]
    subprocess.run(command, check=True, capture_output=True, timeout=240)
    made = XMem.from_state_dict(read_state(path)).state_dict()
    file = shipped / "small.safetensors"
    for name, tensor in XMem.from_state_dict(read_state(file)).state_dict().items():
        torch.testing.assert_close(tensor, made[name], rtol=1e-3, atol=1e-6)
    (record,) = json.loads((shipped / RECORD).read_text()).values()
    assert record["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    rows = [json.loads(line) for line in path.with_suffix(".jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [6]
    assert {"loss", "iou", "minutes"} <= rows[0].keys()


@pytest.fixture(scope="module")
def uneven():
    """A small network with nothing left at its first value."""
    torch.manual_seed(0)
    network = selftest_xmem()
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(0.02 * torch.rand_like(tensor))
    return network


def test_widening_changes_nothing(uneven):
    wide = XMem(64, 96, 32, width=16, key_blocks=(2, 1, 3), value_width=16, decoder_dim=64)
    wide = widened(uneven, wide)
    image, masks = torch.randn(3, 64, 96), torch.rand(2, 64, 96)
    loops = [XMemPropagator(each, MemoryConfig(mem_every=2)) for each in (uneven, wide)]
    for loop in loops:
        loop.step(image, masks)
    for shift in range(1, 5):
        moved = image.roll(shift, 2)
        expected, got = (loop.step(moved) for loop in loops)
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)


def test_a_network_cannot_be_narrowed(uneven):
    with pytest.raises(ValueError, match="expected a wider network"):
        widened(uneven, XMem(8, 32, 16, width=8, value_width=8, decoder_dim=32, up_dim=16))
