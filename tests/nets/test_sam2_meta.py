"""Meta's files of SAM2 give the networks that transformers' folders give: every size, every entry.

No public checkpoint is read here. The files are written by the tests, in both layouts, at full
size, with the same random weights; `sam2_layouts` says what Meta calls what, and knows nothing of
the code under test.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from sam2_layouts import (
    SIZES,
    Entry,
    Size,
    entries,
    published_config,
    random_tensors,
    write_meta,
    write_transformers,
)
from torch import Tensor, nn
from transformers import Sam2VideoConfig, Sam2VideoModel

from streamseg import weights
from streamseg.engines.manifest import weights_sha256
from streamseg.errors import CheckpointError
from streamseg.nets.sam2 import sam2_shapes
from streamseg.nets.sam2_memory import Rotation
from streamseg.nets.sam2_meta import translate
from streamseg.nets.sam2_selftest import selftest_sam2
from streamseg.weights import loading, registry

NAMES = list(SIZES)
PATH = Path("sam2.1_hiera.pt")


def on_meta(listed: list[Entry]) -> dict[str, Tensor]:
    """Tensors by Meta's names, without memory."""
    return {entry.meta: torch.empty(entry.shape, device="meta") for entry in listed}


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def same(a: nn.Module, b: nn.Module) -> bool:
    mine, other = a.state_dict(), b.state_dict()
    return mine.keys() == other.keys() and all(torch.equal(mine[k], other[k]) for k in mine)


# ── names, shapes and numbers: all sizes, without memory ─────────────────────────────────────


@pytest.mark.parametrize("name", NAMES)
def test_the_list_has_as_many_numbers_as_meta_says(name: str) -> None:
    size = SIZES[name]
    millions = sum(torch.Size(entry.shape).numel() for entry in entries(size)) / 1e6
    assert millions == pytest.approx(size.millions, abs=0.07)


@pytest.mark.parametrize("version", ["2.0", "2.1"])
@pytest.mark.parametrize("name", NAMES)
def test_every_entry_goes_to_its_name_in_transformers(name: str, version: str) -> None:
    listed = entries(SIZES[name], version=version)
    state = on_meta(listed)
    assert len(state) == len(listed)
    network, found = translate(PATH, state)
    assert {key: tuple(value.shape) for key, value in found.items()} == shapes(network)
    assert len(found) == SIZES[name].entries - (3 if version == "2.0" else 0)
    for entry in listed:
        if entry.transformers != "prompt_encoder.point_embed.weight":
            assert found[entry.transformers] is state[entry.meta], entry


@pytest.mark.parametrize("name", NAMES)
def test_what_no_shape_tells_is_as_in_metas_config(name: str) -> None:
    """Heads and windows by the rules of Meta's `Hiera`: a stage's first block still has the windows
    of the stage before."""
    size = SIZES[name]
    network, _ = translate(PATH, on_meta(entries(size)))
    stage_of = [stage for stage, depth in enumerate(size.stages) for _ in range(depth)]
    blocks = network.vision_encoder.backbone.blocks
    assert len(blocks) == len(stage_of)
    for i, (block, stage) in enumerate(zip(blocks, stage_of, strict=True)):
        before = stage_of[max(0, i - 1)]
        window = 0 if i in size.global_att_blocks else size.window_spec[before]
        assert block.window_size == window, i
        assert block.attn.num_attention_heads == size.num_heads * 2**stage, i
        assert (block.query_stride is not None) == (stage != before), i


@pytest.mark.parametrize("name", NAMES)
def test_a_hub_folder_describes_the_same_network(name: str, tmp_path: Path) -> None:
    size = SIZES[name]
    listed = entries(size)
    (tmp_path / "config.json").write_text(json.dumps(published_config(size)))
    network, found = translate(PATH, on_meta(listed))
    expected = {key: tuple(value.shape) for key, value in found.items()}
    image = sam2_shapes(tmp_path)
    assert image.items() <= expected.items()
    assert len(image) == len(expected) - 160  # tiny's: 309 of 469
    mine, theirs = (
        config.vision_config.to_dict()
        for config in (network.config, Sam2VideoConfig(**legible(published_config(size))))
    )
    for config in (mine, theirs):
        config.pop("dtype"), config["backbone_config"].pop("dtype")
    assert mine == theirs


