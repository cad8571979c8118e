"""One run at a time in a folder: a lock of the operating system, which ends with its process.

The lock lies on the folder itself, so that it leaves no file behind. Network file systems that lock
only files get one, `.streamseg.lock`, which may stay. Where nothing can be locked the run goes
on: files are made anew and never over one that is there, so the second run still fails.
"""

from __future__ import annotations

import fcntl
import os

from streamseg.errors import OutputError

LOCK_FILE = ".streamseg.lock"


def lock(folder: int, path: object) -> int | None:
    """Lock the open `folder`, which messages call `path`.

    Returns:
        A further descriptor to keep open, None where the folder's own is enough.

    Raises:
        OutputError: Another run holds it.
    """
    try:
        _lock(folder, path)
    except OSError:
        return _lock_file(folder, path)
    return None


def _lock_file(folder: int, path: object) -> int | None:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        file = os.open(LOCK_FILE, flags, 0o666, dir_fd=folder)
    except OSError:
        return None
    try:
        _lock(file, path)
    except OSError:
        os.close(file)
        return None
    except OutputError:
        os.close(file)
        raise
    return file


def _lock(descriptor: int, path: object) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(
            f"another run is writing to {path}: give another folder, or wait for its end"
        ) from None
