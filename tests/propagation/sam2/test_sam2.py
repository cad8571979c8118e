"""SAM2 as a propagator: as transformers' own video model, driven frame by frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import Sam2VideoInferenceSession, Sam2VideoModel

from streamseg.config import EngineConfig, PropagationConfig, Sam2PropagationConfig
from streamseg.engines.sam2 import on_engines
from streamseg.errors import CheckpointError, ConfigError, EngineError
from streamseg.nets.sam2_selftest import selftest_video_model, with_seeded_weights
from streamseg.nets.sam2_video import Sam2Video
from streamseg.propagation import build
from streamseg.propagation.sam2.propagator import Sam2Propagator
from streamseg.types import Frame, Image, Mask

SIZE = 128
MEAN = torch.tensor((0.485, 0.456, 0.406))[:, None, None]
DEVIATION = torch.tensor((0.229, 0.224, 0.225))[:, None, None]


def config(**changes: object) -> Sam2PropagationConfig:
    defaults = {"checkpoint": "selftest-sam2", "device": "cpu", "keep_features": "float32"}
    return Sam2PropagationConfig(**{**defaults, **changes})


@pytest.fixture(scope="module")
def theirs() -> Sam2VideoModel:
    return selftest_video_model()


@pytest.fixture(scope="module")
def network(theirs: Sam2VideoModel) -> Sam2Video:
    return Sam2Video(theirs)


@pytest.fixture
def propagator(network: Sam2Video) -> Sam2Propagator:
    return Sam2Propagator(network, config())


def clip(count: int, height: int = SIZE, width: int = SIZE) -> list[Frame]:
    """Coarse noise that moves to the left."""
    coarse = np.random.default_rng(0).integers(0, 255, (height // 8, width // 8 + count, 3))
    noise = coarse.astype(np.uint8).repeat(8, 0).repeat(8, 1)
    frames = []
    for index in range(count):
        image = np.zeros((height, width, 3), np.uint8)
        part = noise[:, 3 * index : 3 * index + width]
        image[: part.shape[0], : part.shape[1]] = part
        image.flags.writeable = False
        frames.append(Frame(index, index * 33_000_000, 0, image))
    return frames


def block(left: int, top: int = 20, side: int = 60, height: int = SIZE, width: int = SIZE) -> Mask:
    mask = np.zeros((height, width), np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def normalised(image: Image) -> torch.Tensor:
    pixels = torch.tensor(image).permute(2, 0, 1).float()
    return (pixels / 255 - MEAN) / DEVIATION


class Theirs:
    """transformers' session in streaming mode."""

    def __init__(self, model: Sam2VideoModel) -> None:
        self._model = model
        self._session = Sam2VideoInferenceSession(
            video_height=SIZE, video_width=SIZE, dtype=torch.float32
        )
        self._index = -1

    def step(self, frame: Frame, seeds: dict[int, Mask] | None = None) -> torch.Tensor:
        """Logits (n, S/4, S/4) and presence (n,)."""
        self._index += 1
        for id_, mask in (seeds or {}).items():
            index = self._session.obj_id_to_idx(id_)
            self._session.add_mask_inputs(index, self._index, torch.tensor(mask)[None, None])
        self._session.obj_with_new_inputs = list(seeds or {})
        out = self._model(inference_session=self._session, frame=normalised(frame.image))
        scale = 102.4 if seeds else 1.0  # where a mask is given theirs are ±10, ours ±1024
        return out.pred_masks[:, 0] * scale, out.object_score_logits[:, 0]


@pytest.mark.parametrize(
    ("seeds", "frames"),
    [({1: block(10)}, 10), ({7: block(10), 3: block(60, 50, 50)}, 19)],
    ids=["one", "two"],
)
def test_every_mask_is_theirs_until_after_the_bank_is_full(
    propagator, theirs, seeds, frames
) -> None:
    """Seven memories are full after as many frames, sixteen pointers after sixteen."""
    reference = Theirs(theirs)
    seen = 0
    for number, frame in enumerate(clip(frames)):
        given = seeds if number == 0 else None
        expected, presence = reference.step(frame, given)
        out = propagator.step(frame, given)
        assert propagator.ids == tuple(seeds)
        assert torch.allclose(propagator.logits, expected, atol=1e-3), number
        for id_, logit in zip(seeds, presence, strict=True):
            assert out.scores[id_] == pytest.approx(torch.sigmoid(logit).item(), abs=1e-4)
        seen += int((presence > 0).sum())
        full = torch.nn.functional.interpolate(expected[None], (SIZE, SIZE), mode="bilinear")[0]
        winner = torch.cat((torch.zeros(1, SIZE, SIZE), full)).argmax(0).numpy()
        assert (np.array([0, *seeds])[winner] == out.labels).mean() > 0.999
    assert seen > frames // 2, "the test wants objects that are there"


