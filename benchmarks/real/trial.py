"""Runs one sentence over its clip through the public API, and scores it frame by frame."""

from __future__ import annotations

import signal
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import cv2

from streamseg import StreamSegmenter
from streamseg.benchmarks.real import sheets
from streamseg.config import Config
from streamseg.errors import StreamSegError, UsageError
from streamseg.evaluation import real, truths
from streamseg.evaluation.queries import Sentence
from streamseg.evaluation.real import FrameScore, MaskScore, SentenceScore, Shown
from streamseg.types import FrameResult, Image, Mask


@dataclass(frozen=True)
class Task:
    """One sentence, the file of its clip, and the clip's files of true masks.

    Attributes:
        strip: Where to draw its row of the contact sheet, None for nowhere.
    """

    position: int
    sentence: Sentence
    clip: Path
    truths: tuple[Path, ...] = ()
    strip: Path | None = None


class Bench:
    """One segmenter, its models loaded once, that runs task after task."""

    def __init__(self, config: Config) -> None:
        self._segmenter = StreamSegmenter(config)

    def run(self, task: Task) -> SentenceScore:
        """Run one sentence. A fault of the clip or of the run is told in the row."""
        row = _blank(task)
        try:
            watched = _Watched(task)
            started = perf_counter()
            with closing(self._results(task, watched.frames_needed)) as results:
                for result in results:
                    watched.see(result)
            wall_s = perf_counter() - started
            watched.check_seen()
        except StreamSegError as error:
            return replace(row, error=str(error))
        if task.strip is not None:
            sheets.write(task.strip, sheets.strip(task.sentence, watched.panels))
        return watched.score(row, wall_s, self._segmenter.summary()["groundings"])

    def _results(self, task: Task, frames: int | None) -> Generator[FrameResult, None, None]:
        yield from self._segmenter.run(str(task.clip), task.sentence.query, max_frames=frames)


def _blank(task: Task) -> SentenceScore:
    """The row of a sentence that has not run yet."""
    sentence = task.sentence
    there_first = bool(sentence.frames[min(sentence.frames)])
    return SentenceScore(
        task.position, sentence.clip, sentence.query, sentence.kind, sentence.absent, there_first
    )


@dataclass
class _Watched:
    """What is kept of a run while it lasts."""

    task: Task
    frames: list[FrameScore] = field(default_factory=list)
    masks: list[MaskScore] = field(default_factory=list)
    panels: list[Image] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    first_mask: int | None = None
    tracking: int = 0
    uncertain: int = 0

    def __post_init__(self) -> None:
        self.true_masks, self.truth = true_masks(self.task)

    @property
    def frames_needed(self) -> int | None:
        """After which the run may end; None where an invention on any frame counts."""
        sentence = self.task.sentence
        return None if sentence.absent else 1 + max((*sentence.frames, *self.true_masks))

    def see(self, result: FrameResult) -> None:
        """Score one frame, if there is anything to score it against."""
        index, objects = result.frame.index, real.shown(result.masks)
        self.latencies_ms.append(result.timings_ms["latency"])
        believed = bool(real.tracking(objects))
        self.tracking += believed
        self.uncertain += bool(objects) and not believed
        if objects and self.first_mask is None:
            self.first_mask = index
        truth = self.task.sentence.told.get(index)
        if truth is not None:
            self.frames.append(real.score_frame(index, truth, objects))
        if index in self.true_masks:
            self.masks.append(self._held(index, objects))
        if self.task.strip is not None and index in self.task.sentence.frames:
            score = self.frames[-1] if truth is not None else None
            self.panels.append(sheets.panel(result.frame, objects, truth, score))

    def _held(self, index: int, objects: Sequence[Shown]) -> MaskScore:
        true = self.true_masks[index]
        if objects and objects[0].mask.shape != true.shape:
            height, width = objects[0].mask.shape
            raise UsageError(
                f"{self.truth}: expected masks of the clip's size, {width}x{height}, "
                f"got {true.shape[1]}x{true.shape[0]}"
            )
        return real.score_mask(index, true, objects)

    def check_seen(self) -> None:
        """
        Raises:
            UsageError: A frame with true boxes lies behind the clip's end.
        """
        missed = set(self.task.sentence.told) - {frame.frame for frame in self.frames}
        if missed:
            raise UsageError(
                f"{self.task.clip.name} has {len(self.latencies_ms)} frames: "
                f"expected no true boxes on frame {min(missed)}"
            )

    def score(
        self, row: SentenceScore, wall_s: float, groundings: Sequence[Mapping[str, Any]]
    ) -> SentenceScore:
        """The row, filled in."""
        ran = len(self.latencies_ms)
        first = groundings[0] if groundings else {}
        return replace(
            row,
            frames=tuple(self.frames),
            masks=tuple(self.masks),
            truth=self.truth,
            frames_run=ran,
            first_mask=self.first_mask,
            frames_tracking=self.tracking,
            frames_uncertain=self.uncertain,
            frame_ms=median(self.latencies_ms),
            wall_ms=1e3 * wall_s / ran,
            answer=str(first.get("reasoning") or first.get("error") or ""),
            unanswered=sum("error" in each for each in groundings),
        )


def true_masks(task: Task) -> tuple[dict[int, Mask], str | None]:
    """The true masks of what the sentence is about, by frame, and which file they are from.

    Raises:
        UsageError: A file that is none of true masks, or a name that is none of the clip's files.
    """
    named = task.sentence.truth
    if named is False:
        return {}, None
    if named is None:
        for path in task.truths:
            truth = truths.read(path)
            ids = truths.meant(task.sentence.told, truth)
            if ids:
                return truth.masks(ids), path.name
        return {}, None
    name, _, labels = named.partition(":")
    truth = truths.read(task.clip.parent / name)
    ids = tuple(int(label) for label in labels.split(",")) if labels else truth.ids()
    return truth.masks(ids), name


_bench: Bench | None = None
"""A worker process's own."""


def start_worker(config: Config, threads: int) -> None:
    """Load the models in a worker process; Ctrl-C is the parent's to answer."""
    global _bench
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(threads)
    _bench = Bench(config)


def run_in_worker(task: Task) -> SentenceScore:
    """Run a task in a worker process."""
    assert _bench is not None
    return _bench.run(task)
