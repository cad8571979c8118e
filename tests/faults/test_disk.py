"""A disk that another program fills in the middle of a live run."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_run import PATIENCE_S, LiveRun, check_breaks, shows_objects

from streamseg.benchmarks.faults.proxy import FaultyProxy

FULL = "No space left on device"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", os.fspath(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"mounting a small disk is not permitted: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", os.fspath(folder)], check=True)


def fill(path: Path) -> None:
    """Take all the room that there is, to the last page."""
    with path.open("wb", 0) as filler, pytest.raises(OSError, match=FULL):
        filler.writelines(itertools.repeat(bytes(4096)))


def test_a_disk_that_fills_up_while_the_camera_is_away(
    proxy: FaultyProxy, small_disk: Path
) -> None:
    with LiveRun(f"tcp://127.0.0.1:{proxy.port}", "every pink thing", small_disk) as run:
        run.wait_for(shows_objects)
        proxy.refuse()
        run.until(lambda: "connecting again" in run.told)
        fill(small_disk / "filler")
        last = run.last
        proxy.come_back()
        assert run.process.wait(PATIENCE_S) == 1
        (small_disk / "filler").unlink()
        records = run.records()
        check_breaks(records)
        assert records[-1]["frame"] >= last
        assert (run.output / "masks.jsonl").read_bytes().endswith(b"\n")
        summary = json.loads((run.output / "summary.json").read_text("utf-8"))
        assert summary["sinks"]["masks"]["error"] == FULL
