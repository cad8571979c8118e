"""Catch-up: an answer about a past frame is cut out there and replayed through the ring to now.

The replay runs on a lane of its own, in a thread of its own on a real clock, so that the stream
keeps its cadence meanwhile; on a virtual clock it runs in place and takes no time. It does not
know what cuts or carries the masks.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from time import perf_counter

from streamseg.config import CatchupConfig
from streamseg.propagation import Propagator
from streamseg.propagation.belief import words_fit
from streamseg.propagation.tracks import Candidate
from streamseg.types import Evidence, Frame, Grounding, Propagated, Segmented, Target, TriggerReason

Segment = Callable[[Frame, Sequence[Target]], list[Segmented]]
FramesFrom = Callable[[int], list[Frame]]

_GUESS_STEP_S = 0.02
"""Cost of a replay step before one was measured."""


@dataclass(slots=True, eq=False)
class Job:
    """An answer on its way to the present.

    Attributes:
        grounding: The answer.
        frame: The keyframe it is about.
        query_id: The query it answers; None for a target pointed at by hand.
        reason: Why it was asked for; None for a target pointed at by hand.
        lane: A propagator that holds the objects found, None until seeded or when none was cut.
        position: The frame that the lane stands on.
        output: The lane's masks there.
        objects: Lane id to the target it was cut from.
        cuts: Lane id to how well that was cut, in [0, 1].
        steps: Replay steps taken.
        error: What broke it, if anything did.
    """

    grounding: Grounding
    frame: Frame
    query_id: int | None
    reason: TriggerReason | None
    lane: Propagator | None = None
    position: Frame | None = None
    output: Propagated | None = None
    objects: dict[int, Target] = field(default_factory=dict)
    cuts: dict[int, float] = field(default_factory=dict)
    steps: int = 0
    segment_s: float = 0.0
    replay_s: float = 0.0
    error: Exception | None = None

    def candidates(self, least_score: float) -> list[Candidate]:
        """The objects that the lane still sees where it stands."""
        if self.output is None:
            return []
        return [
            Candidate(
                number,
                self.output.labels == number,
                target.label,
                Evidence(self._words(target), self.cuts.get(number, 1.0), score),
            )
            for number, target in self.objects.items()
            if (score := self.output.scores.get(number, 0.0)) >= least_score
        ]

    def _words(self, target: Target) -> float:
        return 1.0 if self.query_id is None else words_fit(self.grounding, target)

    def advance(self, frame: Frame) -> None:
        """Take the lane to `frame`."""
        if self.lane is not None:
            self.output = self.lane.step(frame)
            self.position = frame
            self.steps += 1


class CatchUp:
    """Brings jobs to the present, one after the other."""

    def __init__(
        self,
        config: CatchupConfig,
        segment: Segment,
        spawn: Callable[[], Propagator],
        frames_from: FramesFrom,
        *,
        threaded: bool,
    ) -> None:
        """
        Args:
            segment: Cuts targets out of a frame.
            spawn: Makes an empty lane.
            frames_from: The ring's frames from an index on; empty when that frame has left.
                Called from the replaying thread.
            threaded: Replay beside the loop (a real clock) or in place (a virtual one).
        """
        self._config = config
        self._segment = segment
        self._spawn = spawn
        self._frames_from = frames_from
        self._step_s = _GUESS_STEP_S
        self._done: deque[Job] = deque()
        self._inbox: SimpleQueue[Job | None] = SimpleQueue()
        self._pending = 0
        self._closing = False
        self._thread: threading.Thread | None = None
        if threaded:
            self._thread = threading.Thread(target=self._work, name="catch-up", daemon=True)
            self._thread.start()

    @property
    def pending(self) -> int:
        """Jobs started and not yet collected."""
        return self._pending

    def start(self, job: Job) -> None:
        """Begin; on a virtual clock, also finish."""
        self._pending += 1
        if self._thread is not None:
            self._inbox.put(job)
        else:
            self._run(job)

    def collect(self) -> Job | None:
        """A job that stands on the present or a little short of it, None when there is none."""
        if not self._done:
            return None
        self._pending -= 1
        return self._done.popleft()

    def close(self) -> None:
        """Let the thread end; what is under way is abandoned."""
        self._closing = True
        if self._thread is not None:
            self._inbox.put(None)
            self._thread.join(timeout=2.0)

    def _work(self) -> None:
        while (job := self._inbox.get()) is not None and not self._closing:
            self._run(job)

    def _run(self, job: Job) -> None:
        deadline_s = perf_counter() + self._config.converge_s
        try:
            self._seed(job)
            self._replay(job, deadline_s)
        except Exception as error:  # noqa: BLE001 - a broken answer must not break the stream
            job.error = error
        self._done.append(job)

    def _seed(self, job: Job) -> None:
        """Cut the targets out of the keyframe and start a lane on it."""
        if not job.grounding.targets:
            return
        started = perf_counter()
        cuts = self._segment(job.frame, job.grounding.targets)
        job.segment_s = perf_counter() - started
        pairs = zip(job.grounding.targets, cuts, strict=True)
        found = [(target, cut) for target, cut in pairs if cut.score > 0 and cut.mask.any()]
        if not found:
            return
        job.objects = {number: target for number, (target, _) in enumerate(found, start=1)}
        job.cuts = {number: cut.score for number, (_, cut) in enumerate(found, start=1)}
        job.lane = self._spawn()
        seeds = {number: cut.mask for number, (_, cut) in enumerate(found, start=1)}
        job.output = job.lane.step(job.frame, seeds)
        job.position = job.frame

    def _replay(self, job: Job, deadline_s: float) -> None:
        """Step the lane through the ring until nothing newer is there, in strides if it must."""
        started = perf_counter()
        while job.position is not None and not self._closing:
            ahead = self._frames_from(job.position.index)[1:]
            if not ahead:
                break
            stride = self._stride(len(ahead), deadline_s - perf_counter())
            step_started = perf_counter()
            job.advance(ahead[min(stride, len(ahead)) - 1])
            self._step_s += 0.2 * (perf_counter() - step_started - self._step_s)
        job.replay_s = perf_counter() - started

    def _stride(self, behind: int, left_s: float) -> int:
        """Frames to take in one step so that the present is reached in the time left."""
        if self._thread is None:
            return 1
        needed = behind * self._step_s / max(left_s, 1e-3)
        return min(self._config.max_stride, max(1, math.ceil(needed)))
