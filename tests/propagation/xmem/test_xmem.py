"""The loop against the original's recorded outputs, and what the original cannot do."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from streamseg.config import MemoryConfig
from streamseg.nets.xmem import XMem, selftest_xmem
from streamseg.propagation.xmem import XMemPropagator

TESTS = Path(__file__).parents[2]
H, W = 40, 56
SMALL = MemoryConfig(
    mem_every=2,
    top_k=8,
    max_mid_term_frames=4,
    min_mid_term_frames=2,
    num_prototypes=6,
    max_long_term_elements=20,
)


@pytest.fixture(scope="module")
def original():
    """The full network, filled as the recorded one was."""
    tensor = runpy.run_path(str(TESTS / "procweights.py"))["tensor"]
    manifest = json.loads((TESTS / "data" / "xmem_manifest.json").read_text())
    state = {name: torch.as_tensor(tensor(name, tuple(shape))) for name, shape in manifest.items()}
    return XMem.from_state_dict(state)


@pytest.fixture(scope="module")
def network():
    return selftest_xmem()


def normalised(image):
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    picture = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    return (picture - mean[:, None, None]) / deviation[:, None, None]


def pictures(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    base = torch.randn(3, H, W + count, generator=generator)
    return [base[:, :, shift : shift + W].contiguous() for shift in range(count)]


def square(left, top=8, side=20):
    mask = torch.zeros(1, H, W)
    mask[0, top : top + side, left : left + side] = 1
    return mask


def run(propagator, frames):
    return [propagator.step(frame) for frame in frames]


def assert_all_close(ours, theirs):
    for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        torch.testing.assert_close(
            one, other, atol=1e-4, rtol=0, msg=lambda m, i=index: f"{i}: {m}"
        )


# ── the original ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["short", "long", "added"])
def test_every_frame_equals_the_original(original, name):
    with np.load(TESTS / "data" / f"xmem_{name}.npz") as recorded:
        settings = json.loads(str(recorded["config"]))
        events = json.loads(str(recorded["events"]))
        known = {key: settings[key] for key in settings if key in MemoryConfig.model_fields}
        propagator = XMemPropagator(original, memory=MemoryConfig(**known))
        for time, image in enumerate(recorded["frames"]):
            ids = events.get(str(time))
            labels = torch.from_numpy(recorded["labels"][time])
            masks = torch.stack([(labels == id_).float() for id_ in ids]) if ids else None
            ours = propagator.step(normalised(image), masks, ids)
            theirs = torch.from_numpy(recorded[f"prob_{time:03d}"].astype(np.float32))
            assert ours.dtype == torch.float32
            torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=0)


def test_keeping_late_objects_under_their_own_keys_is_another_result(original):
    """The parity above is not blind to the original's way with objects given later."""
    with np.load(TESTS / "data" / "xmem_added.npz") as recorded:
        settings = json.loads(str(recorded["config"]))
        known = {key: settings[key] for key in settings if key in MemoryConfig.model_fields}
        config = MemoryConfig(**known, share_first_frame=False)
        propagator = XMemPropagator(original, memory=config)
        for time in range(11):
            labels = torch.from_numpy(recorded["labels"][time])
            ids = {0: [1], 7: [2]}.get(time)
            masks = torch.stack([(labels == id_).float() for id_ in ids]) if ids else None
            ours = propagator.step(normalised(recorded["frames"][time]), masks, ids)
        theirs = torch.from_numpy(recorded["prob_010"].astype(np.float32))
        assert float((ours - theirs).abs().max()) > 0.02


# ── shapes and rhythm ────────────────────────────────────────────────────────────────────────


def test_output_is_a_distribution_at_the_pictures_size(network):
    propagator = XMemPropagator(network, SMALL)
    frames = pictures(6)
    assert torch.equal(propagator.step(frames[0]), torch.ones(1, H, W))
    out = propagator.step(frames[1], square(4), [7])
    assert out.shape == (2, H, W)
    assert float(out[1][10, 10]) > 0.99
    out = propagator.step(frames[2], torch.cat((square(4), square(30))), [7, 3])
    assert propagator.ids == (7, 3)
    for frame in frames[3:]:
        out = propagator.step(frame)
        assert out.shape == (3, H, W)
        torch.testing.assert_close(out.sum(0), torch.ones(H, W))
        assert float(out[1].std()) > 0.01  # not flat: the other tests mean something


