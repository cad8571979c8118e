"""Writing that is whole or not at all, and the words for what and why where it fails."""

from __future__ import annotations

from contextlib import suppress
from io import FileIO
from pathlib import Path


def write_whole(file: FileIO, data: bytes) -> None:
    """Write all of `data` or, where that fails, nothing: what went out is cut off again.

    A raw file may take less at a time, such as near a full disk.
    """
    before, view = file.tell(), memoryview(data)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError:
        with suppress(OSError):
            file.truncate(before)
        raise


def reason_of(error: BaseException) -> str:
    """What went wrong: the operating system's words without the path it repeats, or the error's
    kind and words."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"{type(error).__name__}: {error}"


def as_text(path: Path) -> str:
    """`path` for people: bytes that are no text, and what would steer a terminal, show as "�"."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(path))
