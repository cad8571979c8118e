"""SAM2's video parts compute what transformers' own model computes, at static shapes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import Sam2VideoConfig, Sam2VideoModel

from streamseg.errors import CheckpointError
from streamseg.nets.sam2_selftest import selftest_sam2, selftest_sam2_video, selftest_video_model
from streamseg.nets.sam2_video import Sam2Video, sam2_video_from_folder

SIZE = 128
TINY_CHANNELS, TINY_GRID = 256, (64, 64)


@pytest.fixture(scope="module")
def theirs() -> Sam2VideoModel:
    return selftest_video_model()


@pytest.fixture(scope="module")
def ours(theirs: Sam2VideoModel) -> Sam2Video:
    return Sam2Video(theirs)


@pytest.fixture(scope="module")
def features(ours: Sam2Video) -> tuple[Tensor, Tensor, Tensor]:
    with torch.no_grad():
        return ours.image_encoder(noise(1, 3, SIZE, SIZE))


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def far(got: Tensor, expected: Tensor) -> float:
    """The largest difference as a share of the range."""
    assert got.shape == expected.shape
    span = (expected.max() - expected.min()).item()
    return (got - expected).abs().max().item() / span


def rectangle(*box: int) -> Tensor:
    """(1, SIZE, SIZE), 1 within x0, y0, x1, y1."""
    mask = torch.zeros(1, SIZE, SIZE)
    mask[:, box[1] : box[3], box[0] : box[2]] = 1
    return mask


@torch.no_grad()
def test_the_image_features_are_theirs(ours: Sam2Video, theirs: Sam2VideoModel, features) -> None:
    embedding, middle, fine = features
    levels = theirs.get_image_features(noise(1, 3, SIZE, SIZE)).fpn_hidden_states
    for got, expected in zip((fine, middle, embedding), levels, strict=True):
        assert far(got.flatten(2).permute(2, 0, 1), expected) < 1e-6


@torch.no_grad()
def test_the_image_features_in_bfloat16_are_close(theirs: Sam2VideoModel, features) -> None:
    """By another attention than in float32."""
    half = Sam2Video(selftest_video_model()).bfloat16()
    for got, expected in zip(half.look(noise(1, 3, SIZE, SIZE)), features, strict=True):
        assert got.dtype == torch.bfloat16
        assert far(got.float(), expected) < 0.03


def attended(
    net: Sam2VideoModel, memory: Tensor, ages: list[int], pointers: Tensor, since: list[int]
) -> Tensor:
    """What their memory attention makes of memories (F, h·w, M) and pointers (P, C)."""
    image = net.get_image_features(noise(1, 3, SIZE, SIZE))
    place = net.memory_encoder.position_encoding((1, 64, 8, 8), "cpu", torch.float32)
    place = place.flatten(2).permute(2, 0, 1)
    table = net.memory_temporal_positional_encoding
    tokens, placed = net._process_object_pointers(
        since, list(pointers[:, None]), 16, 1, net.hidden_dim, torch.device("cpu")
    )
    out = net.memory_attention(
        current_vision_features=image.fpn_hidden_states[-1],
        current_vision_position_embeddings=image.fpn_position_encoding[-1],
        memory=torch.cat((*memory[:, :, None], tokens)),
        memory_posision_embeddings=torch.cat((*(place + table[age - 1] for age in ages), placed)),
        num_object_pointer_tokens=len(tokens),
    )
    return out.reshape(1, *net.backbone_feature_sizes[-1], -1).permute(0, 3, 1, 2)


@pytest.mark.parametrize("rows", [0, 24])
def test_what_is_exported_computes_what_runs_on_a_cpu(ours, features, rows) -> None:
    """There objects go one by one, in memory used over again; an exporter sees them at once."""
    bank = (
        noise(3, 4, 64, 64),
        torch.tensor([[0, 1, 2, 3], [0, 1, -1, -1], [2, 1, -1, 0]]),
        noise(3, 16, 128, seed=1),
        torch.arange(16).repeat(3, 1) - torch.tensor([[0], [3], [9]]),
    )
    ours.memory_attention.compare(rows)
    with torch.no_grad():
        in_place = ours.memory_attention(features[0], *bank)
        alone = [
            ours.memory_attention(features[0], *(held[[index]] for held in bank))
            for index in range(3)
        ]
    with torch.enable_grad():
        at_once = ours.memory_attention(features[0], *bank)
    assert far(in_place, at_once) < 1e-6
    assert far(in_place, torch.cat(alone)) < 1e-6


@pytest.mark.parametrize("rows", [0, 24])
@pytest.mark.parametrize("frames", range(1, 8))
@torch.no_grad()
def test_memory_attention_is_theirs_at_any_fill(ours, theirs, features, frames, rows) -> None:
    memory, pointers = noise(1, 7, 64, 64), noise(1, 16, theirs.hidden_dim)
    ages = torch.tensor([[0, *range(1, frames), *[-1] * (7 - frames)]])
    held = 2 * frames
    since = torch.tensor([[40, *range(1, held), *[-1] * (16 - held)]])
    ours.memory_attention.compare(rows)
    got = ours.memory_attention(features[0], memory, ages, pointers, since)
    expected = attended(
        theirs, memory[0, :frames], ages[0, :frames].tolist(), pointers[0, :held],
        since[0, :held].tolist(),
    )  # fmt: skip
    assert far(got, expected) < 1e-5


@torch.no_grad()
def test_an_empty_slot_and_the_company_change_nothing(ours, features) -> None:
    memory, pointers = noise(2, 7, 64, 64), noise(2, 16, ours.channels)
    ages = torch.tensor([[0, 1, -1, -1, 2, -1, -1], [3, 2, 1, 6, 5, 4, 0]])
    since = torch.tensor([[9, *[-1] * 15], list(range(1, 17))])
    both = ours.memory_attention(features[0], memory, ages, pointers, since)
    memory[0, 2:4], pointers[0, 1:] = 100.0, -100.0
    alone = ours.memory_attention(features[0], memory[:1], ages[:1], pointers[:1], since[:1])
    assert far(both[:1], alone) < 1e-6
    order = torch.randperm(7, generator=torch.Generator().manual_seed(1))
    shuffled = ours.memory_attention(features[0], memory[:, order], ages[:, order], pointers, since)
    assert far(shuffled[1:], both[1:]) < 1e-5


@torch.no_grad()
def test_a_mask_predicted_is_theirs_and_so_is_its_memory(ours, theirs, features) -> None:
    embedding, middle, fine = features
    conditioned = embedding + noise(1, *embedding.shape[1:], seed=3)
    logits, iou, pointer, presence = ours.track_decoder(conditioned, middle, fine)
    expected = theirs._single_frame_forward(image_embeddings=[fine, middle, conditioned])
    assert presence > 0, "the test wants an object that is there"
    assert far(logits, expected.pred_masks[:, 0]) < 1e-5
    assert far(pointer, expected.object_pointer[:, 0]) < 1e-5
    assert torch.allclose(iou, expected.iou_scores.amax(2), atol=1e-6)
    assert torch.allclose(presence, expected.object_score_logits[0], atol=1e-6)

    flat = embedding.flatten(2).permute(2, 0, 1)
    score = expected.object_score_logits[:, 0]
    memory, _ = theirs._encode_new_memory(flat, expected.high_res_masks, score, False)
    got = ours.memory_encoder(embedding, logits, presence)
    assert far(got, memory.permute(1, 0, 2).float()) < 2e-3  # theirs is rounded to bfloat16


@torch.no_grad()
def test_an_object_that_is_not_there_is_remembered_as_such(ours, theirs, features) -> None:
    embedding, middle, fine = features
    head = theirs.mask_decoder.pred_obj_score_head.proj_out
    bias = head.bias.clone()
    head.bias -= 100
    try:
        logits, _, pointer, presence = ours.track_decoder(embedding, middle, fine)
        expected = theirs._single_frame_forward(image_embeddings=[fine, middle, embedding])
    finally:
        head.bias.copy_(bias)
    assert presence < 0
    assert (logits == -1024).all()
    assert torch.equal(pointer, expected.object_pointer[:, 0])
    flat = embedding.flatten(2).permute(2, 0, 1)
    score = expected.object_score_logits[:, 0]
    memory, _ = theirs._encode_new_memory(flat, expected.high_res_masks, score, False)
    got = ours.memory_encoder(embedding, logits, presence)
    assert torch.equal(got.bfloat16(), memory.permute(1, 0, 2))


@pytest.mark.parametrize("mask", [rectangle(20, 30, 90, 70), rectangle(0, 0, 0, 0)])
@torch.no_grad()
def test_a_given_mask_is_remembered_as_theirs(ours, theirs, features, mask) -> None:
    embedding, middle, fine = features
    memory, pointer = ours.seed_encoder(embedding, mask)
    expected = theirs._use_mask_as_output(embedding, [fine, middle], mask[None])
    flat = embedding.flatten(2).permute(2, 0, 1)
    score = expected.object_score_logits[0]
    theirs_memory, _ = theirs._encode_new_memory(flat, expected.high_res_masks, score, True)
    assert torch.allclose(pointer, expected.object_pointer[:, 0], atol=1e-6)
    # Theirs is rounded: a difference in the last place of float32 may end in the last of bfloat16.
    assert torch.allclose(memory, theirs_memory.permute(1, 0, 2).float(), rtol=2**-8, atol=1e-6)


# ── from files ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def folder(theirs: Sam2VideoModel, tmp_path: Path) -> Path:
    theirs.save_pretrained(tmp_path)
    return tmp_path


def test_the_full_size_tiny_layout_loads_key_by_key(tmp_path: Path) -> None:
    # transformers' defaults are sam2.1-hiera-tiny; its weights are written and read back.
    original = Sam2VideoModel(Sam2VideoConfig())
    original.save_pretrained(tmp_path)
    network = sam2_video_from_folder(tmp_path)
    assert (network.size, network.grid) == (1024, TINY_GRID)
    assert (network.channels, network.memory_channels) == (TINY_CHANNELS, 64)
    assert (network.memory_frames, network.pointers) == (7, 16)
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not any(tensor.is_meta for tensor in network.state_dict().values())
    expected = Sam2Video(original).state_dict()
    state = network.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], value) for key, value in expected.items())


def test_a_folder_computes_as_transformers_loads_it(folder: Path, ours, features) -> None:
    network = sam2_video_from_folder(folder)
    with torch.no_grad():
        for got, expected in zip(
            network.image_encoder(noise(1, 3, SIZE, SIZE)), features, strict=True
        ):
            assert torch.equal(got, expected)


def test_every_key_that_does_not_fit_is_named(folder: Path) -> None:
    path = folder / "model.safetensors"
    state = load_file(path)
    del state["memory_encoder.projection.weight"]
    state["no_object_pointer"] = torch.zeros(1, 7)
    save_file({**state, "stranger": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError) as caught:
        sam2_video_from_folder(folder)
    message = str(caught.value)
    assert "missing: memory_encoder.projection.weight;" in message
    assert "unexpected: stranger;" in message
    assert "no_object_pointer (expected (1, 128), got (1, 7))" in message


def test_an_image_network_is_refused(tmp_path: Path) -> None:
    selftest_sam2().save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="expected model_type sam2_video, got 'sam2'"):
        sam2_video_from_folder(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("multimask_output_for_tracking", False, "chooses among candidates"),
        ("memory_attention_num_layers", "many", "does not describe a SAM2 video network"),
        ("vision_config", {"model_type": "no_such_model"}, "does not describe"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(folder: Path, key, value, message) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(CheckpointError, match=message):
        sam2_video_from_folder(folder)


def test_a_folder_without_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json is not readable"):
        sam2_video_from_folder(tmp_path)


def test_selftest_weights_are_the_same_every_time() -> None:
    torch.manual_seed(1)
    first = selftest_sam2_video().state_dict()
    torch.manual_seed(2)
    second = selftest_sam2_video().state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