def test_a_correction_holds_where_it_is_given(network):
    propagator = XMemPropagator(network, SMALL)
    frames = pictures(4)
    propagator.step(frames[0], torch.cat((square(4), square(30))), [1, 2])
    before = propagator.fork().step(frames[1])
    out = propagator.step(frames[1], square(2, top=0, side=8), [2])
    assert propagator.ids == (1, 2)
    assert float(out[2, :8, 2:10].min()) > 0.99
    assert float(out[2, 20:, 30:].max()) < 0.01
    assert float(out[1, :8, 2:10].max()) < 0.01
    assert (out[1] > 0.5).sum() == ((before[1] > 0.5) & (square(2, top=0, side=8)[0] == 0)).sum()


def test_features_can_be_brought_along(network):
    frames = pictures(8)
    straight, helped = XMemPropagator(network, SMALL), XMemPropagator(network, SMALL)
    for index, frame in enumerate(frames):
        masks = square(10) if index == 0 else None
        plain = straight.step(frame, masks)
        brought = helped.step(frame, masks, features=helped.encode(frame))
        assert torch.equal(plain, brought)


@pytest.mark.parametrize("every", [1, 3])
def test_a_deep_update_of_its_own_rhythm_keeps_the_shallow_one(network, every):
    config = SMALL.model_copy(update={"deep_update_every": every})
    frames = pictures(6)
    propagator, usual = XMemPropagator(network, config), XMemPropagator(network, SMALL)
    for each in (propagator, usual):
        each.step(frames[0], square(10), [1])
    outputs = run(propagator, frames[1:])
    assert not torch.allclose(outputs[-1], run(usual, frames[1:])[-1], atol=1e-4)


