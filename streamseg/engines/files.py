"""Files that appear whole or not at all, and a lock between processes. Knows no engines."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from streamseg.errors import OutputError

_LOG = logging.getLogger(__name__)
_UNFINISHED = ".part"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved onto it when the block ends well, else deleted.

    Raises:
        OutputError: It cannot be written: no folder, no rights, no space.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(_UNFINISHED, f".{path.name}.", path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        _to_disk(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write all of it or nothing; see `whole_file`."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Within the block no other process, and no other thread, holds the lock at `path`.

    The system releases it when its holder dies. The empty file stays.

    Raises:
        OutputError: The lock file cannot be made, or its file system has no locks.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise cannot_write(path, error) from None
    try:
        _lock(handle, path)
        yield
    finally:
        os.close(handle)


def sweep(path: Path) -> None:
    """Remove what writers of `path` left that were killed; for whoever holds its lock."""
    for left in path.parent.glob(f".{path.name}.*{_UNFINISHED}"):
        with suppress(OSError):
            left.unlink()


def cannot_write(path: Path, error: OSError) -> OutputError:
    """The error for people: which file, why, and what to do."""
    what = "free some space" if error.errno in _FULL else "choose a folder that can be written"
    return OutputError(f"cannot write {path}: {error.strerror or error}; {what}")


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _LOG.info("waiting for another process that holds %s", path)
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:  # a file system without locks
        raise cannot_write(path, error) from None


def _to_disk(path: Path) -> None:
    """Wait until the bytes are on the disk: a rename may otherwise outlive them."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
