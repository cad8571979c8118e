"""SAM2's network from folders: the public layout loads key by key, everything else is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Sam2Config, Sam2Model, Sam2VideoConfig, Sam2VideoModel

from streamseg.errors import CheckpointError
from streamseg.nets.sam2 import TWINS, sam2_from_folder
from streamseg.nets.sam2_selftest import selftest_sam2

SMALL_BACKBONE = {
    "model_type": "sam2_hiera_det_model",
    "hidden_size": 16,
    "image_size": [128, 128],
    "blocks_per_stage": [1, 1, 2, 1],
    "embed_dim_per_stage": [16, 32, 64, 128],
    "window_size_per_stage": [8, 4, 8, 4],
    "global_attention_blocks": [3],
}


def small_video_model() -> Sam2VideoModel:
    """As the public checkpoints: an image network with memory around it, only smaller."""
    vision = {
        "model_type": "sam2_vision_model",
        "backbone_config": SMALL_BACKBONE,
        "backbone_channel_list": [128, 64, 32, 16],
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
    }
    prompts = {"image_size": 128}
    return Sam2VideoModel(
        Sam2VideoConfig(vision_config=vision, prompt_encoder_config=prompts, image_size=128)
    ).eval()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sam2VideoModel, Path]:
    folder = tmp_path_factory.mktemp("sam2_video")
    model = small_video_model()
    model.save_pretrained(folder)
    return model, folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    selftest_sam2().save_pretrained(tmp_path)
    return tmp_path


def edit(folder: Path, **changes: torch.Tensor | None) -> None:
    """Replace, add or (None) drop entries of the folder's weights; `__` stands for a dot."""
    path = folder / "model.safetensors"
    state = load_file(path)
    for name, value in changes.items():
        key = name.replace("__", ".")
        if value is None:
            del state[key]
        else:
            state[key] = value
    save_file(state, path)


def test_the_full_size_tiny_layout_loads_key_by_key(tmp_path: Path) -> None:
    original = Sam2Model(Sam2Config())  # transformers' defaults are sam2.1-hiera-tiny
    original.save_pretrained(tmp_path)
    network = sam2_from_folder(tmp_path)
    state, expected = network.state_dict(), original.state_dict()
    assert len(expected) == 309
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], value) for key, value in expected.items())
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert network.prompt_encoder.input_image_size == 1024


def test_a_video_checkpoint_gives_its_image_network(video) -> None:
    model, folder = video
    assert json.loads((folder / "config.json").read_text())["model_type"] == "sam2_video"
    network, expected = sam2_from_folder(folder), model.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in network.state_dict().items())
    assert len(load_file(folder / "model.safetensors")) > len(network.state_dict())


def test_a_video_checkpoint_computes_as_transformers_loads_it(video) -> None:
    _, folder = video
    ours, theirs = sam2_from_folder(folder), Sam2Model.from_pretrained(folder).eval()
    picture = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    box = torch.tensor([[[10.0, 20.0, 90.0, 100.0]]])
    with torch.no_grad():
        got, expected = (net(pixel_values=picture, input_boxes=box) for net in (ours, theirs))
    assert torch.allclose(got.pred_masks, expected.pred_masks, atol=1e-5)
    assert torch.allclose(got.iou_scores, expected.iou_scores, atol=1e-5)


@pytest.mark.parametrize("twin", TWINS)
def test_a_file_that_holds_the_shared_matrix_once_loads(folder: Path, twin: str) -> None:
    edit(folder, **{twin.replace(".", "__"): None})
    state = sam2_from_folder(folder).state_dict()
    assert torch.equal(state[TWINS[0]], state[TWINS[1]])


def test_half_precision_files_load_as_float32(folder: Path) -> None:
    state = {key: value.half() for key, value in load_file(folder / "model.safetensors").items()}
    save_file(state, folder / "model.safetensors")
    assert {value.dtype for value in sam2_from_folder(folder).state_dict().values()} == {
        torch.float32
    }


def test_every_key_that_does_not_fit_is_named(folder: Path) -> None:
    edit(
        folder,
        no_memory_embedding=torch.zeros(1, 1, 7),
        mask_decoder__iou_token__weight=None,
        stranger=torch.zeros(1),
    )
    with pytest.raises(CheckpointError) as caught:
        sam2_from_folder(folder)
    message = str(caught.value)
    assert "missing: mask_decoder.iou_token.weight;" in message
    assert "unexpected: stranger;" in message
    assert "no_memory_embedding (expected (1, 1, 128), got (1, 1, 7))" in message


def test_a_folder_without_config_is_refused(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"has no config\.json: give a folder with"):
        sam2_from_folder(folder)


def test_a_folder_without_weights_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"no weights file .*model\.safetensors"):
        sam2_from_folder(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable JSON"),
        ("[]", "expected model_type sam2 or sam2_video, got None"),
        ('{"model_type": "bert"}', "expected model_type sam2 or sam2_video, got 'bert'"),
        ('{"model_type": "sam2"}', "lacks vision_config, prompt_encoder_config"),
    ],
)
def test_a_config_of_something_else_is_refused(folder: Path, text: str, message: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        sam2_from_folder(folder)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("prompt_encoder_config", "hidden_size", "many"),
        ("mask_decoder_config", "num_multimask_outputs", "three"),
        ("vision_config", "backbone_config", {"model_type": "no_such_model"}),
    ],
)
def test_a_config_of_nonsense_is_refused(folder: Path, part: str, key: str, value: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    config[part][key] = value
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="does not describe a SAM2 network") as caught:
        sam2_from_folder(folder)
    assert "\n" not in str(caught.value)


def test_selftest_weights_are_the_same_every_time() -> None:
    torch.manual_seed(1)
    first = selftest_sam2().state_dict()
    torch.manual_seed(2)
    second, other = selftest_sam2().state_dict(), selftest_sam2(seed=1).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["no_memory_embedding"], other["no_memory_embedding"])
    assert all(torch.isfinite(value).all() for value in first.values())
