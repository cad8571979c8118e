"""Where a folder cannot be locked a file in it is; where nothing can be, the run goes on."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamseg.errors import OutputError
from streamseg.sinks.output import lock as locking


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """The same folder, opened twice."""
    opened = os.open(tmp_path, os.O_RDONLY), os.open(tmp_path, os.O_RDONLY)
    yield opened
    for descriptor in opened:
        os.close(descriptor)


def test_a_folder_is_locked_without_a_file(folders: tuple[int, int], tmp_path: Path) -> None:
    assert locking.lock(folders[0], tmp_path) is None
    with pytest.raises(OutputError, match="another run is writing to"):
        locking.lock(folders[1], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_locks_files_alone_gets_one(
    folders: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As NFS, which wants a descriptor that may be written to."""
    real = fcntl.flock

    def files_alone(descriptor: int, how: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, "Bad file descriptor")
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", files_alone)
    held = locking.lock(folders[0], tmp_path)
    assert held is not None
    with pytest.raises(OutputError, match="another run is writing to"):
        locking.lock(folders[1], tmp_path)
    os.close(held)
    again = locking.lock(folders[1], tmp_path)
    assert again is not None
    os.close(again)


def test_a_file_system_without_locks_stops_no_run(
    folders: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", never)
    assert locking.lock(folders[0], tmp_path) is None
    assert locking.lock(folders[1], tmp_path) is None
