"""The benchmark of exported answers: the reasoner that ships, exported, beside itself in torch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from exported_reasoners import export

from streamseg.benchmarks import exported
from streamseg.reasoning.models import folder as folders
from streamseg.reasoning.models.chat import Completion


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("exported") / "nano"
    export(folders.find("reasoner-nano"), made)
    return made


def test_the_same_answers_are_counted(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told.json"
    words = ["exported", "--folder", str(folder), "--prompts", "4", "--json", str(told)]
    monkeypatch.setattr("sys.argv", words)
    exported.main()
    found = json.loads(told.read_text())["figures"]
    assert (found["prompts"], found["same"], found["differing"]) == (4, 4, [])
    assert found["tokens"] > 4
    assert 0 < found["exported_s"]["median"] <= found["exported_s"]["max"]


def test_another_answer_is_told() -> None:
    one = Completion("a box", 3)
    pair = exported.Pair(16, one, one, 0.1, 0.1)
    other = replace(pair, exported=replace(one, text="no box"), exported_s=2.0)
    found = exported.figures([pair, other])
    assert (found["prompts"], found["same"], found["within_aim"]) == (2, 1, 1)
    assert found["differing"] == [{"budget": 16, "torch": "a box", "exported": "no box"}]