def test_every_mask_is_theirs_with_sam_2_0_as_well() -> None:
    """It embeds no occlusion and gives pointers no age."""
    older = selftest_video_model().config
    older.enable_occlusion_spatial_embedding = False
    older.enable_temporal_pos_encoding_for_object_pointers = False
    theirs = with_seeded_weights(Sam2VideoModel(older))
    propagator, reference = Sam2Propagator(Sam2Video(theirs), config()), Theirs(theirs)
    for number, frame in enumerate(clip(10)):
        given = {1: block(10)} if number == 0 else None
        propagator.step(frame, given)
        expected, _ = reference.step(frame, given)
        assert torch.allclose(propagator.logits, expected, atol=1e-3), number
    assert expected.std() > 0, "the test wants an object that is there"


def with_a_bank_of(frames: int) -> Sam2VideoModel:
    """The same weights where each object keeps fewer memories: only ages that occur have a row."""
    state = selftest_video_model().state_dict()
    table = state["memory_temporal_positional_encoding"]
    state["memory_temporal_positional_encoding"] = torch.cat((table[: frames - 1], table[-1:]))
    shorter = selftest_video_model().config
    shorter.num_maskmem = frames
    network = Sam2VideoModel(shorter)
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("seeds", "memories", "each"),
    [({1: block(10)}, 3, 3), ({7: block(10), 3: block(60, 50, 50)}, 9, 4), ({1: block(10)}, 1, 2)],
    ids=["one", "two share", "two at least"],
)
def test_with_fewer_memories_every_mask_is_theirs_of_a_shorter_bank(
    network, theirs, seeds, memories, each
) -> None:
    reference, whole = Theirs(with_a_bank_of(each)), Theirs(theirs)
    propagator = Sam2Propagator(network, config(memories=memories))
    for number, frame in enumerate(clip(12)):
        given = seeds if number == 0 else None
        propagator.step(frame, given)
        expected, _ = reference.step(frame, given)
        longer, _ = whole.step(frame, given)
        # As the export's gate has it: of the range, which sums in another order differ by.
        near = 1e-4 * float(expected.abs().max())
        assert torch.allclose(propagator.logits, expected, atol=near), number
    assert not torch.allclose(propagator.logits, longer, atol=0.1), "a longer bank does differ"


def test_memories_are_shared_by_the_objects_that_are_tracked_now(network) -> None:
    settings = config(memories=4)
    shared, alone = Sam2Propagator(network, settings), Sam2Propagator(network, config())
    frames = clip(9)
    for number, frame in enumerate(frames[:4]):
        shared.step(frame, {1: block(10)} if number == 0 else None)
        alone.step(frame, {1: block(10)} if number == 0 else None)
    assert torch.allclose(shared.logits, alone.logits, atol=1e-3), "four are what there is"
    lane = shared.spawn()
    lane.step(frames[3], {2: block(60, 50, 50)})
    shared.adopt(lane, {2: 2})
    shared.step(frames[4])
    alone.step(frames[4])
    assert not torch.allclose(shared.logits[0], alone.logits[0], atol=1e-2)


def test_a_lane_has_the_limit_of_the_propagator_it_came_from(network) -> None:
    limited, whole = Sam2Propagator(network, config(memories=2)), Sam2Propagator(network, config())
    lane = limited.spawn()
    for number, frame in enumerate(clip(7)):
        given = {1: block(10)} if number == 0 else None
        for each in (limited, lane, whole):
            each.step(frame, given)
    assert torch.equal(lane.logits, limited.logits)
    assert not torch.allclose(lane.logits, whole.logits, atol=1e-2)


def test_an_object_that_comes_later_is_theirs_too(propagator, theirs) -> None:
    reference = Theirs(theirs)
    alone = Theirs(theirs)
    for number, frame in enumerate(clip(12)):
        given = {0: {1: block(10)}, 4: {2: block(60, 50, 50)}}.get(number)
        propagator.step(frame, given)
        first, _ = reference.step(frame, given if number == 0 else None)
        assert torch.allclose(propagator.logits[:1], first, atol=1e-3), number
        if number >= 4:  # in a session of its own, for theirs binarises company's memories too
            second, _ = alone.step(frame, given if number == 4 else None)
            assert torch.allclose(propagator.logits[1:], second, atol=1e-3), number


