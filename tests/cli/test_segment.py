"""`streamseg segment` from the shell: files, exit codes, a stop and going on from it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import Call, caller
from film_scenes import overlap, truth, video
from source_tools import write_video

from streamseg.cli.bar import in_words
from streamseg.sinks.masks import read_masks
from streamseg.video.spool import NAME
from streamseg.video.time_left import Progress, Step

QUERY = ("--config", "classical", "--query", "the red square")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(capsys)


def test_a_video_becomes_files(call: Call, tmp_path: Path) -> None:
    path, out = write_video(tmp_path / "a.mp4", video(20)), tmp_path / "out"
    code, said, complained = call(
        "segment", str(path), *QUERY, "--target-frame", "10", "--output", str(out)
    )
    assert code == 0, complained
    assert "20 frames" in said
    assert "masks on 20" in said
    lines = list(read_masks(out / "masks.jsonl"))
    assert [line["frame"] for line in lines] == list(range(20))
    assert min(overlap(line["objects"][0]["mask"], truth(line["frame"])) for line in lines) > 0.9
    assert sorted(item.name for item in out.iterdir()) == [
        "masks.jsonl",
        "overlay.mp4",
        "summary.json",
    ]
    code, _, complained = call("segment", str(path), *QUERY, "--output", str(out))
    assert (code, "holds the results of another run" in complained) == (1, True)
    code, _, complained = call("segment", str(path), *QUERY, "--output", str(out), "--resume")
    assert (code, "holds the results of another run" in complained) == (1, True)


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("nowhere.mp4", *QUERY), 2, "no such file"),
        (("rtsp://127.0.0.1:1/x", *QUERY), 2, "goes on for ever"),
        (("-", *QUERY), 2, "nothing is"),
        (("synthetic:easy", "--query", ""), 2, "the query is empty"),
        (("synthetic:easy", *QUERY, "--resume"), 2, "--resume needs --output"),
        (("synthetic:easy", *QUERY, "--overwrite"), 2, "--overwrite needs --output"),
        (("synthetic:easy?frames=4", *QUERY, "--target-frame", "4"), 2, "below 4"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    call: Call, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, complaint: str
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    got, _, complained = call("segment", *words, "--quiet")
    assert got == code
    assert complaint in complained
    assert complained.count("\n") == 1


def test_a_signal_ends_it_and_resume_goes_on(call: Call, tmp_path: Path) -> None:
    path, out = write_video(tmp_path / "a.mp4", video(120)), tmp_path / "out"
    words = ["segment", str(path), *QUERY, "--target-frame", "100", "--output", str(out)]
    command = [sys.executable, "-m", "streamseg", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        deadline_s = time.monotonic() + 60
        while not _has_lines(out / NAME, 5) and time.monotonic() < deadline_s:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "--resume goes on from here" in said
    code, said, complained = call(*words, "--resume", "--quiet")
    assert (code, said, complained) == (0, "", "")
    assert len(list(read_masks(out / "masks.jsonl"))) == 120
    summary = json.loads((out / "summary.json").read_text())
    assert summary["offline"]["complete"]
    assert not (out / NAME).exists()


def test_a_video_that_is_cut_off_is_told_of(call: Call, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", video(40))
    path.write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    code, said, _ = call("segment", str(path), *QUERY)
    assert code == 0
    assert "not all of the video was there" in said
    assert "is cut off after" in said


def test_the_time_left_in_words() -> None:
    assert in_words(Progress(Step.READ, 3, None, None)) == "frame 3"
    assert in_words(Progress(Step.READ, 3, 9, None)) == "frame 3/9"
    assert in_words(Progress(Step.WRITE, 3, 9, 61.2)) == "frame 3/9  1:01 left"
    assert in_words(Progress(Step.WRITE, 3, 9, 3725.0)) == "frame 3/9  1:02:05 left"


def _has_lines(path: Path, count: int) -> bool:
    return path.exists() and path.read_bytes().count(b"\n") >= count
