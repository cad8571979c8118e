"""masks.jsonl keeps its contract, survives a kill, and is read back as it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from results import INFO, make_result

from streamseg.errors import OutputError, StreamSegError
from streamseg.sinks import Refused
from streamseg.sinks.masks import MasksSink, read_masks
from streamseg.sinks.output.folder import OutputFolder
from streamseg.types import Evidence, TrackState, TriggerReason


def test_a_line_is_the_contracts(tmp_path: Path) -> None:
    sink = MasksSink(OutputFolder(tmp_path))
    sink.open(INFO, "the mug")
    sink.write(
        make_result(
            12,
            rectangles={1: (10, 5, 30, 25)},
            trigger=TriggerReason.DRIFT,
            absent=(2,),
            evidence=Evidence(0.7, 0.81, 0.123456, by_kind=True),
        )
    )
    sink.close({})
    record = json.loads((tmp_path / "masks.jsonl").read_text())
    counts = record["objects"][0]["rle"].pop("counts")
    assert isinstance(counts, str)
    assert record == {
        "frame": 12,
        "pts_s": 0.48,
        "epoch": 0,
        "state": "tracking",
        "objects": [
            {
                "id": 1,
                "score": 0.93,
                "evidence": {"words": 0.7, "cut": 0.81, "carried": 0.1235, "by_kind": True},
                "box": [10, 5, 30, 25],
                "rle": {"size": [48, 64]},
            }
        ],
        "mask_age_frames": 0,
        "grounded_frame": 3,
        "difficulty": 2.4,
        "reasoner": "ready",
        "trigger": "drift",
        "deep": None,
        "timings_ms": {"propagate": 9.12, "latency": 12.3},
    }


def test_nothing_found_is_nulls_and_no_objects(tmp_path: Path) -> None:
    sink = MasksSink(OutputFolder(tmp_path))
    sink.open(INFO, "the mug")
    sink.write(make_result(0, state=TrackState.SEARCHING))
    sink.close({})
    (record,) = read_masks(tmp_path / "masks.jsonl")
    assert record["objects"] == []
    assert record["mask_age_frames"] is record["grounded_frame"] is record["trigger"] is None


def test_masks_come_back_as_they_were(tmp_path: Path) -> None:
    results = [
        make_result(i, rectangles={1: (i, 0, i + 9, 48), 700: (40, 20, 64, 48)}) for i in range(5)
    ]
    sink = MasksSink(OutputFolder(tmp_path))
    sink.open(INFO, "the mug")
    for result in results:
        sink.write(result)
    sink.close({})
    records = list(read_masks(tmp_path / "masks.jsonl"))
    assert [record["frame"] for record in records] == [0, 1, 2, 3, 4]
    for result, record in zip(results, records, strict=True):
        for item in record["objects"]:
            np.testing.assert_array_equal(item["mask"], result.masks.mask(item["id"]))


KILLED = """
import os, signal, sys
import numpy as np
from streamseg.sinks.masks import MasksSink
from streamseg.sinks.output.folder import OutputFolder
from streamseg.types import *
sink = MasksSink(OutputFolder(sys.argv[1]))
sink.open(SourceInfo("s", True), "q")
for index in range(3):
    frame = Frame(index, 0, 0, np.zeros((4, 4, 3), np.uint8))
    sink.write(FrameResult(frame, TrackState.SEARCHING, MaskSet(np.zeros((4, 4), np.uint16))))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_leaves_every_line(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, os.fspath(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [record["frame"] for record in read_masks(tmp_path / "masks.jsonl")] == [0, 1, 2]


def test_a_line_cut_short_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "masks.jsonl"
    path.write_text('{"frame": 0, "objects": []}\n{"frame": 1, "obj')
    assert [record["frame"] for record in read_masks(path)] == [0]


OVERLONG = '{"objects": [{"rle": {"size": [4, 4], "counts": "0oooo1"}}]}\n'


@pytest.mark.parametrize("line", ["no json\n", "[]\n", '{"objects": [{}]}\n', OVERLONG])
def test_what_is_not_a_masks_file_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "masks.jsonl"
    path.write_text('{"frame": 0, "objects": []}\n' + line)
    with pytest.raises(StreamSegError, match=r"line 2: expected a line of masks\.jsonl"):
        list(read_masks(path))


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(StreamSegError, match=r"cannot read .*No such file"):
        list(read_masks(tmp_path / "none.jsonl"))


def test_a_folder_that_is_a_file_is_refused_at_open(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="cannot write to the output folder"):
        MasksSink(OutputFolder(tmp_path / "out")).open(INFO, "the mug")


def test_a_result_that_is_no_json_costs_its_own_line_alone(tmp_path: Path) -> None:
    sink = MasksSink(OutputFolder(tmp_path))
    sink.open(INFO, "the mug")
    sink.write(make_result(0))
    with pytest.raises(Refused, match=r"masks\.jsonl"):
        sink.write(replace(make_result(1), difficulty=float("nan")))
    sink.write(make_result(2))
    sink.close({})
    assert [record["frame"] for record in read_masks(tmp_path / "masks.jsonl")] == [0, 2]
