"""Reading sentences with true boxes; a bad list is one line that says where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streamseg.errors import UsageError
from streamseg.evaluation import queries

GOOD: dict[str, Any] = {
    "clip": "coffee",
    "query": "the mug",
    "kind": "class",
    "frames": {"25": [], "0": [[1, 2, 30.5, 40]], "50": None},
}


def _written(folder: Path, content: Any) -> Path:
    path = folder / "queries.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def test_boxes_emptiness_and_what_cannot_be_told(tmp_path: Path) -> None:
    (read,) = queries.read(_written(tmp_path, [{**GOOD, "note": "other keys are left alone"}]))
    assert (read.clip, read.query, read.kind) == ("coffee", "the mug", "class")
    assert read.frames == {0: ((1.0, 2.0, 30.5, 40.0),), 25: (), 50: None}
    assert list(read.told.items()) == [(0, ((1.0, 2.0, 30.5, 40.0),)), (25, ())]
    assert not read.absent
    assert read.truth is None


def test_absent_is_what_is_nowhere_to_be_seen(tmp_path: Path) -> None:
    frames = {"0": [], "5": None}
    (read,) = queries.read(_written(tmp_path, [{**GOOD, "frames": frames}]))
    assert read.absent


@pytest.mark.parametrize("truth", [False, "mug.npz", "mug.npz:1,2"])
def test_true_masks_may_be_named_or_ruled_out(tmp_path: Path, truth: bool | str) -> None:
    (read,) = queries.read(_written(tmp_path, [{**GOOD, "truth": truth}]))
    assert read.truth == truth


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[", "Invalid JSON"),
        ({}, "valid tuple|valid array"),
        ([], "expected at least one sentence, got none"),
        ([GOOD, {**GOOD, "query": ""}], "entry 2: query: .*at least 1 character"),
        ([{k: v for k, v in GOOD.items() if k != "kind"}], "entry 1: kind: Field required"),
        ([{**GOOD, "frames": {}}], "entry 1: frames: .*at least 1 item"),
        ([{**GOOD, "frames": {"x": []}}], "entry 1: frames.x: .*integer"),
        ([{**GOOD, "frames": {"-1": []}}], "entry 1: frames.-1: .*greater than or equal to 0"),
        ([{**GOOD, "frames": {"3": [[1, 2, 3]]}}], r"entry 1: frames\.3\.0\.3: Field required"),
        (
            [{**GOOD, "frames": {"3": [[9, 2, 3, 4]]}}],
            r"entry 1: frames\.3\.0: expected x0 < x1 and y0 < y1, got \[9\.0, 2\.0, 3\.0, 4\.0\]",
        ),
        ([{**GOOD, "frames": {"3": [["a", 2, 3, 4]]}}], r"entry 1: frames\.3\.0\.0: .*number"),
        ([{**GOOD, "clip": "../coffee"}], "entry 1: clip: expected a name inside the folder"),
        ([{**GOOD, "clip": "/coffee"}], "entry 1: clip: expected a name inside the folder"),
        ([{**GOOD, "clip": 3, "kind": 4}], r"entry 1: clip: .*string \(and 1 more\)"),
    ],
)
def test_a_bad_list_is_one_line_that_says_where(
    tmp_path: Path, content: Any, complaint: str
) -> None:
    path = _written(tmp_path, content)
    with pytest.raises(UsageError, match=complaint) as raised:
        queries.read(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the sentences .*none\.json: No such file"):
        queries.read(tmp_path / "none.json")


def test_a_clip_is_found_with_and_without_its_suffix(tmp_path: Path) -> None:
    clip = tmp_path / "a.b.mkv"
    clip.touch()
    assert queries.find_clip(tmp_path, "a.b") == clip
    assert queries.find_clip(tmp_path, "a.b.mkv") == clip
    with pytest.raises(UsageError, match="no clip a in"):
        queries.find_clip(tmp_path, "a")
