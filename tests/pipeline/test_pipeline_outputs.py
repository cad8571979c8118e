"""What `run()` tells in Python of its sinks: when it raises, when it ends, what it counts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import ListSource

from streamseg import StreamSegmenter, sinks
from streamseg.errors import OutputError, SourceError
from streamseg.sinks import Role
from streamseg.sinks.masks import read_masks
from streamseg.types import Frame, FrameResult, SourceInfo


def frames_of(count: int) -> list[Frame]:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (48, 64, 3), np.uint8)
    return [Frame(index, round(index * 1e9 / 30), 0, image) for index in range(count)]


@pytest.fixture(scope="module")
def classical() -> StreamSegmenter:
    return StreamSegmenter.from_config("classical")


class Disk:
    """A sink that keeps results until the disk is full."""

    role = Role.RESULTS

    def __init__(self, name: str, room: int) -> None:
        self.name = name
        self.indices: list[int] = []
        self.summary: Mapping[str, Any] = {}
        self._room = room

    def open(self, info: SourceInfo, query: str) -> None:
        self.indices.clear()

    def write(self, result: FrameResult) -> None:
        if len(self.indices) == self._room:
            raise OSError(28, "No space left on device")
        self.indices.append(result.frame.index)

    def close(self, summary: Mapping[str, Any]) -> None:
        self.summary = summary


def follow(run: Iterator[FrameResult]) -> tuple[list[int], OutputError | None]:
    """Which frames came, and what was raised then."""
    seen = []
    try:
        for result in run:
            seen.append(result.frame.index)  # noqa: PERF401 - those before the error count
    except OutputError as error:
        return seen, error
    return seen, None


def test_a_failed_sink_is_raised_after_every_result_and_every_file(
    classical: StreamSegmenter,
) -> None:
    small, large = Disk("small", 5), Disk("large", 100)
    seen, error = follow(classical.run(ListSource(frames_of(30)), sinks=[small, large]))
    assert re.search(r"small failed \(No space left .*up to frame 4\)", str(error))
    assert seen == large.indices == list(range(30))
    assert large.summary["frames"] == 30
    told = classical.summary()["sinks"]
    assert told["large"] == {"written": 30, "dropped": 0, "error": None}
    assert (told["small"]["written"], told["small"]["dropped"]) == (5, 25)


def test_a_run_whose_sinks_have_all_failed_ends(classical: StreamSegmenter) -> None:
    disks = [Disk("a", 3), Disk("b", 5)]
    seen, error = follow(classical.run(ListSource(frames_of(2000)), sinks=disks))
    assert re.search("a failed .*; b failed ", str(error))
    assert 5 <= len(seen) < 2000
    assert len(list(classical.run(ListSource(frames_of(3))))) == 3


def test_the_summary_counts_what_sinks_wrote_and_dropped(
    classical: StreamSegmenter, tmp_path: Path
) -> None:
    outputs = sinks.build(classical.config.sinks, tmp_path / "out")
    for result in classical.run(ListSource(frames_of(12)), sinks=outputs):
        assert set(classical.summary()["sinks"]) == {"summary", "masks", "overlay"}
        assert result.frame.index < 12
    told = classical.summary()
    assert told["sinks"]["masks"] == {"written": 12, "dropped": 0, "error": None}
    written = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert written["sinks"]["overlay"] == told["sinks"]["overlay"]
    assert len(list(classical.run(ListSource(frames_of(1))))) == 1
    assert classical.summary()["sinks"] == {}


def test_a_source_without_a_frame_leaves_an_earlier_run_whole(
    classical: StreamSegmenter, tmp_path: Path
) -> None:
    def run(count: int, overwrite: bool = False) -> None:
        outputs = sinks.build(classical.config.sinks, tmp_path, overwrite=overwrite)
        assert len(list(classical.run(ListSource(frames_of(count)), sinks=outputs))) == count

    run(6)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(SourceError, match="without a single frame"):
        run(0, overwrite=True)
    with pytest.raises(OutputError, match="overwrite=True"):
        run(3)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    run(3, overwrite=True)
    assert len(list(read_masks(tmp_path / "masks.jsonl"))) == 3


def test_two_runs_do_not_share_a_folder(classical: StreamSegmenter, tmp_path: Path) -> None:
    other = StreamSegmenter(classical.config)
    built = [sinks.build(classical.config.sinks, tmp_path / "out") for _ in range(2)]
    first = classical.run(ListSource(frames_of(9)), sinks=built[0])
    next(first)
    with pytest.raises(OutputError, match="another run is writing to"):
        next(other.run(ListSource(frames_of(9)), sinks=built[1]))
    assert len(list(first)) == 8
    assert len(list(read_masks(tmp_path / "out" / "masks.jsonl"))) == 9


def test_a_run_left_early_keeps_what_it_had(classical: StreamSegmenter, tmp_path: Path) -> None:
    outputs = sinks.build(classical.config.sinks, tmp_path)
    run = classical.run(ListSource(frames_of(50)), sinks=outputs)
    for result in run:
        if result.frame.index == 4:
            break
    run.close()  # type: ignore[attr-defined]
    assert len(list(read_masks(tmp_path / "masks.jsonl"))) == 5
    assert json.loads((tmp_path / "summary.json").read_text())["sinks"]["masks"]["written"] == 5