@pytest.mark.parametrize(
    ("image", "masks", "ids", "message"),
    [
        (torch.zeros(H, W), None, None, "picture"),
        (torch.zeros(3, H, W), torch.zeros(1, 5, 5), [1], "masks"),
        (torch.zeros(3, H, W), torch.zeros(2, H, W), [1, 1], "different ids"),
        (torch.zeros(3, H, W), torch.zeros(2, H, W), [1], "different ids"),
        (torch.zeros(3, H, W), None, [1], "masks for the ids"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(network, image, masks, ids, message):
    propagator = XMemPropagator(network, SMALL)
    with pytest.raises(ValueError, match=message):
        propagator.step(image, masks, ids)
    assert propagator.ids == ()


def test_a_network_fresh_from_training_is_put_in_evaluation_mode(network):
    trained = selftest_xmem().train()
    ours, theirs = XMemPropagator(trained, SMALL), XMemPropagator(network, SMALL)
    assert not trained.training
    for propagator in (ours, theirs):
        propagator.step(pictures(2)[0], square(4), [1])
    assert torch.equal(ours.step(pictures(2)[1]), theirs.step(pictures(2)[1]))


def test_another_size_needs_a_reset(network):
    propagator = XMemPropagator(network, SMALL)
    propagator.step(torch.zeros(3, H, W), square(3), [1])
    with pytest.raises(ValueError, match="reset"):
        propagator.step(torch.zeros(3, H, W + 16))
    propagator.reset()
    assert propagator.step(torch.zeros(3, H, W + 16)).shape == (1, H, W + 16)


# ── beyond the original ──────────────────────────────────────────────────────────────────────


def test_a_fork_goes_on_like_its_origin_and_disturbs_it_not(network):
    frames = pictures(24)
    straight = XMemPropagator(network, SMALL)
    straight.step(frames[0], torch.cat((square(4), square(30))), [1, 2])
    expected = run(straight, frames[1:])

    propagator = XMemPropagator(network, SMALL)
    propagator.step(frames[0], torch.cat((square(4), square(30))), [1, 2])
    run(propagator, frames[1:9])
    fork = propagator.snapshot()
    strayed = [fork.step(frames[9], square(12), [5]), *run(fork, pictures(9, seed=5))]
    assert strayed[-1].shape == (4, H, W)
    other = propagator.fork()
    assert_all_close(run(other, frames[9:]), expected[8:])
    assert_all_close(run(propagator, frames[9:]), expected[8:])


def test_removing_an_object_leaves_the_odds_between_the_others(network):
    frames = pictures(12)
    propagator = XMemPropagator(network, SMALL)
    propagator.step(frames[0], torch.cat((square(2, side=12), square(20, side=12))), [1, 2])
    run(propagator, frames[1:5])
    propagator.step(frames[5], square(38, side=12), [3])
    run(propagator, frames[6:9])
    fork = propagator.fork()
    fork.remove([2, 99])
    assert fork.ids == (1, 3)
    assert fork.nbytes < propagator.nbytes
    assert fork.present().shape == (3, H, W)
    # Each object is decoded alone; only the weighing against each other knew the one removed.
    whole, rest = propagator.step(frames[9]), fork.step(frames[9])
    torch.testing.assert_close(
        (rest[1] / rest[2]).log(), (whole[1] / whole[3]).log(), atol=1e-3, rtol=1e-3
    )
    fork.remove([1, 3])
    assert torch.equal(fork.step(frames[10]), torch.ones(1, H, W))


def test_an_empty_propagator_that_adopts_a_lane_becomes_it(network):
    frames = pictures(26)
    lane = XMemPropagator(network, SMALL)
    lane.step(frames[3], torch.cat((square(4), square(30))), [1, 2])
    run(lane, frames[4:14])
    twin = lane.fork()

    propagator = XMemPropagator(network, SMALL)
    run(propagator, frames[:3])  # nothing to follow yet, but its time has begun
    fresh = propagator.spawn()
    adopted = fresh.adopt(lane, {1: 1, 2: 2})
    torch.testing.assert_close(adopted, lane.present())
    assert fresh.ids == (1, 2)
    assert_all_close(run(fresh, frames[14:]), run(twin, frames[14:]))


def test_adopted_objects_are_seen_as_if_seeded_here(network):
    """Each object keeps the odds it had alone: its lane's, or this propagator's."""
    frames = pictures(14)
    propagator = XMemPropagator(network, SMALL)
    propagator.step(frames[0], square(4), [1])
    run(propagator, frames[1:9])
    lane = propagator.spawn()
    lane.step(frames[2], square(30), [1])
    run(lane, frames[3:9])
    alone_here, alone_there = propagator.fork(), lane.fork()

    joint = propagator.adopt(lane, {1: 6})
    assert propagator.ids == (1, 6)
    assert joint.shape == (3, H, W)
    for frame in frames[8:10]:  # the present picture, then a step
        if frame is frames[9]:
            joint = propagator.step(frame)
            here, there = alone_here.step(frame), alone_there.step(frame)
        else:
            here, there = alone_here.present(), alone_there.present()
        # Alone, object and background have odds squared: p and 1 − p are both given.
        odds = [0.5 * (each[1] / each[0]).log() for each in (here, there)]
        ratio = (joint[1] / joint[2]).log()
        torch.testing.assert_close(ratio, odds[0] - odds[1], atol=2e-3, rtol=2e-3)
    for frame in frames[10:]:
        assert torch.isfinite(propagator.step(frame)).all()


def test_adopting_a_known_object_refreshes_it(network):
    frames = pictures(30)
    propagator = XMemPropagator(network, SMALL)
    propagator.step(frames[0], square(4), [1])
    run(propagator, frames[1:9])
    lane = propagator.spawn()
    lane.step(frames[4], square(30), [9])
    run(lane, frames[5:9])
    twin = lane.fork()
    propagator.adopt(lane, {9: 1})
    assert propagator.ids == (1,)
    assert len(propagator.memory) == len(twin.memory)
    torch.testing.assert_close(propagator.step(frames[9]), twin.step(frames[9]))


def test_adoption_refuses_what_the_lane_has_not(network):
    propagator, lane = XMemPropagator(network, SMALL), XMemPropagator(network, SMALL)
    propagator.step(torch.zeros(3, H, W), square(3), [1])
    lane.step(torch.zeros(3, H, W + 16))
    with pytest.raises(ValueError, match="objects of the lane"):
        propagator.adopt(lane, {4: 1})
    with pytest.raises(ValueError, match="pictures"):
        propagator.adopt(lane, {})


def test_a_long_life_with_objects_coming_and_going_stays_within_its_bounds(network):
    cap = 120_000
    config = SMALL.model_copy(update={"max_bytes": cap})
    propagator = XMemPropagator(network, config)
    frames = pictures(10)
    most = 0
    for time in range(300):
        frame = frames[time % 10]
        out = propagator.step(frame, *((square(time % 30), [time]) if time % 25 == 0 else ()))
        if time % 40 == 39:
            lane = propagator.spawn()
            lane.step(frames[time % 10], square(10), [1])
            out = propagator.adopt(lane, {1: propagator.ids[-1]})
        if len(propagator.ids) > 3:
            propagator.remove([propagator.ids[0]])
        assert torch.isfinite(out).all()
        assert propagator.memory.long_term_elements <= 20
        most = max(most, propagator.nbytes)
    assert most <= cap
    assert len(propagator.ids) == 3