def test_a_hub_folders_config_is_read_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It has the rotary base under a name of which transformers warns, once a process."""
    logging.Logger.warning_once.cache_clear()  # type: ignore[attr-defined]
    listed = entries(SIZES["tiny"])
    tensors = random_tensors(listed, 5, torch.float16)
    folder = write_transformers(tmp_path, SIZES["tiny"], listed, tensors)
    config = {**published_config(SIZES["tiny"]), "memory_attention_rope_theta": 20_000}
    (folder / "config.json").write_text(json.dumps(config))
    network = weights.load_sam2_video(str(folder), "cpu")
    assert not caplog.records
    rotation = next(part for part in network.modules() if isinstance(part, Rotation))
    beside_the_corner = torch.cos(20_000 ** -(torch.arange(64) / 64))
    assert torch.allclose(rotation.cos[1, :64], beside_the_corner)


def legible(config: dict[str, object]) -> dict[str, object]:
    """Without the name that transformers warns of."""
    return {key: value for key, value in config.items() if key != "memory_attention_rope_theta"}


# ── the same random weights in both layouts ──────────────────────────────────────────────────


def write_both(at: Path, size: Size, dtype: torch.dtype, seed: int) -> tuple[Path, Path]:
    """Meta's file and transformers' folder."""
    listed = entries(size)
    tensors = random_tensors(listed, seed, dtype)
    folder = write_transformers(at / f"sam2.1-hiera-{size.name}", size, listed, tensors)
    return write_meta(at / f"sam2.1_hiera_{size.name}.pt", tensors), folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_both(tmp_path_factory.mktemp("tiny"), SIZES["tiny"], torch.float32, seed=1)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def near(got: Tensor, expected: Tensor) -> bool:
    """Equal but for the last bits, in which two runs of equal weights may differ."""
    span = (expected.max() - expected.min()).item()
    return bool((got - expected).abs().max() <= 1e-5 * max(span, 1.0))


def test_tiny_for_video_is_the_same_from_both(tiny: tuple[Path, Path]) -> None:
    """The picture's features are noise here: the next test goes through the image encoder."""
    ours, theirs = (weights.load_sam2_video(str(path), "cpu") for path in tiny)
    assert same(ours, theirs)
    assert weights_sha256(ours) == weights_sha256(theirs)
    mask = torch.zeros(1, 1024, 1024)
    mask[:, 200:700, 300:900] = 1
    ago = torch.ones(1, 1, dtype=torch.int64)
    with torch.inference_mode():
        embedding = noise(1, 256, 64, 64)
        fine = noise(1, 64, 128, 128), noise(1, 32, 256, 256)
        outputs = []
        for network in (ours, theirs):
            memory, pointer = network.seed(embedding, mask)
            conditioned = network.attend(embedding, (memory[:, None], ago, pointer[:, None], ago))
            outputs.append(network.track(conditioned, *fine))
    for got, expected in zip(*outputs, strict=True):
        assert torch.isfinite(got).all()
        assert near(got, expected)
    assert outputs[0][0].std() > 0, "the test wants an object that is there"


def test_tiny_for_pictures_is_the_same_from_both(tiny: tuple[Path, Path]) -> None:
    ours, theirs = (weights.load_sam2(str(path), "cpu") for path in tiny)
    assert same(ours, theirs)
    assert weights_sha256(ours) == weights_sha256(theirs)
    picture = noise(1, 3, 1024, 1024)
    box = torch.tensor([[[100.0, 200.0, 700.0, 800.0]]])
    with torch.inference_mode():
        got, expected = (net(pixel_values=picture, input_boxes=box) for net in (ours, theirs))
    assert near(got.pred_masks, expected.pred_masks)
    assert near(got.iou_scores, expected.iou_scores)
    assert got.pred_masks.std() > 0


def test_tiny_is_what_transformers_itself_loads(tiny: tuple[Path, Path]) -> None:
    meta, folder = tiny
    expected = Sam2VideoModel.from_pretrained(folder).eval()
    _, state = translate(meta, torch.load(meta, weights_only=True)["model"])
    assert state.keys() == expected.state_dict().keys()
    for name, value in expected.state_dict().items():
        assert torch.equal(state[name], value), name


@pytest.mark.parametrize("name", ["small", "base_plus", "large"])
def test_the_other_sizes_are_the_same_from_both(name: str, tmp_path: Path) -> None:
    """In half precision, which is how 900 MB become 450; they load as float32."""
    meta, folder = write_both(tmp_path, SIZES[name], torch.float16, seed=2)
    ours, theirs = (weights.load_sam2_video(str(path), "cpu") for path in (meta, folder))
    assert same(ours, theirs)
    assert {value.dtype for value in ours.state_dict().values()} == {torch.float32}
    del theirs
    image = weights.load_sam2(str(meta), "cpu").state_dict()
    assert torch.equal(
        image["vision_encoder.backbone.patch_embed.projection.weight"],
        ours.state_dict()["image_encoder.trunk.patches.weight"],
    )


