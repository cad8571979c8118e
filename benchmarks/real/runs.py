"""All the sentences of a run: in one process or several, kept as they come, taken up again.

Each finished sentence becomes a line of `sentences.jsonl` in the output folder, under a first line
with the run's settings, so that a run that was broken off goes on where it stood.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from streamseg.benchmarks.real import trial
from streamseg.benchmarks.real.trial import Bench, Task
from streamseg.config import Config
from streamseg.errors import OutputError, StreamSegError, UsageError
from streamseg.evaluation.real import SentenceScore

FILE_NAME = "sentences.jsonl"
_ROW = TypeAdapter(SentenceScore)


def run(tasks: Sequence[Task], config: Config, jobs: int) -> Iterator[SentenceScore]:
    """Run every task; rows come as they are finished.

    Ctrl-C raises KeyboardInterrupt: in one process at once, in several after the rows under way.

    Raises:
        StreamSegError: The config cannot be run here, or a process died.
    """
    if not tasks:
        return
    if jobs == 1 or len(tasks) == 1:
        bench = Bench(config)
        yield from (bench.run(task) for task in tasks)
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    pool = ProcessPoolExecutor(
        min(jobs, len(tasks)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=trial.start_worker,
        initargs=(config, threads),
    )
    try:
        waiting = [pool.submit(trial.run_in_worker, task) for task in tasks]
        yield from (future.result() for future in as_completed(waiting))
    except BrokenProcessPool:
        raise StreamSegError(
            "a process of the run died: see above why; --resume goes on with what is left, "
            "--jobs 1 needs less memory"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


class Kept:
    """The rows of one run in its output folder.

    Args:
        folder: None keeps nothing.
        settings: What two runs must share for their rows to belong together.
        resume: Take up the rows that are there, but for those that failed or were not answered.

    Raises:
        UsageError: The rows there are of other settings.
        OutputError: The folder cannot be written.
    """

    def __init__(self, folder: Path | None, settings: dict[str, Any], resume: bool) -> None:
        self.rows: dict[int, SentenceScore] = {}
        self._path = None if folder is None else folder / FILE_NAME
        if self._path is None:
            return
        if resume and self._path.exists():
            self._take_up(self._path, settings)
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(settings) + "\n", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror}") from None

    def add(self, row: SentenceScore) -> None:
        """Keep a row that is finished."""
        self.rows[row.position] = row
        if self._path is not None:
            with self._path.open("ab") as file:
                file.write(_ROW.dump_json(row) + b"\n")

    def in_order(self) -> list[SentenceScore]:
        """As the list of sentences has them."""
        return [self.rows[position] for position in sorted(self.rows)]

    def _take_up(self, path: Path, settings: dict[str, Any]) -> None:
        whole = path.read_bytes()
        lines = whole[: whole.rfind(b"\n") + 1].splitlines()  # a line cut off is no row
        try:
            found = json.loads(lines[0]) if lines else None
            rows = [_ROW.validate_json(line) for line in lines[1:]]
        except (ValueError, ValidationError):
            raise UsageError(f"{path} is none of ours: choose another --output") from None
        if found != settings:
            raise UsageError(
                f"{path} was made with other settings or another list of sentences: "
                "choose another --output, or leave out --resume to begin anew"
            )
        path.write_bytes(b"\n".join(lines) + b"\n")
        self.rows = {row.position: row for row in rows if not (row.error or row.unanswered)}
