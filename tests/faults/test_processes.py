"""Processes that are killed or stand still: the reasoner, the run itself, the camera."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
import pytest
from live_run import PATIENCE_S, LiveRun, check_breaks, shows_objects

from streamseg.benchmarks.faults.camera import CameraProcess
from streamseg.benchmarks.faults.verdict import broken_files

QUERY = "every pink thing"
QUICK = ("--set", "reasoning.restart_s=0.05", "--set", "reasoning.restart_cap_s=0.05")


def start(camera: CameraProcess, folder: Path, *words: str) -> LiveRun:
    return LiveRun(f"tcp://127.0.0.1:{camera.port}", QUERY, folder, *words)


def check_end(run: LiveRun) -> None:
    assert run.end() == 0, run.told
    assert "Traceback" not in run.told
    assert broken_files(run.output) == []
    check_breaks(run.records())


def test_a_killed_reasoner_is_replaced_and_asked_again(
    camera: CameraProcess, tmp_path: Path
) -> None:
    with start(camera, tmp_path, "--set", "trigger.refresh_s=1", *QUICK) as run:
        run.wait_for(shows_objects)
        first = run.reasoner()
        first.kill()
        run.until(lambda: {child.pid for child in run.reasoners()} - {first.pid})
        killed_at = run.last
        answered = run.wait_for(lambda record: (record["grounded_frame"] or 0) > killed_at)
        assert shows_objects(answered)
        assert "the fast reasoning process" in run.told
        assert {record["epoch"] for record in run.records()} == {0}
        check_end(run)


def test_masks_go_on_without_a_reasoner_that_dies_again_and_again(
    camera: CameraProcess, tmp_path: Path
) -> None:
    with start(camera, tmp_path, *QUICK) as run:
        run.wait_for(shows_objects)

        def gave_up() -> bool:
            for reasoner in run.reasoners():
                reasoner.kill()
            return "masks go on without new groundings" in run.told

        run.until(gave_up)
        assert shows_objects(run.goes_on())
        check_end(run)


def test_a_reasoner_that_stands_still_costs_no_frame(camera: CameraProcess, tmp_path: Path) -> None:
    words = ("--set", "reasoning.deadline_s=2", "--set", "trigger.refresh_s=1", *QUICK)
    with start(camera, tmp_path, *words) as run:
        run.wait_for(shows_objects)
        run.reasoner().suspend()
        run.until(lambda: "did not answer within 2 s" in run.told)
        after = run.goes_on()["frame"]
        run.wait_for(lambda record: (record["grounded_frame"] or 0) > after)
        check_end(run)


def test_a_killed_run_leaves_readable_files_and_no_process(
    camera: CameraProcess, tmp_path: Path
) -> None:
    with start(camera, tmp_path) as run:
        run.wait_for(shows_objects)
        run.goes_on(50)  # so that the overlay has more than its first piece
        reasoner = run.reasoner()
        assert run.end(signal.SIGKILL) == -signal.SIGKILL
    psutil.wait_procs([reasoner], PATIENCE_S)
    assert not reasoner.is_running() or reasoner.status() == psutil.STATUS_ZOMBIE
    killed = run.records()
    check_breaks(killed)
    assert [told for told in broken_files(run.output) if "summary.json" not in told] == []

    with start(camera, tmp_path, "--overwrite") as again:
        again.until(lambda: again.records()[:1] not in ([], killed[:1]))
        again.wait_for(shows_objects)
        check_end(again)


@pytest.mark.parametrize("seconds", [1.0, 4.0])
def test_a_run_that_stood_still_goes_on(
    camera: CameraProcess, tmp_path: Path, seconds: float
) -> None:
    """A laptop that was closed, a container that was paused."""
    with start(camera, tmp_path) as run:
        run.wait_for(shows_objects)
        stood_at = run.last
        run.process.send_signal(signal.SIGSTOP)
        with pytest.raises(psutil.TimeoutExpired):
            psutil.Process(run.process.pid).wait(seconds)
        run.process.send_signal(signal.SIGCONT)
        run.wait_for(shows_objects, after=stood_at + 10)
        check_end(run)
