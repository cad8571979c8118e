"""Sinks: where results go, behind one small protocol; each runs in a thread of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from streamseg.types import FrameResult, SourceInfo


class Sink(Protocol):
    """Writes results somewhere. Called from one thread: open, write …, close."""

    @property
    def name(self) -> str:
        """Short, for counters and messages."""

    def open(self, info: SourceInfo, query: str) -> None:
        """Get ready; raise OutputError before the first frame if it cannot work."""

    def write(self, result: FrameResult) -> None:
        """Take one result; raising disables this sink and no other."""

    def close(self, summary: Mapping[str, Any]) -> None:
        """Finish: what was written must be readable. Also called after an error or Ctrl-C."""
