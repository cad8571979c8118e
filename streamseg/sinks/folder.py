"""The output folder: made, and tried for writing, before the first frame."""

from __future__ import annotations

import tempfile
from pathlib import Path

from streamseg.errors import OutputError


def prepare(folder: Path) -> Path:
    """Make `folder` and its parents, and check with a probe file that it can be written.

    Raises:
        OutputError: It cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write to the output folder {folder} ({reason_of(error)}): give another one"
        ) from None
    return folder


def reason_of(error: OSError) -> str:
    """What the operating system says, without the path it repeats."""
    return error.strerror or str(error)
