"""Folders of exported reasoners: what they must hold, and what is said of one that does not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from exported_reasoners import SMALL, Pair

from streamseg import config as configs
from streamseg import doctor
from streamseg.config import ExportedConfig
from streamseg.errors import CheckpointError, ConfigError, EngineError, StreamSegError
from streamseg.reasoning.models.exported import chat, record
from streamseg.reasoning.models.exported.chat import ExportedChat


@pytest.fixture
def folder(pairs: dict[str, Pair], tmp_path: Path) -> Path:
    """A copy to damage."""
    shutil.copytree(pairs["qwen2_vl"].exported / "reasoner", tmp_path / "own")
    return tmp_path / "own"


def settings(folder: Path, **more: Any) -> ExportedConfig:
    return ExportedConfig(folder=str(folder), **{**SMALL, **more})


def altered(folder: Path, **values: Any) -> None:
    path = folder / "reasoner.json"
    content = json.loads(path.read_text("utf-8"))
    content.update(values)
    path.write_text(json.dumps(content), "utf-8")


def test_the_folder_itself_or_the_exports(pairs: dict[str, Pair], folder: Path) -> None:
    assert chat.prepare(settings(folder))[0] == folder
    exported = pairs["qwen2_vl"].exported
    assert chat.prepare(settings(exported))[0] == exported / "reasoner"


def test_none_named_or_none_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"reasoning\.exported\.folder: expected a folder"):
        chat.prepare(ExportedConfig())
    with pytest.raises(
        CheckpointError, match=r"has no reasoner\.json: expected a reasoner; export"
    ):
        chat.prepare(settings(tmp_path / "nowhere"))


@pytest.mark.parametrize("name", ["tokenizer.json", "reasoner_decoder.fp32.onnx.data"])
def test_a_file_that_is_missing_or_short_is_found_before_loading(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1])
    with pytest.raises(CheckpointError, match=f"{name}: expected a file of {len(content)} bytes"):
        chat.prepare(settings(folder))
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=r"got none; export it again: streamseg export"):
        chat.prepare(settings(folder))


def test_a_file_with_another_hash_is_not_loaded(folder: Path) -> None:
    path = folder / "reasoner_decoder.fp32.onnx.data"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    chat.prepare(settings(folder))
    with pytest.raises(CheckpointError, match=r"onnx\.data: expected sha256 .* it is not loaded"):
        ExportedChat.open(settings(folder))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"format": 7}, "expected format 1"),
        ({"model_type": "llama"}, "expected a model_type of qwen2_vl, .* got 'llama'"),
        ({"files": {"../a": {"sha256": "", "nbytes": 1}}}, "files"),
        ({"image_id": -1}, "image_id"),
        ({"window": "wide"}, "window"),
    ],
)
def test_a_description_that_cannot_be(folder: Path, values: dict[str, Any], said: str) -> None:
    altered(folder, **values)
    with pytest.raises(CheckpointError, match=said):
        chat.prepare(settings(folder))
    (folder / "reasoner.json").write_text("{", "utf-8")
    with pytest.raises(CheckpointError, match="cannot read"):
        chat.prepare(settings(folder))


def test_a_precision_or_provider_that_is_not_there(folder: Path) -> None:
    with pytest.raises(ConfigError, match="precision: expected one that was exported, fp32, got"):
        chat.prepare(settings(folder, precision="int4"))
    with pytest.raises(EngineError, match="expected ONNX Runtime's provider 'cuda'"):
        chat.prepare(settings(folder, provider="cuda"))


def test_graphs_of_something_else(pairs: dict[str, Pair], folder: Path) -> None:
    """The hashes are right, the graphs not: vision of one family, decoder of another."""
    other = pairs["qwen3_vl"].exported / "reasoner"
    found = record.read(folder)
    names = found.precisions["fp32"].vision.files
    for name in names:
        shutil.copy(other / name, folder / name)
    files = {**found.files, **record.hashes(folder, names)}
    altered(
        folder, files={name: {"sha256": f.sha256, "nbytes": f.nbytes} for name, f in files.items()}
    )
    with pytest.raises(CheckpointError, match="expected features of 1 levels"):
        ExportedChat.open(settings(folder))


def examined(folder: Path) -> dict[str, Any]:
    chosen = {"deep": {"backend": "exported"}, "exported": settings(folder).model_dump()}
    found = doctor.examine(configs.parse({"reasoning": chosen}))
    (row,) = found["parts"]
    assert doctor.can_run(found) is not bool(row["problem"])
    assert "reasoning.exported" in doctor.to_text(found)
    return dict(row)


def test_doctor_tells_of_it(folder: Path) -> None:
    row = examined(folder)
    assert row["engine"] == "onnxruntime cpu"
    assert "in fp32, 4" in row["reason"]
    assert "of 48 greedy tokens as torch's in fp32" in row["reason"]
    assert row["files"]["reasoner_vision.fp32.onnx"] == "folder"
    path = folder / "tokenizer.json"
    path.write_bytes(path.read_bytes().replace(b"a", b"b"))
    assert "tokenizer.json: expected sha256" in examined(folder)["problem"]
    path.unlink()
    assert "got none" in examined(folder)["problem"]


def test_every_error_is_one_line(folder: Path) -> None:
    altered(folder, precisions={})
    with pytest.raises(StreamSegError) as caught:
        chat.prepare(settings(folder))
    assert "\n" not in str(caught.value)
