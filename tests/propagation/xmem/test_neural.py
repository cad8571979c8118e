"""XMem behind the propagator's protocol: frames in, index maps and scores out."""

import numpy as np
import pytest
import torch

from streamseg.config import MemoryConfig, XMemConfig
from streamseg.errors import CheckpointError, ConfigError, EngineError
from streamseg.nets.xmem import XMem
from streamseg.propagation.xmem.propagator import NeuralPropagator
from streamseg.types import Frame

H, W = 72, 100


def config(**changes):
    memory = MemoryConfig(mem_every=2, top_k=8)
    defaults = {"checkpoint": "selftest-xmem", "device": "cpu", "height": 48, "memory": memory}
    return XMemConfig(**{**defaults, **changes})


@pytest.fixture
def propagator():
    return NeuralPropagator.from_config(config())


def clip(count, height=H, width=W):
    noise = np.random.default_rng(0).integers(0, 255, (height, width + count, 3), np.uint8)
    frames = []
    for index in range(count):
        image = np.ascontiguousarray(noise[:, index : index + width])
        image.flags.writeable = False
        frames.append(Frame(index, index * 33_000_000, 0, image))
    return frames


def block(left, top=10, side=40, height=H, width=W):
    mask = np.zeros((height, width), np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def test_labels_are_ids_at_the_frames_size(propagator):
    frames = clip(4)
    nothing = propagator.step(frames[0])
    assert nothing.labels.shape == (H, W)
    assert nothing.labels.dtype == np.uint16
    assert not nothing.labels.any()
    assert nothing.scores == {}

    seeded = propagator.step(frames[1], {700: block(4), 3: block(55)})
    assert propagator.ids == (700, 3)
    assert set(np.unique(seeded.labels)) == {0, 3, 700}
    for id_, left in ((700, 4), (3, 55)):
        mask, truth = seeded.labels == id_, block(left)
        assert (mask & truth).sum() / (mask | truth).sum() > 0.9
        assert seeded.scores[id_] > 0.9

    later = propagator.step(frames[2])
    assert set(later.scores) == {700, 3}
    assert all(0 <= score <= 1 for score in later.scores.values())


def test_an_object_without_a_pixel_scores_nothing(propagator):
    seen = propagator.step(clip(1)[0], {1: block(4), 2: np.zeros((H, W), np.bool_)})
    assert seen.scores[2] == 0.0
    assert seen.scores[1] > 0.9


@pytest.mark.parametrize(("height", "width"), [(48, 64), (30, 41), (200, 90)])
def test_any_frame_size_does(propagator, height, width):
    frames = clip(2, height, width)
    out = propagator.step(frames[0], {1: block(2, 2, 20, height, width)})
    assert out.labels.shape == (height, width)
    assert propagator.step(frames[1]).labels.shape == (height, width)


def test_a_lane_is_adopted_and_refreshes(propagator):
    frames = clip(8)
    propagator.step(frames[0], {1: block(4)})
    lane = propagator.spawn()
    assert lane.ids == ()
    lane.step(frames[2], {1: block(55)})
    for frame in frames[1:6]:
        propagator.step(frame)
    for frame in frames[3:6]:
        theirs = lane.step(frame)
    out = propagator.adopt(lane, {1: 12})
    assert propagator.ids == (1, 12)
    assert set(out.scores) == {1, 12}
    assert out.labels.shape == (H, W)

    other = NeuralPropagator.from_config(config())
    alone = other.spawn().adopt(lane, {1: 1})
    np.testing.assert_array_equal(alone.labels, theirs.labels)

    propagator.remove([1, 99])
    assert propagator.ids == (12,)
    assert set(propagator.step(frames[6]).scores) == {12}
    propagator.reset()
    assert propagator.ids == ()
    assert not propagator.step(clip(1, 50, 60)[0]).labels.any()


def test_a_fork_steps_alike_and_apart():
    # Kept in full, so that whoever comes second to a frame sees the same to the last bit.
    propagator = NeuralPropagator.from_config(config(keep_features="float32"))
    frames = clip(6)
    propagator.step(frames[0], {1: block(4)})
    fork = propagator.fork()
    fork.step(frames[1], {2: block(50)})
    assert propagator.ids == (1,)
    twin = propagator.fork()
    for frame in frames[1:]:
        one, other = propagator.step(frame), twin.step(frame)
        np.testing.assert_array_equal(one.labels, other.labels)
        assert one.scores == other.scores


def test_a_lane_of_another_kind_is_refused(propagator):
    with pytest.raises(TypeError, match="XMem"):
        propagator.adopt(object(), {})


@pytest.mark.parametrize(("kept", "encodings"), [("float32", 4), ("float16", 4), ("none", 8)])
def test_a_replay_encodes_no_frame_again(monkeypatch, kept, encodings):
    calls = []
    encode = XMem.encode_key
    monkeypatch.setattr(XMem, "encode_key", lambda self, x: calls.append(x) or encode(self, x))
    propagator = NeuralPropagator.from_config(config(keep_features=kept))
    frames = clip(4)
    live = [propagator.step(frames[0], {1: block(4)}), *map(propagator.step, frames[1:])]
    lane = propagator.spawn()
    replay = [lane.step(frames[0], {1: block(4)}), *map(lane.step, frames[1:])]
    assert len(calls) == encodings
    assert (frames[0].nbytes > frames[0].image.nbytes) == (kept != "none")
    for one, other in zip(live, replay, strict=True):
        assert (one.labels == other.labels).mean() > 0.99


def test_two_networks_do_not_share_what_they_see():
    frame = clip(1)[0]
    first, second = (NeuralPropagator.from_config(config()) for _ in range(2))
    first.step(frame)
    held = frame.nbytes
    second.step(frame)
    assert frame.nbytes > held


def test_seeing_leaves_no_trace_in_autograd(propagator):
    propagator.step(clip(1)[0], {1: block(4)})
    assert torch.is_grad_enabled()


def test_a_device_or_checkpoint_that_is_not_there_is_refused():
    with pytest.raises(EngineError, match="cuda"):
        NeuralPropagator.from_config(config(device="cuda:31"))
    with pytest.raises((CheckpointError, ConfigError)):
        NeuralPropagator.from_config(config(checkpoint="/nowhere/XMem.pth"))
