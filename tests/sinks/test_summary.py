"""summary.json appears whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from results import INFO, make_result

from streamseg.config import SinksConfig
from streamseg.sinks import build
from streamseg.sinks.output.folder import OutputFolder
from streamseg.sinks.summary import SummarySink


def summarise(folder: Path, summary: dict[str, object], frames: int = 1) -> SummarySink:
    sink = SummarySink(OutputFolder(folder))
    sink.open(INFO, "the mug")
    for index in range(frames):
        sink.write(make_result(index))
    sink.close(summary)
    return sink


def test_it_is_written_at_the_end_as_it_was_given(tmp_path: Path) -> None:
    summary = {"frames": 1, "query": "la tasse bleuâtre", "where": tmp_path}
    summarise(tmp_path / "new" / "out", summary)
    (path,) = (tmp_path / "new" / "out").iterdir()
    assert json.loads(path.read_text("utf-8")) == {**summary, "where": str(tmp_path)}


def test_a_name_that_is_no_text_costs_nothing(tmp_path: Path) -> None:
    summarise(tmp_path, {"source": "clip\udcff.mp4", "query": "é"})
    told = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert told == {"source": "clip\udcff.mp4", "query": "é"}


@pytest.mark.parametrize("size", [10, 40_000, 200_000])
def test_it_is_as_long_as_it_is_whatever_room_was_kept(tmp_path: Path, size: int) -> None:
    summarise(tmp_path, {"text": "x" * size})
    assert json.loads((tmp_path / "summary.json").read_text()) == {"text": "x" * size}


def test_without_a_result_there_is_none_and_no_folder(tmp_path: Path) -> None:
    summarise(tmp_path / "new" / "out", {"frames": 0}, frames=0)
    assert list(tmp_path.iterdir()) == []


def test_the_config_names_the_sinks(tmp_path: Path) -> None:
    def names(**config: bool) -> list[str]:
        return [sink.name for sink in build(SinksConfig(**config), tmp_path)]

    assert names() == ["summary", "masks", "overlay"]
    assert names(masks=False, overlay=False, images=True) == ["summary", "images"]
