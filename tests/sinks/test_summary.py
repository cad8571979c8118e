"""summary.json appears whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

from results import INFO, make_result

from streamseg.config import SinksConfig
from streamseg.sinks import build
from streamseg.sinks.summary import SummarySink


def test_it_is_written_at_the_end_as_it_was_given(tmp_path: Path) -> None:
    sink = SummarySink(tmp_path / "new" / "out")
    sink.open(INFO, "the mug")
    sink.write(make_result(0))
    sink.close({"frames": 1, "query": "la tasse bleuâtre", "where": tmp_path})
    (path,) = (tmp_path / "new" / "out").iterdir()
    assert json.loads(path.read_text("utf-8")) == {
        "frames": 1,
        "query": "la tasse bleuâtre",
        "where": str(tmp_path),
    }


def test_an_earlier_runs_summary_does_not_pass_for_this_ones(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text("{}")
    SummarySink(tmp_path).open(INFO, "the mug")
    assert not (tmp_path / "summary.json").exists()


def test_the_config_names_the_sinks(tmp_path: Path) -> None:
    def names(**config: bool) -> list[str]:
        return [sink.name for sink in build(SinksConfig(**config), tmp_path)]

    assert names() == ["summary", "masks", "overlay"]
    assert names(masks=False, overlay=False, images=True) == ["summary", "images"]
