"""What the command line says when something fails: one line, without the secrets it was given."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from streamseg.errors import UsageError
from streamseg.masking import Masker

_LONGEST = 2000
_URL = re.compile(r"(?<![A-Za-z0-9+.\-])[A-Za-z0-9+.\-]{2,}:[/\\]+.*", re.DOTALL)


class Complaint:
    """Prints an error on stderr, with its traceback where the words ask for --debug.

    Every layer masks what it says; this is the last look at it, by the words that came in.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._debug = "--debug" in words
        self._mask = Masker(*_sources(words))

    def __call__(self, message: str, exit_code: int, where: str = "streamseg") -> int:
        """Say it, and return `exit_code`."""
        with suppress(OSError):  # the terminal may have gone
            if self._debug:
                print(self._mask(traceback.format_exc().rstrip()), file=sys.stderr)
            line = self._mask(" ".join(message.split()))
            print(f"{where}: {_shortened(line)}", file=sys.stderr, flush=True)
        return exit_code

    def usage(self, error: Any) -> int:
        """Say what click found wrong with the words."""
        where = error.ctx.command_path if error.ctx is not None else "streamseg"
        message = f"{_shortened(error.format_message()).rstrip('.')}. Try '{where} --help'."
        return self(message, UsageError.exit_code, where)


def _sources(words: Sequence[str]) -> Iterator[str]:
    """The words that name a source, and all others that could."""
    for before, word in zip(("", *words), words, strict=False):
        if word.startswith("--source="):
            yield word.partition("=")[2]
        elif before in {"--source", "-s"} or word[:4].lower() == "gst:":
            yield word
        elif url := _URL.search(word):
            yield url[0]
        elif word.startswith("-s") and len(word) > 2:
            yield word[2:]


def _shortened(line: str) -> str:
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
