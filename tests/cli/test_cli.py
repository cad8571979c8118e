"""The command line: what it writes, what it says, and how it fails in one line."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import pytest
from command_line import Call, caller
from hub_server import Hub

from streamseg import synthetic
from streamseg.cli.report import report
from streamseg.sinks.masks import read_masks
from streamseg.weights.registry import MODELS

SCENE = "synthetic:easy?seed=1&size=320x180&frames=40"
QUERY = synthetic.scene("easy", seed=1, size=(320, 180)).expressions[0].text
FOREVER = "synthetic:endless?seed=1&size=320x180&live=1"
PATIENCE_S = 60.0


@pytest.fixture
def streamseg(capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(capsys)


# What a run leaves and says ---------------------------------------------------------------------


def test_a_run_writes_the_contracts_files_and_says_how_it_went(
    streamseg: Call, tmp_path: Path
) -> None:
    code, out, err = streamseg(
        "run",
        "-c",
        "classical",
        "--source",
        SCENE,
        "--query",
        QUERY,
        "--output",
        str(tmp_path / "a" / "b"),
    )
    folder = tmp_path / "a" / "b"
    assert (code, err) == (0, "")
    assert sorted(path.name for path in folder.iterdir()) == [
        "masks.jsonl",
        "overlay.mp4",
        "summary.json",
    ]
    records = list(read_masks(folder / "masks.jsonl"))
    assert [record["frame"] for record in records] == list(range(40))
    assert records[-1]["objects"][0]["mask"].shape == (180, 320)
    with av.open(str(folder / "overlay.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 40
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["frames"] == 40
    assert summary["sinks"]["masks"] == {"written": 40, "dropped": 0, "error": None}
    assert "40 frames at " in out
    assert "the reasoner answered " in out
    assert ": 1 found (" in out
    assert str(folder / "overlay.mp4") in out


def test_without_output_it_says_that_nothing_was_kept(streamseg: Call) -> None:
    code, out, _ = streamseg(
        "run", "-c", "classical", "-s", SCENE, "-q", QUERY, "--max-frames", "3"
    )
    assert code == 0
    assert out.startswith("3 frames at ")
    assert "nothing was kept: give --output DIR" in out


def test_quiet_is_silent_and_settings_reach_the_run(streamseg: Call, tmp_path: Path) -> None:
    words = [
        "run",
        "-c",
        "classical",
        "-s",
        SCENE,
        "-q",
        QUERY,
        "-o",
        str(tmp_path),
        "--max-frames",
        "5",
        "--quiet",
    ]
    settings = ["--set", "sinks.images=true", "--set", "sinks.overlay=false"]
    assert streamseg(*words, *settings) == (0, "", "")
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == [
        f"{index:06d}.png" for index in range(5)
    ]
    assert not (tmp_path / "overlay.mp4").exists()


# Bad input: one line, before anything is opened --------------------------------------------------

BAD_USAGE = [
    (["run", "--query", "x"], "Missing option '--source'"),
    (["run", "--source", SCENE], "Missing option '--query'"),
    (["rnu"], "No such command 'rnu'"),
    (["run", "--source", SCENE, "--query", "x", "--max-frames", "0"], "--max-frames"),
    (["run", "--source", SCENE, "--query", "x", "--frobnicate"], "--frobnicate"),
    (["run", "--source", SCENE, "--query", ""], "the query is empty"),
    (["run", "--source", SCENE, "--query", " \n"], "the query is empty"),
    (["run", "--source", SCENE, "--query", "x" * 1_000_000], "the query has 1000000 characters"),
    (["run", "--source", SCENE, "--query", "x", "--config", "clasical"], "'classical'"),
    (["run", "--source", SCENE, "--query", "x", "--config", "none.yaml"], "cannot read config"),
    (["run", "--source", SCENE, "--query", "x", "--set", "trigger.cooldwon_s=1"], "'cooldown_s'"),
    (["run", "--source", SCENE, "--query", "x", "--set", "sinks.masks=maybe"], "sinks.masks"),
    (["run", "--source", SCENE, "--query", "x", "--set", "sinks"], "expected KEY=VALUE"),
    (["run", "--source", "none.mp4", "--query", "x"], "none.mp4"),
    (["run", "--source", "synthetic:esay", "--query", "x"], "easy"),
]


@pytest.mark.parametrize(("words", "told"), BAD_USAGE, ids=[told for _, told in BAD_USAGE])
def test_wrong_usage_is_one_line_and_exit_code_2(
    streamseg: Call, words: list[str], told: str
) -> None:
    code, out, err = streamseg(*words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert told in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "told"), BAD_USAGE[5:9], ids=["empty", "blank", "1 MB", "config"]
)
def test_a_bad_query_or_config_leaves_no_folder(
    streamseg: Call,
    words: list[str],
    told: str,
    tmp_path: Path,
) -> None:
    code, _, _ = streamseg(*words, "--output", str(tmp_path / "out"))
    assert code == 2
    assert not (tmp_path / "out").exists()


def test_an_unwritable_folder_is_refused_before_the_first_frame(
    streamseg: Call, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    code, out, err = streamseg(
        "run", "-c", "classical", "-s", SCENE, "-q", "x", "--output", str(tmp_path / "file" / "out")
    )
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "cannot write to the output folder" in err


def test_a_file_that_is_no_video_fails_in_one_line(streamseg: Call, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"not a video" * 100)
    code, out, err = streamseg(
        "run", "-c", "classical", "-s", str(tmp_path / "clip.mp4"), "-q", "x"
    )
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "clip.mp4" in err


def test_debug_adds_the_traceback(streamseg: Call) -> None:
    code, _, err = streamseg("run", "-c", "classical", "-s", SCENE, "-q", "", "--debug")
    assert code == 2
    assert "Traceback (most recent call last)" in err
    assert err.rstrip().splitlines()[-1].startswith("streamseg: the query is empty")


def test_a_fault_of_ours_is_one_line_too(streamseg: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamseg.weights.list_models", lambda: [None])
    code, _, err = streamseg("models", "list")
    assert code == 1
    assert err.startswith("streamseg: internal error, AttributeError")
    assert err.count("\n") == 1


# The other commands ------------------------------------------------------------------------------


def test_bare_it_shows_its_help(streamseg: Call) -> None:
    code, out, _ = streamseg()
    assert code == 2
    assert "Usage: streamseg" in out


def test_help_teaches_by_example(streamseg: Call) -> None:
    code, out, _ = streamseg("run", "--help")
    assert code == 0
    assert 'streamseg run --source rtsp://camera/1 --query "the person at the door"' in out


def test_version(streamseg: Call) -> None:
    from streamseg import __version__

    assert streamseg("--version") == (0, f"streamseg {__version__}\n", "")


def test_configs_are_listed_with_what_they_are(streamseg: Call) -> None:
    code, out, _ = streamseg("configs")
    assert code == 0
    (classical,) = (line for line in out.splitlines() if line.startswith("classical "))
    assert "runs anywhere" in classical


@pytest.mark.parametrize("words", [["models"], ["models", "list"]])
def test_models_are_listed(streamseg: Call, words: list[str]) -> None:
    code, out, _ = streamseg(*words)
    assert code == 0
    (row,) = (line for line in out.splitlines() if line.startswith("selftest-xmem"))
    assert "here" in row


def test_a_model_is_verified(streamseg: Call) -> None:
    assert streamseg("models", "verify", "selftest-sam2") == (0, "selftest-sam2 is whole\n", "")


def test_a_file_by_path_is_here_and_is_verified(streamseg: Call, tmp_path: Path) -> None:
    import torch

    from streamseg.nets.xmem import selftest_xmem

    path = tmp_path / "XMem.pth"
    torch.save(selftest_xmem().state_dict(), path)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    assert streamseg("models", "fetch", str(path)) == (0, f"{path} is here\n", "")
    expected = f"{checksum}  XMem.pth\n{path} is whole\n"
    assert streamseg("models", "verify", str(path)) == (0, expected, "")


def test_a_configs_models_are_fetched_and_verified_together(
    streamseg: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:

    cutter, home = b"a cutter", "/ustc-community/dfine-nano-coco"
    files = [*MODELS["d-fine-nano"].files]
    with Hub({"/v0/u2netp.onnx": cutter} | {f"{home}/{file}": b"{}" for file in files}) as server:
        pinned = (hashlib.sha256(cutter).hexdigest(),)
        row = replace(MODELS["u2netp"], home=f"{server.url}/v0", sha256=pinned)
        monkeypatch.setitem(MODELS, "u2netp", row)
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))
        code, out, _ = streamseg("models", "fetch", "everyday")
    assert code == 0
    assert out.splitlines() == [
        f"{name} is in {tmp_path / 'cache' / name}" for name in ("d-fine-nano", "u2netp")
    ]
    code, out, _ = streamseg("models", "verify", "everyday")
    assert code == 0
    assert [line for line in out.splitlines() if "whole" in line] == [
        "d-fine-nano is whole",
        "u2netp is whole",
    ]


def test_a_model_that_is_not_here_says_what_to_put_where(
    streamseg: Call,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    code, _, err = streamseg("models", "verify", "xmem")
    assert code == 1
    assert "XMem.pth" in err
    assert str(tmp_path) in err
    assert err.count("\n") == 1


# Ctrl-C ------------------------------------------------------------------------------------------


@pytest.fixture
def endless_run(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A live run in a process group of its own, as a terminal starts it, a second or so old."""
    words = [
        "run",
        "-c",
        "classical",
        "-s",
        FOREVER,
        "-q",
        "the red object",
        "-o",
        os.fspath(tmp_path / "out"),
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamseg.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline_s = time.monotonic() + PATIENCE_S
        while not _line_count(tmp_path / "out" / "masks.jsonl") >= 10:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _line_count(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_finishes_the_files(
    endless_run: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    os.killpg(endless_run.pid, number)  # all of the group get it, as from a terminal
    out, err = endless_run.communicate(timeout=PATIENCE_S)
    assert (endless_run.returncode, err) == (0, "")
    assert " frames at " in out
    records = list(read_masks(tmp_path / "out" / "masks.jsonl"))
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["frames"] == summary["sinks"]["masks"]["written"] == len(records) >= 10
    with av.open(str(tmp_path / "out" / "overlay.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(records)


def test_a_killed_run_leaves_files_that_can_be_read_and_no_lock(
    endless_run: subprocess.Popen[str], streamseg: Call, tmp_path: Path
) -> None:
    overlay, deadline_s = tmp_path / "out" / "overlay.mp4", time.monotonic() + PATIENCE_S
    while _frame_count(overlay) < 20:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    endless_run.kill()
    endless_run.wait()
    masks = len(list(read_masks(tmp_path / "out" / "masks.jsonl")))
    assert 20 <= _frame_count(overlay) <= masks
    words = [
        "run",
        "-c",
        "classical",
        "-s",
        SCENE,
        "-q",
        QUERY,
        "-o",
        str(tmp_path / "out"),
        "--max-frames",
        "3",
    ]
    assert streamseg(*words)[0] == 1
    assert streamseg(*words, "--overwrite", "--quiet") == (0, "", "")
    assert _frame_count(overlay) == 3


def _frame_count(path: Path) -> int:
    """Pictures that play, also of a file that is being written."""
    try:
        with av.open(str(path)) as container:
            return sum(1 for _ in container.decode(video=0))
    except (av.FFmpegError, IndexError):  # not there yet, or without its first fragment
        return 0


# The report --------------------------------------------------------------------------------------

LATENCY = {"count": 3, "p50_ms": 9.14, "p95_ms": 12.0, "p99_ms": 31.26}


def test_report_tells_speed_drops_groundings_and_files() -> None:
    summary = {
        "frames": 300,
        "fps": 29.97,
        "dropped": {"overtaken": 3, "stalled": 0},
        "latency": {"latency": LATENCY},
        "groundings": [
            {
                "frame": 6,
                "reason": "no target yet",
                "seconds": 0.041,
                "targets": [{"label": "blue mug"}],
            },
            {"frame": 90, "reason": "drift", "seconds": 0.05, "targets": []},
            {"frame": 120, "reason": "drift", "error": "deadline\nof 20 s passed"},
        ],
        "groundings_total": 3,
        "sinks": {
            "summary": {"written": 300, "dropped": 0, "error": None},
            "masks": {"written": 299, "dropped": 1, "error": None},
            "overlay": {"written": 70, "dropped": 230, "error": "full", "last_frame": 69},
            "images": {"written": 0, "dropped": 300, "error": "full", "last_frame": None},
            "status": {"written": 300, "dropped": 0, "error": None},
        },
    }
    assert report(summary, masked=280, output=Path("a/out\x1b")).splitlines() == [
        "300 frames at 30.0 fps, masks on 280, dropped 3 (3 overtaken)",
        "latency: p50 9.1 ms, p95 12.0 ms, p99 31.3 ms",
        "the reasoner answered 3 times:",
        "  frame 6, no target yet: 1 found (blue mug), 0.04 s",
        "  frame 90, drift: nothing matches, 0.05 s",
        "  frame 120, drift: no answer (deadline of 20 s passed)",
        "wrote a/out�/masks.jsonl, a/out�/overlay.mp4 (up to frame 69), a/out�/summary.json",
        "masks.jsonl lacks 1 of the frames: they came too fast for it, or were refused",
    ]


@pytest.mark.parametrize(
    ("frames", "told"), [(0, "nothing was written: no frame came"), (9, "nothing was written")]
)
def test_report_names_only_what_this_run_wrote(tmp_path: Path, frames: int, told: str) -> None:
    """Not what lies there of another."""
    (tmp_path / "overlay.mp4").write_text("old")
    sinks = {"overlay": {"written": 0, "dropped": 9, "error": "full", "last_frame": None}}
    summary = {"frames": frames, "fps": 1.0, "sinks": sinks}
    assert report(summary, masked=0, output=tmp_path).splitlines()[-1] == told


def test_report_of_a_long_run_stays_short() -> None:
    grounding = {"frame": 1, "reason": "refresh due", "seconds": 0.1, "targets": []}
    summary = {"frames": 1, "fps": 0.0, "groundings": [grounding] * 1000, "groundings_total": 5000}
    text = report(summary, masked=0, output=None)
    assert text.startswith("1 frame, masks on 0\n")  # of one there is no rate
    assert "  and 4992 more" in text
    assert len(text.splitlines()) == 12
