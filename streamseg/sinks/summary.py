"""summary.json: what the run was, written once at its end."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import FileIO
from typing import Any

from streamseg.sinks import Role
from streamseg.sinks.output import results
from streamseg.sinks.output.files import write_whole
from streamseg.sinks.output.folder import OutputFolder
from streamseg.types import FrameResult, SourceInfo

_RESERVED_BYTES = 32_768
"""Room kept from the first result on, for a summary that says how the disk filled up: one with 60
groundings takes 25 kB."""


class SummarySink:
    """Writes the summary that `close` gets, under its own name only once it is complete.

    A run without a result leaves none.
    """

    name = "summary"
    role = Role.SUMMARY

    def __init__(self, folder: OutputFolder) -> None:
        self._folder = folder
        self._draft: FileIO | None = None

    def check(self, reads: Sequence[str]) -> None:
        self._folder.claim(self, reads)

    def open(self, info: SourceInfo, query: str) -> None:
        self._folder.claim(self)

    def write(self, result: FrameResult) -> None:
        """A summary is of the whole run: single results add nothing to it."""
        if self._draft is None:
            self._draft = self._folder.create(results.SUMMARY_DRAFT)
            with suppress(OSError, AttributeError):  # macOS has no such call
                os.posix_fallocate(self._draft.fileno(), 0, _RESERVED_BYTES)

    def close(self, summary: Mapping[str, Any]) -> None:
        draft, self._draft = self._draft, None
        try:
            if draft is not None:
                self._finish(draft, summary)
        finally:
            self._folder.release(self)

    def _finish(self, draft: FileIO, summary: Mapping[str, Any]) -> None:
        try:
            with draft:
                write_whole(draft, as_bytes(summary))
                draft.truncate()
            self._folder.rename(results.SUMMARY_DRAFT, results.SUMMARY)
        except OSError:
            self._folder.remove(results.SUMMARY_DRAFT)
            raise


def as_bytes(summary: Mapping[str, Any]) -> bytes:
    """JSON for people too; what is no text, as in a file name of odd bytes, is escaped."""
    text = json.dumps(summary, indent=2, ensure_ascii=False, default=str)
    return text.encode("utf-8", "backslashreplace") + b"\n"
