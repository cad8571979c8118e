"""Which texts no file system takes for a path, found out before one is asked."""

from __future__ import annotations

import os
from pathlib import Path

from streamseg.masking import legible

_MOST_BYTES, _MOST_NAME_BYTES = 4096, 255
"""Linux's PATH_MAX and NAME_MAX; others have no more."""


def trouble_with_path(text: str | Path) -> str:
    """Why `text` can be no path: empty, NUL, over-long, or the home of nobody; "" where it can."""
    text = os.fspath(text)
    if not text:
        return "expected a path, got an empty one"
    shown = legible(text)
    if "\0" in text:
        return f"expected a path, got one with a NUL character: {shown}"
    names = [len(os.fsencode(name)) for name in text.split(os.sep)] if _encodes(text) else None
    if names is None:
        return f"expected a path, got one that is not valid text: {shown}"
    if len(os.fsencode(text)) >= _MOST_BYTES or max(names) > _MOST_NAME_BYTES:
        return (
            f"expected a path of less than {_MOST_BYTES} bytes with names of at most "
            f"{_MOST_NAME_BYTES}, got {len(os.fsencode(text))} with one of {max(names)}: {shown}"
        )
    try:
        Path(text).expanduser()
    except RuntimeError:
        return f"expected a path, got one in a home that is not here: {shown}"
    return ""


def _encodes(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True
