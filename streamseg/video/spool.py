"""Masks of a video kept on disk until they can be written in time order, and to go on from.

A line of JSON for each frame, in the order in which they were made; masks as COCO's compressed
runs. Knows nothing of stages but how runs are written (`sinks.rle`).
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from array import array
from collections.abc import Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from streamseg.errors import OutputError, UsageError
from streamseg.sinks import rle
from streamseg.types import Labels, Propagated

NAME = "segment.resume"
"""Of the file in an output folder while a run is unfinished."""

_NOWHERE = -1
_LONGEST_LINE = 1 << 26
_VERSION = 2
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_AGAIN = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


class MaskSpool:
    """Takes and gives masks by frame number, and what the run began with.

    Attributes:
        start: What the run began with, plain values; None until it is known.
    """

    def __init__(self, file: FileIO, path: Path | None) -> None:
        self._file = file
        self._path = path
        self._end = 0
        self._places: dict[int, int] = {}
        self._offsets = array("q")
        self.start: dict[str, Any] | None = None

    @classmethod
    def unnamed(cls) -> MaskSpool:
        """One that goes with the process."""
        with tempfile.TemporaryFile(buffering=0) as file:
            return cls(FileIO(os.dup(file.fileno()), "r+"), None)

    @classmethod
    def begin(cls, path: Path, run: Mapping[str, Any], *, replace: bool) -> MaskSpool:
        """A new file at `path` for a run that `run` describes.

        Args:
            replace: Take the place of an unfinished run's.

        Raises:
            OutputError: It cannot be made, or an unfinished run's is there.
        """
        try:
            if replace:
                cls._check_unlocked(path)
                path.unlink(missing_ok=True)
            file = FileIO(os.open(path, _NEW, 0o666), "r+")
        except FileExistsError:
            raise OutputError(
                f"{path.parent} holds an unfinished run: give --resume to go on with it, or "
                "--overwrite to begin anew"
            ) from None
        except OSError as error:
            raise OutputError(f"cannot write {path} ({error.strerror}): give another") from None
        spool = cls(file, path)
        spool._lock()
        spool._append({"streamseg": _VERSION, "run": dict(run)})
        return spool

    @classmethod
    def again(cls, path: Path, run: Mapping[str, Any]) -> MaskSpool:
        """Go on with the file at `path`; what was cut off at its end is forgotten.

        Raises:
            UsageError: It belongs to a run of something else.
            OutputError: It cannot be read, another process writes to it, or it is none of ours.
        """
        try:
            file = FileIO(os.open(path, _AGAIN), "r+")
        except OSError as error:
            raise OutputError(f"cannot go on with {path} ({error.strerror})") from None
        spool = cls(file, path)
        spool._lock()
        try:
            spool._read_all(run)
        except BaseException:
            file.close()
            raise
        return spool

    def begun_with(self, start: Mapping[str, Any]) -> None:
        """Note what the run began with."""
        self.start = dict(start)
        self._append({"start": self.start})

    def put(self, at: int, propagated: Propagated) -> None:
        """Keep the masks of frame `at`; (H, W) labels and scores.

        Raises:
            OutputError: The disk is full.
        """
        ids = [key for key in propagated.scores if key]
        objects = {key: rle.encode(propagated.labels, key) for key in ids}
        self._places[at] = len(self._offsets)
        self._offsets.append(self._end)
        self._append(
            {
                "frame": at,
                "scores": {str(key): round(float(propagated.scores[key]), 4) for key in ids},
                "masks": {str(key): runs for key, runs in objects.items() if runs is not None},
            }
        )

    def __contains__(self, at: int) -> bool:
        return at in self._places

    def get(self, at: int, height: int, width: int) -> Propagated:
        """The masks of frame `at`, which is so large.

        Raises:
            OutputError: They are damaged.
        """
        line = self._line(self._offsets[self._places[at]])
        labels: Labels = np.zeros((height, width), np.uint16)
        try:
            record = json.loads(line)
            for key, runs in record["masks"].items():
                if list(runs["size"]) != [height, width]:
                    raise ValueError(f"of size {runs['size']}")
                labels[rle.decode(runs)] = int(key)
            scores = {int(key): float(score) for key, score in record["scores"].items()}
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
            raise OutputError(
                f"{self._name}: the masks of frame {at} are damaged ({error}): begin anew"
            ) from None
        return Propagated(labels, scores)

    def close(self, *, done: bool) -> None:
        """Let go of the file; once all is `done` it goes too. May be called twice."""
        if done and self._path is not None and not self._file.closed:
            self._path.unlink(missing_ok=True)
        self._file.close()

    @property
    def _name(self) -> str:
        return "the masks kept" if self._path is None else str(self._path)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise OutputError(f"another run is writing to {self._name}: wait for its end") from None
        except OSError:
            return  # a file system without locks

    @classmethod
    def _check_unlocked(cls, path: Path) -> None:
        with suppress(OSError):
            spool = cls(FileIO(os.open(path, _AGAIN), "r+"), path)
            spool._lock()
            spool.close(done=False)

    def _append(self, record: Mapping[str, Any]) -> None:
        line = json.dumps(record, separators=(",", ":")).encode("ascii") + b"\n"
        try:
            view = memoryview(line)
            at = self._end
            while view:
                written = os.pwrite(self._file.fileno(), view, at)
                view, at = view[written:], at + written
        except OSError as error:
            raise OutputError(f"cannot keep masks in {self._name}: {error.strerror}") from None
        self._end += len(line)

    def _line(self, offset: int) -> bytes:
        self._file.seek(offset)
        line = b""
        while not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
            more = self._file.readline(_LONGEST_LINE)
            if not more:
                break
            line += more
        return line

    def _read_all(self, run: Mapping[str, Any]) -> None:
        """Learn what is there, line by line, up to the first that is not whole."""
        with open(self._file.fileno(), "rb", closefd=False) as lines:
            lines.seek(0)
            for number in range(1 << 62):
                line = lines.readline(_LONGEST_LINE)
                record = _record_of(line)
                if record is None:
                    break
                if number == 0:
                    self._check(record, run)
                elif isinstance(record.get("start"), dict):
                    self.start = record["start"]
                elif isinstance(record.get("frame"), int):
                    self._places[record["frame"]] = len(self._offsets)
                    self._offsets.append(self._end)
                self._end += len(line)
        if self._end == 0:
            raise OutputError(f"{self._name} is not an unfinished run's: give --overwrite")
        self._file.truncate(self._end)

    def _check(self, record: Mapping[str, Any], run: Mapping[str, Any]) -> None:
        if record.get("streamseg") != _VERSION or not isinstance(record.get("run"), dict):
            raise OutputError(f"{self._name} is not an unfinished run's: give --overwrite")
        there: Mapping[str, Any] = record["run"]
        plain = json.loads(json.dumps(dict(run)))
        other = sorted(key for key in {*there, *plain} if there.get(key) != plain.get(key))
        if other:
            raise UsageError(
                f"{self._name} is of a run with another {' and '.join(other)}: give the same to go "
                "on with it, or --overwrite to begin anew"
            )


def _record_of(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
