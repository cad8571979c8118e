"""How a run ends, in real processes: kept, left, dropped, raised out of; its files are whole."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import pytest
from builders import ListSource, frame

from streamseg import StreamSegmenter, config, sinks
from streamseg.errors import UsageError
from streamseg.loop.endings import Ending
from streamseg.sinks.masks import read_masks
from streamseg.types import Event, Frame, FrameResult, SourceInfo

PATIENCE_S = 60.0
HANG_S = 20.0
"""Bounds ends that are to come within 2 s: far below what a hang takes, fit for busy machines."""

PROGRAM = """
import os, signal, sys, threading
import streamseg
from streamseg import config, sinks
from pathlib import Path

SPEC = "synthetic:endless?seed=1&size=160x96"
settings = config.load("classical", ["source.realtime=false"])
segmenter = streamseg.StreamSegmenter.from_config(settings)
outputs = sinks.build(settings.sinks, Path(sys.argv[1]))
results = segmenter.run(SPEC, "the red object", sinks=outputs)
kept = [results]

def some(count=12):
    for result in results:
        if result.frame.index == count - 1:
            return result
"""

ENDINGS = {
    "kept at module level": ("some()", 0),
    "exit in the loop": ("some(); sys.exit(3)", 3),
    "error in the loop": ("some(); raise RuntimeError('a robot fell over')", 1),
    "Ctrl-C in the loop": ("some(); os.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT),
    "dropped": ("some(); del results, kept", 0),
    "held by a thread": (
        "thread = threading.Thread(target=some, args=(10**9,), daemon=True); thread.start()\n"
        "while segmenter.summary().get('frames', 0) < 12: thread.join(0.05)",
        0,
    ),
    "a session that is kept": (
        "import numpy as np\n"
        "kept[0].close()\n"
        "outputs = sinks.build(settings.sinks, Path(sys.argv[1]) / 'session')\n"
        "session = segmenter.session('the mug', sinks=outputs)\n"
        "for _ in range(12): session.step(np.zeros((96, 160, 3), np.uint8))",
        0,
    ),
}


def run_program(ending: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM + ending, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S * 2,
    )


def check_files(folder: Path, least: int) -> None:
    records = list(read_masks(folder / "masks.jsonl"))
    summary = json.loads((folder / "summary.json").read_text())
    assert len(records) == summary["frames"] == summary["sinks"]["masks"]["written"] >= least
    assert summary["versions"]["numpy"]
    with av.open(str(folder / "overlay.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(records)


@pytest.mark.parametrize("name", ENDINGS)
def test_however_a_program_ends_the_files_are_whole(name: str, tmp_path: Path) -> None:
    ending, code = ENDINGS[name]
    done = run_program(ending, tmp_path)
    assert done.returncode == code, done.stderr
    told = done.stderr.splitlines()
    if code in (0, 3):
        assert told == []
    assert sum(line.startswith("Traceback") for line in told) == (code in (1, -signal.SIGINT))
    check_files(tmp_path / "session" if "session" in name else tmp_path, 12)


def test_a_program_that_sigterm_ends_leaves_what_was_written(tmp_path: Path) -> None:
    """Python runs nothing of ours then; masks.jsonl is written a line at a time."""
    done = run_program("some(30); os.kill(os.getpid(), signal.SIGTERM)", tmp_path)
    assert done.returncode == -signal.SIGTERM
    assert len(list(read_masks(tmp_path / "masks.jsonl"))) >= 10


def test_a_forked_child_that_exits_ends_nothing_of_its_parents(tmp_path: Path) -> None:
    child = (
        "some(5)\n"
        "import warnings; warnings.simplefilter('ignore')\n"
        "pid = os.fork()\n"
        "if not pid: sys.exit(0)\n"
        "assert os.waitpid(pid, 0)[1] == 0\n"
        "some(12)"
    )
    done = run_program(child, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    check_files(tmp_path, 12)


# Stop, from any moment --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def segmenter() -> StreamSegmenter:
    return StreamSegmenter.from_config("classical")


def frames(count: int = 30) -> list[Frame]:
    return [frame(index) for index in range(count)]


def test_a_stop_before_the_first_result_counts(segmenter: StreamSegmenter) -> None:
    source = ListSource(frames())
    results = segmenter.run(source, "the mug")
    segmenter.stop()
    assert list(results) == []
    assert source.closed
    assert segmenter.summary()["frames"] == 0
    assert segmenter.summary()["query"] == "the mug"


def test_a_stop_before_a_run_is_not_the_runs(segmenter: StreamSegmenter) -> None:
    segmenter.stop()
    assert len(list(segmenter.run(ListSource(frames(4))))) == 4


def test_what_was_stopped_before_it_began_opened_nothing(
    segmenter: StreamSegmenter, tmp_path: Path
) -> None:
    results = segmenter.run(tmp_path / "no such file.mp4")
    segmenter.stop()
    assert list(results) == []


def test_results_that_nobody_draws_free_the_segmenter(segmenter: StreamSegmenter) -> None:
    source = ListSource(frames())
    kept = segmenter.run(source)
    with pytest.raises(UsageError, match="already running"):
        segmenter.run(ListSource(frames()))
    kept.close()
    assert source.closed
    assert list(kept) == []
    segmenter.run(ListSource(frames()))  # dropped at once
    assert len(list(segmenter.run(ListSource(frames(3))))) == 3


def test_results_are_a_context_manager(segmenter: StreamSegmenter) -> None:
    source = ListSource(frames())
    with segmenter.run(source) as results:
        next(results)
    assert source.closed
    assert segmenter.summary()["frames"] == 1


def test_close_from_a_listener_ends_after_the_frame_under_way(segmenter: StreamSegmenter) -> None:
    def close(event: Event) -> None:
        results.close()

    seen = 0
    results = segmenter.run(ListSource(frames()), "the grey thing", on_event=close)
    for _ in results:
        seen += 1
    assert 1 <= seen < 30


def test_close_from_another_thread_waits_until_the_files_are_whole(
    segmenter: StreamSegmenter,
) -> None:
    sink = Stubborn()
    results = segmenter.run("synthetic:endless?seed=1&size=160x96", sinks=[sink])
    next(results)
    threads = [threading.Thread(target=lambda: list(results)) for _ in range(2)]
    for thread in threads:
        thread.start()
    results.close()
    assert sink.closed
    for thread in threads:
        thread.join(HANG_S)
        assert not thread.is_alive()


class Stubborn:
    """A sink that hangs in one of its methods until it is let go."""

    name = "stubborn"

    def __init__(self, hangs_in: str = "") -> None:
        self.let_go = threading.Event()
        self.under_way = threading.Event()
        """It hangs, or what comes before it hangs has been reached."""
        self.closed = False
        self._hangs_in = hangs_in

    def open(self, info: SourceInfo, query: str) -> None:
        self._hang("open")

    def write(self, result: FrameResult) -> None:
        self.under_way.set()
        self._hang("write")

    def close(self, summary: Mapping[str, Any]) -> None:
        self._hang("close")
        self.closed = True

    def _hang(self, where: str) -> None:
        if where == self._hangs_in:
            self.under_way.set()
            self.let_go.wait(120)


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("where", ["open", "write", "close"])
def test_a_stop_leaves_a_sink_that_hangs_behind(where: str, live: bool, tmp_path: Path) -> None:
    segmenter = StreamSegmenter.from_config("classical", ["sinks.close_s=60"])
    sink, events = Stubborn(where), list[Event]()
    whole = sinks.build(config.Config().sinks, tmp_path)
    spec = f"synthetic:endless?seed=1&size=160x96&live={int(live)}"
    stopped_s: list[float] = []

    def stop() -> None:
        sink.under_way.wait(60)
        time.sleep(0.5)
        stopped_s.append(time.monotonic())
        segmenter.stop()

    threading.Thread(target=stop, daemon=True).start()
    try:
        list(segmenter.run(spec, "the mug", sinks=[*whole, sink], on_event=events.append))
        assert time.monotonic() - stopped_s[0] < HANG_S
        assert not sink.closed
        assert any("stubborn" in e.message for e in events if e.kind == "sink_timeout")
        if where == "open":
            assert list(tmp_path.glob("*.json*")) == []
        else:
            check_files(tmp_path, 1)
    finally:
        sink.let_go.set()


# The steps themselves ---------------------------------------------------------------------------


def test_steps_are_taken_once_and_all_of_them() -> None:
    taken: list[str] = []

    def broken() -> None:
        taken.append("broken")
        raise OSError("no space")

    ending = Ending(lambda: taken.append("stop"))
    ending.then(taken.append, "first added")
    ending.then(broken)
    with pytest.raises(OSError, match="no space"):
        ending.close()
    ending.close(early=True)
    assert taken == ["broken", "first added"]
