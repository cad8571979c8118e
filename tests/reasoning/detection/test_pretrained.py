"""transformers' detectors from a folder: a tiny D-FINE with random weights, written here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_detectors import PREPARED, d_fine
from transformers import AutoModelForObjectDetection

from streamseg.config import ObjectsConfig
from streamseg.errors import CheckpointError, EngineError
from streamseg.reasoning import detection
from streamseg.reasoning.detection.pretrained import (
    PretrainedDetector,
    classes_of,
    preparation_of,
)
from streamseg.types import Image


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Opening a detector sets torch's threads for the process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return d_fine(tmp_path_factory.mktemp("d-fine"))


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "d-fine"))


def noise(width: int = 80, height: int = 60) -> Image:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_it_sees_what_transformers_own_network_sees(folder: Path) -> None:
    seen = detection.build(ObjectsConfig(detector=str(folder), threshold=0.02))
    assert isinstance(seen, PretrainedDetector)
    assert seen.classes == ("person", "dog", "cup")
    found = seen.detect(noise())
    theirs = AutoModelForObjectDetection.from_pretrained(folder).eval()
    pixels = torch.from_numpy(preparation_of(PREPARED, folder)(noise()))
    with torch.no_grad():
        answer = theirs(pixel_values=pixels)
    chances = answer.logits[0].sigmoid().max(dim=1)
    best = int(chances.values.argmax())
    assert found.scores[0] == pytest.approx(float(chances.values[best]), abs=1e-5)
    assert found.classes[0] == int(chances.indices[best])
    x, y, w, h = (answer.pred_boxes[0, best] * torch.tensor([80, 60, 80, 60])).tolist()
    expected = [max(0, x - w / 2), max(0, y - h / 2), min(80, x + w / 2), min(60, y + h / 2)]
    assert found.boxes[0] == pytest.approx(np.float32(expected), abs=1e-2)


def test_its_threshold_is_the_familys_unless_told(folder: Path) -> None:
    assert detection.build(ObjectsConfig(detector=str(folder))).threshold == 0.45


def test_a_picture_is_stretched_scaled_and_normalised(tmp_path: Path) -> None:
    described = {
        **PREPARED,
        "do_normalize": True,
        "image_mean": [0.5, 0.25, 0.0],
        "image_std": [0.5, 0.25, 2.0],
    }
    fed = preparation_of(described, tmp_path)(np.full((30, 40, 3), 255, np.uint8))
    assert fed.shape == (1, 3, 128, 96)
    assert fed[0, :, 64, 48] == pytest.approx([1.0, 3.0, 0.5])


def test_numbers_without_a_name_keep_their_place(tmp_path: Path) -> None:
    described = {"model_type": "rf_detr", "id2label": {"1": "Person", "3": "dog"}}
    assert classes_of(described, tmp_path) == ("", "person", "", "dog")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"size": {"shortest_edge": 800}}, "expected size with a height and a width"),
        ({"size": {"height": 10**6, "width": 640}}, "expected size with a height and a width"),
        ({"rescale_factor": "x"}, "expected a rescale_factor"),
        ({"do_normalize": True}, "expected three numbers in image_mean, got None"),
        (
            {"do_normalize": True, "image_mean": [0, 0, 0], "image_std": [1, 0, 1]},
            "image_std above 0",
        ),
    ],
)
def test_a_preparation_that_we_do_not_do_is_refused(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(CheckpointError, match=rf"preprocessor_config\.json: .*{said}") as caught:
        preparation_of({**PREPARED, **changes}, tmp_path)
    assert "\n" not in str(caught.value)


def test_another_kind_of_network_is_refused(copy: Path) -> None:
    (copy / "config.json").write_text(json.dumps({"model_type": "sam2"}))
    with pytest.raises(CheckpointError, match=r"expected model_type d_fine.*got 'sam2'"):
        detection.build(ObjectsConfig(detector=str(copy)))


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_file_that_is_missing_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(CheckpointError, match=rf"has no {name}: give a folder with config\.json"):
        detection.build(ObjectsConfig(detector=str(copy)))


def test_no_pickle_stands_in_for_safetensors(copy: Path) -> None:
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"has no model\.safetensors"):
        detection.build(ObjectsConfig(detector=str(copy)))


def test_a_damaged_file_is_one_line(copy: Path) -> None:
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="does not load as a detector") as caught:
        detection.build(ObjectsConfig(detector=str(copy)))
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_there_are_named_not_made_up(copy: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = copy / "model.safetensors"
    state = load_file(path)
    gone = next(name for name in state if name.endswith("enc_output.0.weight"))
    del state[gone]
    save_file(state, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"missing or of another shape: .*enc_output"):
        detection.build(ObjectsConfig(detector=str(copy)))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_told(folder: Path) -> None:
    config = ObjectsConfig(detector=str(folder), providers=("cuda",))
    with pytest.raises(EngineError, match=r"providers: expected a GPU for 'cuda'.*use \[cpu\]"):
        detection.build(config)
