"""`streamseg run` on a live source as a process of its own: watched through what it writes, sent
signals, and ended whatever it does.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from streamseg.sinks.masks import read_masks

PATIENCE_S = 90.0
"""After which something counts as hanging: far beyond what a busy machine needs."""
PROGRAM = (sys.executable, "-c", "from streamseg.cli import main; main()")
_REASONER = "streamseg.reasoning.worker.main"


class LiveRun:
    """A run that is under way.

    Attributes:
        output: The folder that it writes.
        process: Its process.
    """

    def __init__(self, source: str, query: str, folder: Path, *words: str) -> None:
        """Args:
        words: More of them for the command line, such as `--set source.stall_s=1`.
        """
        self.output = folder / "out"
        self._told = folder / "told.txt"
        with self._told.open("ab") as told:
            self.process = subprocess.Popen(
                [
                    *PROGRAM,
                    "run",
                    "-c",
                    "classical",
                    "-s",
                    source,
                    "-q",
                    query,
                    "-o",
                    os.fspath(self.output),
                    *words,
                ],
                stdout=subprocess.DEVNULL,
                stderr=told,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)

    @property
    def told(self) -> str:
        """What it has said on its standard error so far."""
        return self._told.read_text("utf-8")

    def records(self) -> list[dict[str, Any]]:
        """The results it has written so far."""
        path = self.output / "masks.jsonl"
        return list(read_masks(path)) if path.exists() else []

    def wait_for(self, what: Callable[[dict[str, Any]], bool], after: int = -1) -> dict[str, Any]:
        """Wait for a result that is as wanted, of a frame beyond `after`."""
        found: list[dict[str, Any]] = self.until(
            lambda: [each for each in self.records() if each["frame"] > after and what(each)]
        )
        return found[0]

    def until(self, condition: Callable[[], Any]) -> Any:
        """Wait until something is true of a run that goes on, and return it."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not (value := condition()):
            assert self.process.poll() is None, f"it ended by itself: {self.told}"
            assert time.monotonic() < deadline_s, f"nothing came of it: {self.told}"
            time.sleep(0.1)
        return value

    @property
    def last(self) -> int:
        """Index of the newest frame that it has written."""
        return int(self.records()[-1]["frame"])

    def goes_on(self, frames: int = 10) -> dict[str, Any]:
        """Wait for so many more frames."""
        wanted = self.last + frames
        return self.wait_for(lambda record: record["frame"] >= wanted)

    def reasoners(self) -> list[psutil.Process]:
        """Its reasoning processes: one, or none just after it died."""
        try:
            children = psutil.Process(self.process.pid).children()
            return [child for child in children if _REASONER in child.cmdline()]
        except psutil.Error:
            return []

    def reasoner(self) -> psutil.Process:
        """Wait for its reasoning process."""
        found: list[psutil.Process] = self.until(self.reasoners)
        return found[0]

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


def shows_objects(record: dict[str, Any]) -> bool:
    """Whether a result has masks that are said to be tracking."""
    return bool(record["objects"]) and record["state"] == "tracking"


def check_breaks(records: list[dict[str, Any]]) -> None:
    """Nothing is carried across a break, and frames and epochs only ever grow."""
    for before, after in itertools.pairwise(records):
        assert after["frame"] > before["frame"]
        assert after["epoch"] >= before["epoch"]
        if after["epoch"] > before["epoch"]:
            assert after["objects"] == []
            assert after["state"] != "tracking"
        else:
            assert after["pts_s"] >= before["pts_s"]  # rounded to microseconds