def test_labels_are_ids_at_the_frames_size(propagator) -> None:
    frames = clip(3, 72, 100)
    nothing = propagator.step(frames[0])
    assert nothing.labels.shape == (72, 100)
    assert nothing.labels.dtype == np.uint16
    assert not nothing.labels.any()
    assert nothing.scores == {}

    seeds = {700: block(4, 10, 40, 72, 100), 3: block(55, 10, 40, 72, 100)}
    seeded = propagator.step(frames[1], seeds)
    assert propagator.ids == (700, 3)
    for id_, truth in seeds.items():
        mask = seeded.labels == id_
        assert (mask & truth).sum() / (mask | truth).sum() > 0.9
        assert seeded.scores[id_] > 0.99
    later = propagator.step(frames[2])
    assert set(later.scores) == {700, 3}
    assert all(0 <= score <= 1 for score in later.scores.values())


def test_an_object_without_a_pixel_scores_nothing(propagator) -> None:
    out = propagator.step(clip(1)[0], {1: block(4), 2: np.zeros((SIZE, SIZE), np.bool_)})
    assert out.scores[2] < 0.01
    assert out.scores[1] > 0.99


def test_a_lane_replayed_to_the_present_is_adopted(propagator) -> None:
    frames = clip(14)
    propagator.step(frames[0], {1: block(10)})
    lane = propagator.spawn()
    assert lane.ids == ()
    lane.step(frames[2], {1: block(60, 50, 50)})
    for frame in frames[1:11]:
        propagator.step(frame)
    for frame in frames[3:11]:
        theirs = lane.step(frame)
    twin = lane.fork()
    out = propagator.adopt(lane, {1: 12})
    assert propagator.ids == (1, 12)
    assert out.scores[12] == theirs.scores[1]
    assert torch.equal(propagator.logits[1], twin.logits[0])
    for frame in frames[11:]:
        propagator.step(frame)
        twin.step(frame)
        assert torch.allclose(propagator.logits[1], twin.logits[0], atol=1e-4)

    fresh = propagator.spawn()
    alone = fresh.adopt(twin, {1: 1})
    np.testing.assert_array_equal(alone.labels == 1, twin.adopt(fresh, {}).labels == 1)


def test_a_known_object_is_refreshed_in_its_place(propagator) -> None:
    frames = clip(6)
    propagator.step(frames[0], {1: block(10), 2: block(60, 50, 50)})
    for frame in frames[1:4]:
        propagator.step(frame)
    lane = propagator.spawn()
    lane.step(frames[3], {5: block(30)})
    refreshed = propagator.adopt(lane, {5: 1})
    assert propagator.ids == (1, 2)
    assert torch.equal(propagator.logits[0], lane.logits[0])
    assert refreshed.scores[1] > 0.99
    lane.step(frames[4])
    propagator.step(frames[4])
    assert torch.allclose(propagator.logits[0], lane.logits[0], atol=1e-4)
    corrected = propagator.step(frames[5], {2: block(0, 0, 30)})
    assert propagator.ids == (1, 2)
    assert ((corrected.labels == 2) & block(0, 0, 30)).sum() > 0.8 * 30 * 30


def test_removal_leaves_the_others_alone(propagator) -> None:
    frames = clip(10)
    propagator.step(frames[0], {1: block(10), 2: block(60, 50, 50), 3: block(0, 0, 30)})
    for frame in frames[1:5]:
        propagator.step(frame)
    fork = propagator.fork()
    propagator.remove([2, 99])
    assert propagator.ids == (1, 3)
    assert fork.ids == (1, 2, 3)
    for frame in frames[5:]:
        propagator.step(frame)
        fork.step(frame)
    assert torch.allclose(propagator.logits, fork.logits[[0, 2]], atol=1e-4)
    propagator.remove([1, 3])
    assert not propagator.step(frames[-1]).labels.any()
    propagator.reset()
    assert propagator.ids == ()
    assert propagator.step(clip(1, 48, 56)[0]).labels.shape == (48, 56)


def test_a_fork_steps_alike_and_apart(propagator) -> None:
    frames = clip(5)
    propagator.step(frames[0], {1: block(10)})
    fork = propagator.fork()
    fork.step(frames[1], {2: block(50)})
    assert propagator.ids == (1,)
    twin = propagator.fork()
    for frame in frames[1:]:
        one, other = propagator.step(frame), twin.step(frame)
        np.testing.assert_array_equal(one.labels, other.labels)
        assert one.scores == other.scores


