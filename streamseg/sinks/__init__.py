"""Sinks: where results go, behind one small protocol; each runs in a thread of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from streamseg.config import SinksConfig
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


def build(config: SinksConfig, output: Path) -> list[Sink]:
    """Make the sinks that the config names, writing into the folder `output`.

    Raises:
        OutputError: The folder cannot be made or written.
    """
    from streamseg.sinks import folder
    from streamseg.sinks.images import ImagesSink
    from streamseg.sinks.masks import MasksSink
    from streamseg.sinks.summary import SummarySink
    from streamseg.sinks.video import VideoSink

    folder.prepare(output)
    sinks: list[Sink] = [SummarySink(output)]
    if config.masks:
        sinks.append(MasksSink(output))
    if config.overlay:
        sinks.append(VideoSink(output, config))
    if config.images:
        sinks.append(ImagesSink(output))
    return sinks
