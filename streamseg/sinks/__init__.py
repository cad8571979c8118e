"""Sinks: where results go, behind one small protocol; each runs in a thread of its own."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from streamseg.config import SinksConfig
from streamseg.types import FrameResult, SourceInfo


class Refused(Exception):  # noqa: N818 - one result less is not an error of the sink
    """Raised by `Sink.write`: this one result cannot be written, and the next ones may."""


class Role(Enum):
    """What a sink is to the run that it serves."""

    RESULTS = "results"
    """Keeps every result: its failure is the run's, and when all of these have failed it ends."""
    SUMMARY = "summary"
    """Writes once, after all others have finished: its failure is the run's."""
    ASIDE = "aside"
    """Its failure is told of and changes nothing. What a sink is that does not say."""


class Saved(NamedTuple):
    """What can be read back from what a sink wrote.

    Attributes:
        frames: How many.
        last: Index of the last of them, None without any.
    """

    frames: int = 0
    last: int | None = None


class Sink(Protocol):
    """Writes results somewhere. Called from one thread: open, write …, close.

    A sink may besides have
    - `role`, a `Role`;
    - `check(reads)`, called for all sinks before any is opened, with the files that the run
      reads: refuse here, by OutputError, and change nothing yet. `close` follows, also unopened;
    - `saved`, a `Saved`, where results are held back: otherwise what `write` took is saved.
    """

    @property
    def name(self) -> str:
        """Short, for counters and messages."""

    def open(self, info: SourceInfo, query: str) -> None:
        """Get ready; raise OutputError before the first frame if it cannot work."""

    def write(self, result: FrameResult) -> None:
        """Take one result. `Refused` costs this result; anything else raised ends this sink and
        no other."""

    def close(self, summary: Mapping[str, Any]) -> None:
        """Finish: what was written must be readable. Also called after an error or Ctrl-C."""


def build(config: SinksConfig, output: Path | str, overwrite: bool = False) -> list[Sink]:
    """Make the sinks that the config names, writing into the folder `output`.

    Nothing is made or changed yet: the folder is made and locked when a run opens the sinks, and
    an earlier run's results go with the first new one. A run without a frame changes nothing.

    Args:
        overwrite: Replace, as a whole, the results of an earlier run: masks.jsonl, overlay.mp4,
            summary.json and masks/000012.png. Anything else in the folder stays.

    Raises:
        OutputError: The folder cannot be made or written, another run is writing to it, or it
            holds an earlier run's results and `overwrite` is not set.
    """
    from streamseg.sinks.images import ImagesSink
    from streamseg.sinks.masks import MasksSink
    from streamseg.sinks.output.folder import OutputFolder
    from streamseg.sinks.summary import SummarySink
    from streamseg.sinks.video import VideoSink

    folder = OutputFolder(output, overwrite)
    folder.examine()
    sinks: list[Sink] = [SummarySink(folder)]
    if config.masks:
        sinks.append(MasksSink(folder))
    if config.overlay:
        sinks.append(VideoSink(folder, config))
    if config.images:
        sinks.append(ImagesSink(folder))
    return sinks