@pytest.mark.parametrize(("kept", "encodings"), [("float32", 3), ("float16", 3), ("none", 6)])
def test_a_replay_encodes_no_frame_again(monkeypatch, network, kept, encodings) -> None:
    calls = []
    look = Sam2Video.look
    monkeypatch.setattr(Sam2Video, "look", lambda self, x: calls.append(x) or look(self, x))
    propagator = Sam2Propagator(network, config(keep_features=kept))
    frames = clip(3)
    live = [propagator.step(frames[0], {1: block(4)}), *map(propagator.step, frames[1:])]
    lane = propagator.spawn()
    replay = [lane.step(frames[0], {1: block(4)}), *map(lane.step, frames[1:])]
    assert len(calls) == encodings
    assert (frames[0].nbytes > frames[0].image.nbytes) == (kept != "none")
    for one, other in zip(live, replay, strict=True):
        assert (one.labels == other.labels).mean() > 0.98


def test_a_picture_without_objects_is_not_looked_at(propagator) -> None:
    frame = clip(1)[0]
    propagator.step(frame)
    assert frame.nbytes == frame.image.nbytes


def test_a_lane_that_does_not_fit_is_refused(propagator) -> None:
    with pytest.raises(TypeError, match="SAM2"):
        propagator.adopt(object(), {})
    with pytest.raises(ValueError, match="objects of the lane"):
        propagator.adopt(propagator.spawn(), {4: 1})


def test_config_chooses_it() -> None:
    built = build(PropagationConfig(backend="sam2", sam2=config()))
    assert isinstance(built, Sam2Propagator)
    assert built.engines() == {}
    with pytest.raises(EngineError, match="cuda"):
        build(PropagationConfig(backend="sam2", sam2=config(device="cuda:31")))
    with pytest.raises(CheckpointError, match=r"config\.json"):
        build(PropagationConfig(backend="sam2", sam2=config(checkpoint="/nowhere/sam2")))


@pytest.mark.parametrize("packed", [False, True])
def test_on_engines_of_a_few_sizes_it_does_the_same(tmp_path, network, packed) -> None:
    """On ONNX Runtime: see tests/export/test_sam2_loop.py."""
    engine = EngineConfig(objects=(2,), fallback=("torch",), packed=packed)  # so sizes are static
    settings = config(engine=engine, bank_frames=(3, 7))
    engines = on_engines(network, settings, tmp_path)
    propagator, plain = Sam2Propagator(engines, settings), Sam2Propagator(network, settings)
    seeds = {1: block(10), 2: block(60, 50, 50), 3: block(0, 0, 30)}
    for number, frame in enumerate(clip(5)):
        given = seeds if number == 0 else None
        out, expected = propagator.step(frame, given), plain.step(frame, given)
        assert torch.allclose(propagator.logits, plain.logits, atol=1e-3), number
        assert (out.labels == expected.labels).mean() > 0.999
    told = propagator.engines()
    assert set(told["parts"].values()) == {"torch"}
    assert sorted(told["parts"]) == [
        "sam2_video_attention_n2_f3", "sam2_video_attention_n2_f7", "sam2_video_encoder",
        "sam2_video_memory_n2", "sam2_video_seed", "sam2_video_track_n2",
    ]  # fmt: skip


def test_where_torch_has_no_onednn_packing_is_left_out(tmp_path, network, monkeypatch) -> None:
    """It is how fast, not what: a config for laptops runs on all of them."""
    monkeypatch.setattr("streamseg.export.provider.can_pack", lambda dtype: False)
    settings = config(engine=EngineConfig(packed=True))
    propagator = Sam2Propagator(on_engines(network, settings, tmp_path), settings)
    plain = Sam2Propagator(network, settings)
    for number, frame in enumerate(clip(3)):
        given = {1: block(10)} if number == 0 else None
        propagator.step(frame, given)
        plain.step(frame, given)
    assert torch.equal(propagator.logits, plain.logits)


def test_in_bfloat16_masks_stay_close(tmp_path, network) -> None:
    settings = config(engine=EngineConfig(precision="bf16"))
    half = Sam2Propagator(on_engines(network, settings, tmp_path), settings)
    whole = Sam2Propagator(network, settings)
    for number, frame in enumerate(clip(8)):
        given = {1: block(10)} if number == 0 else None
        half.step(frame, given)
        whole.step(frame, given)
        got, expected = half.logits > 0, whole.logits > 0
        assert 0 < expected.float().mean() < 0.5, "the test wants a mask with an edge"
        assert (got & expected).sum() > 0.85 * (got | expected).sum()
    assert half.engines()["precision"] == "bf16"


def test_a_bank_of_another_length_is_refused(tmp_path, network) -> None:
    with pytest.raises(ConfigError, match="expected 7 as the largest"):
        on_engines(network, config(bank_frames=(1, 9)), tmp_path)


def test_stepping_leaves_no_trace_in_autograd(propagator) -> None:
    propagator.step(clip(1)[0], {1: block(4)})
    assert torch.is_grad_enabled()
