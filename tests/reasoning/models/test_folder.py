"""Folders of language models: what they must hold, and where a hub id's files come from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamseg import config as configs
from streamseg import reasoning
from streamseg.config import VlmConfig
from streamseg.errors import CheckpointError, ConfigError, UsageError
from streamseg.reasoning.models import folder, vlm

CONFIG = {"model_type": "qwen2_5_vl", "vision_config": {"depth": 2}}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with all names and no weights."""
    for name in ("tokenizer.json", "preprocessor_config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}", "utf-8")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), "utf-8")
    return tmp_path


def test_a_whole_folder(place: Path) -> None:
    assert folder.find(str(place)) == place
    assert vlm.prepare(VlmConfig(model=str(place))) == place


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("config.json", "config.json"),
        ("tokenizer.json", "tokenizer.json or vocab.json or tokenizer.model"),
        ("preprocessor_config.json", "preprocessor_config.json or processor_config.json"),
        ("model.safetensors", "model.safetensors or model.safetensors.index.json"),
    ],
)
def test_a_file_that_is_missing_is_named(place: Path, name: str, said: str) -> None:
    (place / name).unlink()
    with pytest.raises(CheckpointError, match=f"has no {said}: give a folder"):
        folder.find(str(place))


def test_every_shard_has_to_be_there(place: Path) -> None:
    (place / "model.safetensors").unlink()
    index = place / "model.safetensors.index.json"
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    index.write_text(json.dumps({"weight_map": shards}), "utf-8")
    (place / shards["a"]).touch()
    assert folder.missing(place) == shards["b"]
    (place / shards["b"]).touch()
    assert folder.missing(place) == ""
    for odd in ({"a": "../model.safetensors"}, {}, [], {"a": 7}):
        index.write_text(json.dumps({"weight_map": odd}), "utf-8")
        assert folder.missing(place) != ""


@pytest.mark.parametrize("values", [{"model_type": "llama"}, {"vision_config": {}}, [], {}])
def test_another_architecture_is_refused_before_anything_is_loaded(
    place: Path, values: object
) -> None:
    (place / "config.json").write_text(json.dumps(values), "utf-8")
    with pytest.raises(CheckpointError, match="expected a"):
        reasoning.prepare(
            configs.parse(
                {"reasoning": {"deep": {"backend": "vlm"}, "vlm": {"model": str(place)}}}
            ).reasoning
        )


def test_a_family_that_is_not_known_asks_for_its_convention(place: Path) -> None:
    (place / "config.json").write_text(json.dumps({**CONFIG, "model_type": "internvl"}), "utf-8")
    with pytest.raises(ConfigError, match="set convention"):
        vlm.prepare(VlmConfig(model=str(place)))
    vlm.prepare(VlmConfig(model=str(place), convention="thousand"))


def test_what_can_be_no_model(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        folder.find(str(tmp_path / "nothing"))
    for name in ("no-owner", "a/b/c", "a/../b", "http://host/a"):
        with pytest.raises(UsageError, match="no such model"):
            folder.find(name)


def test_a_hub_id_is_looked_for_in_the_hubs_own_cache(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match="is not here and HF_HUB_OFFLINE is set"):
        folder.find("someone/some-vlm")
    commit = "1" * 40
    held = cache / "models--someone--some-vlm"
    snapshot = held / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (held / "refs").mkdir()
    (held / "refs" / "main").write_text(commit, "utf-8")
    for file in place.iterdir():
        if file.is_file():
            (snapshot / file.name).write_bytes(file.read_bytes())
    assert folder.find("someone/some-vlm") == snapshot
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="hf download someone/some-vlm"):
        folder.find("someone/some-vlm")
