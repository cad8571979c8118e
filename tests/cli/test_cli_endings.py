"""The process `streamseg` and the signals it gets, from its first import to its last flush."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamseg.sinks.masks import read_masks

FOREVER = "synthetic:endless?seed=1&size=160x96&live=1"
PATIENCE_S = 60.0
ABORTED = "streamseg: aborted: what was written so far stays readable\n"


def start(source: str, output: Path | None = None, *more: str) -> subprocess.Popen[str]:
    words = ["run", "-c", "classical", "-s", source, "-q", "the red object", "--quiet", *more]
    if output is not None:
        words += ["-o", os.fspath(output)]
    return subprocess.Popen(
        [sys.executable, "-m", "streamseg", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def await_lines(path: Path, count: int = 5) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def await_handlers(process: subprocess.Popen[str]) -> None:
    """Until SIGTERM is caught: from then on every phase has its documented end."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not caught(process.pid, signal.SIGTERM):
        assert time.monotonic() < deadline_s
        time.sleep(0.002)


def caught(pid: int, number: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    mask = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.mark.parametrize("after_s", [0.0, 0.15, 0.5])
def test_a_signal_while_it_starts_is_an_end(after_s: float) -> None:
    with ended(start(FOREVER)) as process:
        await_handlers(process)
        time.sleep(after_s)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert "Traceback" not in err


def test_a_signal_while_a_camera_does_not_answer_is_an_end(tmp_path: Path) -> None:
    dead = "rtsp://192.0.2.1/live"  # TEST-NET-1: nobody answers
    words = ("--set", "source.wait_for_source=true")
    with ended(start(dead, tmp_path / "out", *words)) as process:
        await_handlers(process)
        time.sleep(3.0)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, "Traceback" in err) == (0, False)


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (signal.SIGHUP, None, 0),
        (signal.SIGINT, signal.SIGINT, 130),
        (signal.SIGINT, signal.SIGTERM, 143),
    ],
)
def test_one_signal_ends_and_two_abort(
    first: signal.Signals, second: signal.Signals | None, code: int, tmp_path: Path
) -> None:
    """The second comes as soon as it can, while the files are being finished."""
    with ended(start(FOREVER, tmp_path / "out")) as process:
        await_lines(tmp_path / "out" / "masks.jsonl")
        process.send_signal(first)
        if second is not None:
            deadline_s = time.monotonic() + PATIENCE_S
            while process.poll() is None and time.monotonic() < deadline_s:
                time.sleep(0.002)
                process.send_signal(second)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in err
    assert len(list(read_masks(tmp_path / "out" / "masks.jsonl"))) >= 5
    if second is None:
        assert (process.returncode, err) == (0, "")
        assert json.loads((tmp_path / "out" / "summary.json").read_text())["frames"] >= 5
    else:
        assert process.returncode == code, err
        assert err in ("", ABORTED)  # a third one does not wait for words


ON_A_TERMINAL = """
import os, runpy
os.open(os.ttyname(0), os.O_RDWR)  # the first that a session opens is its controlling one
runpy.run_module("streamseg", run_name="__main__")
"""


def test_a_terminal_that_goes_away_is_an_end(tmp_path: Path) -> None:
    """Its process gets SIGHUP, and writing to what was the terminal fails from then on."""
    terminal, end = pty.openpty()
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
        [sys.executable, "-c", ON_A_TERMINAL, *words],
        stdin=end,
        stdout=end,
        stderr=end,
        start_new_session=True,
    )
    os.close(end)
    lines = tmp_path / "out" / "masks.jsonl"
    try:
        deadline_s = time.monotonic() + PATIENCE_S
        while not lines.exists() or lines.read_bytes().count(b"\n") < 5:
            assert os.read(terminal, 65536)
            assert time.monotonic() < deadline_s
        os.close(terminal)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["frames"] == len(list(read_masks(lines))) >= 5


def test_an_output_that_nobody_reads_ends_without_a_complaint() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "streamseg", "configs"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(PATIENCE_S) == 1


@pytest.mark.parametrize("words", [["export", "-c", "selftest", "-o", "x"], ["doctor"]])
def test_other_commands_are_aborted(words: list[str], tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "streamseg", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    with ended(process):
        await_handlers(process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "Traceback" not in err
