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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter

from streamseg.config import CatchupConfig
from streamseg.propagation import Propagator
from streamseg.propagation.belief import words_fit
from streamseg.propagation.track import Candidate
from streamseg.referents import Role
from streamseg.types import (
    Evidence,
    Frame,
    Grounding,
    Mask,
    Propagated,
    Segmented,
    Target,
    TriggerReason,
)

Segment = Callable[[Frame, Sequence[Target]], list[Segmented]]
FramesFrom = Callable[[int], list[Frame]]

_AWAITED = (TriggerReason.NEW_QUERY, TriggerReason.NO_TARGET)
"""Reasons for which nothing is shown yet."""
_AGAIN = (TriggerReason.REFRESH, TriggerReason.SHIFT)
CLOSE_S = 2.0
"""Longest wait for a replay that is given up; a cut cannot be broken off."""
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
        considered: It is the deep reasoner's, asked besides the fast one.
        lane: A propagator that holds the objects found, None until seeded or when none was cut.
        position: The frame that the lane stands on.
        output: The lane's masks there.
        objects: Lane id to the target it was cut from.
        roles: Lane id to what that is to the sentence.
        cuts: Lane id to how well that was cut, in [0, 1].
        steps: Replay steps taken.
        error: What broke it, if anything did.
    """

    grounding: Grounding
    frame: Frame
    query_id: int | None
    reason: TriggerReason | None
    considered: bool = False
    lane: Propagator | None = None
    position: Frame | None = None
    output: Propagated | None = None
    objects: dict[int, Target] = field(default_factory=dict)
    roles: dict[int, Role] = field(default_factory=dict)
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
                Evidence(self._words(target), self.cuts.get(number, 1.0), score, self._by_kind),
                self.roles.get(number, Role.MEANT),
            )
            for number, target in self.objects.items()
            if (score := self.output.scores.get(number, 0.0)) >= least_score
        ]

    def _words(self, target: Target) -> float:
        return 1.0 if self.query_id is None else words_fit(self.grounding, target)

    @property
    def _by_kind(self) -> bool:
        """A hand, too, knows what it points at."""
        return self.query_id is None or self.grounding.seen is not None

    @property
    def again(self) -> bool:
        """It was asked for only in case something changed."""
        return self.reason in _AGAIN and not self.considered

    def too_late(self, frame: Frame, query_id: int | None, ring: FramesFrom) -> str | None:
        """Why it is of no use on a frame any more; None where it is.

        Args:
            query_id: The query in force.
            ring: See `CatchUp`.
        """
        if self.frame.epoch != frame.epoch:
            return "answer from before a break"
        if self.query_id is not None and self.query_id != query_id:
            return "answer to an old query"
        if self.position is not None and not ring(self.position.index):
            return "answer whose frame has left the buffer"
        return None

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
        sketch: Segment | None = None,
    ) -> None:
        """
        Args:
            segment: Cuts targets out of a frame.
            spawn: Makes an empty lane.
            frames_from: The ring's frames from an index on; empty when that frame has left.
                Called from the replaying thread.
            threaded: Replay beside the loop (a real clock) or in place (a virtual one).
            sketch: Cuts quickly and less well, for a first mask on a real clock; None where there
                is no quicker way.
        """
        self._config = config
        self._segment = segment
        self._sketch = sketch if threaded else None
        self._spawn = spawn
        self._frames_from = frames_from
        self._step_s = _GUESS_STEP_S
        self._done: deque[Job] = deque()
        self._pending = 0
        self._closing = False
        self._at_work = threading.Lock()
        # An executor's thread is joined before the interpreter ends: one killed inside of OpenCV
        # would take the whole process down with it.
        self._lane = ThreadPoolExecutor(1, "catch-up") if threaded else None

    @property
    def pending(self) -> int:
        """Jobs started and not yet collected."""
        return self._pending

    def start(self, job: Job) -> None:
        """Begin; on a virtual clock, also finish."""
        self._pending += 1
        if self._lane is not None:
            self._lane.submit(self._run, job)
        else:
            self._run(job)

    def collect(self) -> Job | None:
        """A job that stands on the present or a little short of it, None when there is none."""
        if not self._done:
            return None
        self._pending -= 1
        return self._done.popleft()

    def close(self) -> None:
        """Let the thread end; what is under way is abandoned. May be called twice."""
        self._closing = True
        if self._lane is not None:
            self._lane.shutdown(wait=False, cancel_futures=True)
            if self._at_work.acquire(timeout=CLOSE_S):
                self._at_work.release()

    def _run(self, job: Job) -> None:
        with self._at_work:
            if not self._closing:
                self._bring(job)

    def _bring(self, job: Job) -> None:
        deadline_s = perf_counter() + self._config.converge_s
        try:
            way = self._frames_from(job.frame.index)
            if job.grounding.pointed and not way:
                job.position = job.frame  # too late to be used: no cut is worth its time
            else:
                self._seed(job)
                self._replay(job, way[1:], deadline_s)
        except Exception as error:  # noqa: BLE001 - a broken answer must not break the stream
            job.error = error
        self._done.append(job)

    def _seed(self, job: Job) -> None:
        """Cut what is pointed at out of the keyframe and start a lane on it."""
        pointed = job.grounding.pointed
        if not pointed:
            return
        started = perf_counter()
        quickly = self._sketch if job.reason in _AWAITED else None
        cut_out = quickly or self._segment
        cuts = cut_out(job.frame, [target for target, _ in pointed])
        job.segment_s = perf_counter() - started
        seeds: dict[int, Mask] = {}
        for (target, role), cut in zip(pointed, cuts, strict=True):
            if cut.score > 0 and cut.mask.any():
                number = len(seeds) + 1
                seeds[number], job.cuts[number] = cut.mask, cut.score
                job.objects[number], job.roles[number] = target, role
        if not seeds:
            return
        job.lane = self._spawn()
        job.output = job.lane.step(job.frame, seeds)
        job.position = job.frame

    def _replay(self, job: Job, way: list[Frame], deadline_s: float) -> None:
        """Step the lane through the ring until nothing newer is there, in strides if it must.

        Past the deadline it is enough to have reached what was the newest when the step began:
        whoever collects the job takes the last one. Where cores are short, a step takes as long
        as the next frame does to come, and the lane would chase the newest for seconds.

        Args:
            way: The frames after the keyframe before it was cut out. The ring may have let go of
                them meanwhile; they still lead to one that it holds.
        """
        started = perf_counter()
        behind, most = len(way), self._config.max_stride
        while job.position is not None and not self._closing:
            index = job.position.index
            ring = self._frames_from(index)
            way = ring[1:] if ring else [frame for frame in way if frame.index > index]
            left_s = deadline_s - perf_counter()
            landed = bool(ring) and job.steps > 0 and behind == 0
            if not way or (landed and left_s <= 0 and self._lane is not None):
                break
            if job.steps:  # past what came during a step, or the lane would fall behind for ever
                most = max(most, 2 * (len(way) - behind))
            stride = min(len(way), most, self._needed_stride(len(way), left_s))
            behind = len(way) - stride
            self._step(job, way[stride - 1])
        job.replay_s = perf_counter() - started

    def _step(self, job: Job, frame: Frame) -> None:
        started = perf_counter()
        job.advance(frame)
        self._step_s += 0.2 * (perf_counter() - started - self._step_s)

    def _needed_stride(self, behind: int, left_s: float) -> int:
        """Frames to take in one step so that the present is reached in the time left."""
        if self._lane is None:
            return 1
        return max(1, math.ceil(behind * self._step_s / max(left_s, 1e-3)))