def test_rows_of_the_point_embeddings_keep_their_order(tiny: tuple[Path, Path]) -> None:
    state = torch.load(tiny[0], weights_only=True)["model"]
    table = weights.load_sam2(str(tiny[0]), "cpu").prompt_encoder.point_embed.weight
    for row in range(4):
        expected = state[f"sam_prompt_encoder.point_embeddings.{row}.weight"][0]
        assert torch.equal(table[row], expected)


# ── what else a file may be ──────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Tensor]]:
    """Tiny by Meta's names, small on disk."""
    return random_tensors(entries(SIZES["tiny"]), 3, torch.float16)


def test_every_entry_that_does_not_fit_is_named_as_meta_names_it(
    half: dict[str, Tensor], tmp_path: Path
) -> None:
    state = dict(half)
    del state["image_encoder.trunk.blocks.4.attn.qkv.weight"]
    del state["obj_ptr_tpos_proj.bias"]
    state["sam_prompt_encoder.point_embeddings.2.weight"] = torch.zeros(1, 7)
    state["image_encoder.trunk.pos_embed"] = torch.zeros(1, 96, 14, 14)
    state["stranger"] = torch.zeros(1)
    path = write_meta(tmp_path / "sam2.1_hiera_tiny.pt", state)
    for load in (weights.load_sam2, weights.load_sam2_video):
        with pytest.raises(CheckpointError) as caught:
            load(str(path), "cpu")
        message = str(caught.value)
        assert message == (
            f"{path} is not a checkpoint of this network; missing: "
            "image_encoder.trunk.blocks.4.attn.qkv.weight, obj_ptr_tpos_proj.bias; "
            "unexpected: stranger; of another shape: "
            "image_encoder.trunk.pos_embed (expected (1, 96, 7, 7), got (1, 96, 14, 14)), "
            "sam_prompt_encoder.point_embeddings.2.weight (expected (1, 256), got (1, 7))"
        )
    with pytest.raises(CheckpointError, match="unexpected: stranger"):
        weights.verify(str(path))


def test_a_whole_block_that_is_missing_is_named(half: dict[str, Tensor]) -> None:
    gone = "image_encoder.trunk.blocks.11."
    state = {name: value for name, value in half.items() if not name.startswith(gone)}
    with pytest.raises(CheckpointError) as caught:
        translate(PATH, state)
    assert str(caught.value).count(gone) == len(half) - len(state) == 12
    assert "unexpected" not in str(caught.value)


def test_sam_2_0_loads_as_what_it_is(tmp_path: Path) -> None:
    """It has no embedding of occlusion and gives pointers no age."""
    tensors = random_tensors(entries(SIZES["tiny"], version="2.0"), 4, torch.float16)
    network = weights.load_sam2_video(
        str(write_meta(tmp_path / "sam2_hiera_tiny.pt", tensors)), "cpu"
    )
    assert network.memory_attention.pointer is None
    assert not network.memory_encoder.occluded.any()


def test_a_file_of_transformers_wants_its_folder(tmp_path: Path) -> None:
    selftest_sam2().save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"needs its config\.json: give the folder of both"):
        weights.load_sam2(str(tmp_path / "model.safetensors"), "cpu")


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "resnet.pt"
    torch.save({"conv1.weight": torch.zeros(3), "fc.bias": torch.zeros(1)}, path)
    for load in (weights.load_sam2, weights.load_sam2_video):
        with pytest.raises(CheckpointError, match=r"no SAM2 .* got 2 others: conv1\.weight, fc"):
            load(str(path), "cpu")


@pytest.mark.parametrize("load", [weights.load_sam2, weights.load_sam2_video, weights.fetch])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, load) -> None:
    with pytest.raises(CheckpointError, match=r"gone\.pt: give the path of a file"):
        load(str(tmp_path / "gone.pt"))


def test_bare_tensors_by_metas_names_load_too(half: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_file(half, path)
    network = weights.load_sam2_video(str(path), "cpu")
    patches = network.image_encoder.trunk.patches
    assert torch.equal(patches.bias, half["image_encoder.trunk.patch_embed.proj.bias"])


def test_a_file_by_path_is_fetched_already_and_verified(
    tiny: tuple[Path, Path], tmp_path: Path
) -> None:
    for path in tiny:
        assert weights.fetch(str(path)) == path
    file, folder = (weights.verify(str(path)) for path in tiny)
    assert file == {tiny[0].name: loading._sha256(tiny[0])}
    assert set(folder) == set(registry.SAM2_FILES)
