"""A small JSON file from anywhere, read at a cost that it cannot drive up; knows no contents."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any, NoReturn

MAX_BYTES = 2 * 1024 * 1024


class JsonFileError(Exception):
    """It cannot be read, or is no JSON; the message is one line and does not name the file."""


def read_json(path: Path) -> Any:
    """The file's value; its numbers are finite.

    Raises:
        FileNotFoundError: There is none.
        JsonFileError: It is no file, too large, too deep, or no JSON.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise JsonFileError("expected a file, got something else")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise JsonFileError(f"expected at most {MAX_BYTES} bytes, got {status.st_size}")
        return json.loads(content.decode("utf-8"), parse_constant=_refuse)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise JsonFileError(error.strerror or str(error)) from None
    except ValueError as error:
        raise JsonFileError(f"it is no JSON: {' '.join(str(error).split())[:200]}") from None
    except RecursionError:
        raise JsonFileError("it is nested too deeply") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")
