"""One whole video, in the paper's order: the other loop that knows several stages.

    first reading -> sampler -> reasoning -> segmentation -> propagation, back and on -> sinks

VideoSeg-R1's three stages (section 3): the sampler chooses a target frame, the reasoner points at
what the sentence means on it, it is cut out there, and carried to both ends of the video. What is
carried back is kept as runs on disk until it can be written in time order. Pictures are read
again whenever they are needed, so memory does not grow with the video.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from streamseg.allocator import give_back_free_memory
from streamseg.config import Config
from streamseg.errors import OutputError, ReasoningError, UsageError
from streamseg.keyframes.difficulty import DifficultyEstimator, token_budget
from streamseg.keyframes.sampling.choice import VideoChoice
from streamseg.keyframes.sampling.hierarchy import Guide, Plan
from streamseg.loop.engines_in_use import EnginesInUse
from streamseg.loop.listener import OnEvent
from streamseg.loop.summary import GroundingLog, describe_run, describe_setting
from streamseg.loop.telemetry import Telemetry
from streamseg.offline.guide import ReasonerGuide
from streamseg.propagation import Propagator
from streamseg.propagation.beginning import Beginning
from streamseg.propagation.tracks import TrackBook
from streamseg.reasoning import GroundingRequest
from streamseg.reasoning.dialogue import Answer, Question
from streamseg.reasoning.interview import Interview
from streamseg.segmentation import Segmenter
from streamseg.sinks import Sink
from streamseg.sinks.runner import SinkRunner
from streamseg.sources.arrays import Order
from streamseg.sources.film.film import Film
from streamseg.sources.film.opening import open_reel
from streamseg.sources.given import Given
from streamseg.types import (
    Event,
    Frame,
    FrameResult,
    GroundingMode,
    Mask,
    MaskSet,
    Propagated,
    Query,
    SourceInfo,
    TriggerReason,
)
from streamseg.video.identity import identity
from streamseg.video.spool import MaskSpool
from streamseg.video.time_left import Progress, Step, TimeLeft
from streamseg.video.turned import turned

OnProgress = Callable[[Progress], None]
QUERY_ID = 1
INCOMPLETE = ("truncated", "damaged")
"""Events that mean that not all of the video was there."""
_MOST_TROUBLES = 20


class VideoRun:
    """One video from its first reading to its last mask."""

    def __init__(
        self,
        config: Config,
        segmenter: Segmenter,
        propagator: Propagator,
        stopped: Callable[[], bool],
        on_event: OnEvent,
    ) -> None:
        self._config = config
        self._segmenter = segmenter
        self._propagator = propagator
        self._stopped = stopped
        self._tell = on_event
        self.on_progress: OnProgress | None = None
        self._engines = EnginesInUse({"segmentation": segmenter, "propagation": propagator})
        self._setting = describe_setting(config)
        self._telemetry = Telemetry()
        self._groundings = GroundingLog()
        self._tracks = TrackBook(config.tracks)
        self._tracks.query_id = QUERY_ID
        self._interview = Interview(config.reasoning, self._hear, stopped)
        self._sinks = SinkRunner((), config.sinks, False)
        self._spool = MaskSpool.unnamed()
        self._keeps = False
        self._time_left = TimeLeft()
        self._results = self._work()
        self._seconds: dict[str, float] = {}
        self._troubles: list[str] = []
        self._difficulty = 1.0
        self._opened: Film | None = None
        self._query: Query | None = None
        self._words = ""
        self._target: Frame | None = None
        self._start: dict[str, Any] = {}
        self._seeds: Mapping[int, Mask] = {}
        self._complete = False

    def open(
        self,
        video: Given,
        order: Order,
        query: str,
        max_frames: int | None,
        target_frame: int | None,
    ) -> None:
        """Open the video; nothing is read yet."""
        config = self._config
        reel = open_reel(video, order, config.source, self._hear, self._stopped)
        self._opened = Film(
            reel,
            decode_ahead=config.source.decode_ahead,
            held_bytes=config.offline.held_bytes,
        )
        self._words, self._query = query, Query(query, QUERY_ID)
        self._max_frames, self._target_frame = max_frames, target_frame

    def write_to(self, sinks: Sequence[Sink], reads: Sequence[str]) -> None:
        """Open the sinks. May raise OutputError."""
        runner = SinkRunner(sinks, self._config.sinks, False, self._tell, self._stopped)
        runner.open(self._film.info, self._words, reads)
        self._sinks = runner

    def keep_in(
        self, path: Path | None, reads: Sequence[str], *, resume: bool, overwrite: bool
    ) -> None:
        """Say where unfinished work is kept. May raise OutputError or UsageError."""
        if path is None:
            return
        self._spool.close(done=True)
        run = identity(
            self._film.info.name,
            reads,
            self._words,
            self._config,
            max_frames=self._max_frames,
            target_frame=self._target_frame,
        )
        if resume and path.exists():
            self._spool = MaskSpool.again(path, run)
        else:
            self._spool = MaskSpool.begin(path, run, replace=overwrite)
        self._keeps = True

    def next_result(self, max_frames: int | None) -> FrameResult | None:
        """The next frame's result, None after the last one."""
        result = next(self._results, None)
        if result is not None:
            self._sinks.put(result)
        return result

    def raise_failures(self) -> None:
        """Raises OutputError where not everything could be written."""
        self._sinks.raise_failures()

    def close(self) -> None:
        """Finish the files and let go of everything. May be called twice."""
        with ExitStack() as steps:
            if self._opened is not None:
                steps.callback(self._opened.close)
            steps.callback(lambda: self._sinks.close(self.summary()))
            steps.callback(lambda: self._spool.close(done=self._complete))
            steps.callback(self._interview.close)
            steps.callback(self._results.close)

    # The order ----------------------------------------------------------------------------------

    def _work(self) -> Generator[FrameResult, None, None]:
        self._interview.start()
        choice = self._first_reading()
        if self._stopped():
            return
        begun = self._begin(choice)
        if self._stopped():
            return
        give_back_free_memory()
        if begun:
            self._carry_back()
        give_back_free_memory()
        if not self._stopped():
            yield from self._in_time_order()

    def _first_reading(self) -> VideoChoice:
        """Number the frames, and see what there is to choose from."""
        film, config = self._film, self._config
        fps = film.info.fps or config.source.fallback_fps
        choice = VideoChoice(config, self._words, fps, self._target_frame)
        limits = [limit for limit in (film.info.frame_count, self._max_frames) if limit]
        self._time_left.plan({Step.READ: min(limits)} if limits else {}, whole=False)
        with self._timed(Step.READ):
            for frame in film.first_reading(self._max_frames, self._stopped):
                choice.see(frame)
                self._took(Step.READ)
        chosen = self._target_frame
        if chosen is not None and chosen >= len(film) and not self._stopped():
            raise UsageError(
                f"expected a target frame below {len(film)}, the number of frames of "
                f"{film.info.name}, got {chosen}"
            )
        return choice

    def _begin(self, choice: VideoChoice) -> bool:
        """Find what the sentence means, on one frame; whether it was found."""
        start = self._spool.start
        if start is None:
            start = self._look_for_it(choice)
            if self._stopped():
                return False
            self._spool.begun_with(start)
        try:
            self._take_up(start)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise OutputError(f"what an unfinished run kept is damaged ({error!r})") from None
        return bool(self._seeds)

    def _take_up(self, start: dict[str, Any]) -> None:
        """Go on from what was found, just now or by the run that this one goes on with."""
        self._start = {"difficulty": 1.0, "doubt": "", "sampler": {}, "groundings": {}} | start
        at = start["target"]
        if not 0 <= at < len(self._film):
            raise ValueError(f"target frame {at} of {len(self._film)}")
        frame = self._target = self._film.frame(at)
        if start["objects"]:
            kept = self._spool.get(at, frame.height, frame.width)
            beginning = Beginning.from_plain(kept, start)
            self._seeds = beginning.enter(self._tracks, frame, QUERY_ID)

    def _look_for_it(self, choice: VideoChoice) -> dict[str, Any]:
        """Ask about one frame after another until something is found and can be cut out.

        Raises:
            ReasoningError: There was not one answer.
        """
        target, beginning, answered, error = 0, None, False, ""
        for plan in choice.plans(self._guides()):
            target = plan.target
            answer = self._interview.ask(self._question(choice, plan))
            if self._stopped():
                break
            self._groundings.add(answer)
            self._tell(Event("grounded", answer.in_words(), frame_index=target))
            if answer.grounding is None:
                error = answer.error or ""
                continue
            answered = True
            beginning = self._cut(answer)
            if beginning is not None:
                self._spool.put(target, beginning.masks)
                break
        if not (answered or self._stopped()):
            raise ReasoningError(f"the reasoner gave no answer to any question: {error}")
        return {
            "target": target,
            **({"objects": {}} if beginning is None else beginning.as_plain()),
            "difficulty": self._difficulty,
            "doubt": self._interview.doubt,
            "sampler": choice.summary(),
            "groundings": self._groundings.summary(),
        }

    def _guides(self) -> list[Guide]:
        """Who may say where in the video the sentence applies."""
        if not self._interview.locates:
            return []
        shown = self._config.offline.guide_frames
        read = self._film.frame
        return [ReasonerGuide(self._interview, read, self._words, QUERY_ID, shown)]

    def _question(self, choice: VideoChoice, plan: Plan) -> Question:
        film, config = self._film, self._config.difficulty
        frames = {at: film.frame(at) for at in (*choice.shown(plan), *choice.references(plan))}
        target = frames[plan.target]
        nothing = MaskSet(np.zeros((target.height, target.width), np.uint16))
        estimate = DifficultyEstimator(self._words).update(target, nothing, 0.0, 0)
        self._difficulty = estimate.value
        request = GroundingRequest(
            self._words,
            target,
            tuple(frames[at] for at in choice.shown(plan)),
            tuple(frames[at] for at in choice.references(plan)),
            GroundingMode.REASONING,
            token_budget(estimate.value, config),
        )
        return Question(request, QUERY_ID, TriggerReason.NEW_QUERY, estimate.value, 0)

    def _cut(self, answer: Answer) -> Beginning | None:
        """Cut out what an answer points at; None where that is nothing."""
        grounding, frame = answer.grounding, answer.question.frame
        if grounding is None or not grounding.pointed:
            return None
        with self._telemetry.stage("segment"):
            cuts = self._segmenter.segment(frame, [target for target, _ in grounding.pointed])
        return Beginning.of_cuts(frame, grounding, cuts, self._config.tracks.max_tracks)

    def _carry_back(self) -> None:
        """Carry the masks to the beginning of the target's shot, and keep them."""
        target, film = self._known_target(), self._film
        shot = film.shot(target.index)
        first, reached = shot.start, target.index
        while reached > first and reached - 1 in self._spool:
            reached -= 1
        kept_on = sum(at in self._spool for at in range(target.index + 1, shot.stop))
        carried_on = shot.stop - target.index - 1 - kept_on
        self._time_left.plan(
            {
                Step.CARRY_BACK: reached - first,
                Step.WRITE: len(film) - carried_on,
                Step.CARRY_ON: carried_on,
            },
            whole=True,
        )
        if reached == first:
            return
        with self._timed(Step.CARRY_BACK):
            carrier = self._carrier(reached, lambda frame: turned(frame, target))
            for frame in film.backwards(reached, first):
                if self._stopped():
                    return
                with self._telemetry.stage("propagate"):
                    propagated = carrier.step(turned(frame, target))
                self._spool.put(frame.index, propagated)
                self._took(Step.CARRY_BACK)

    def _carrier(self, at: int, turn: Callable[[Frame], Frame]) -> Propagator:
        """A propagator that stands on frame `at`, having seen the target frame and its masks.

        Where masks are there already, as of a run that goes on, it is given the last ones too.
        """
        carrier, target = self._propagator.spawn(), self._known_target()
        carrier.step(turn(target), self._seeds)
        if at != target.index:
            frame = self._film.frame(at)
            kept = self._spool.get(at, frame.height, frame.width)
            masks = {key: kept.labels == key for key in np.unique(kept.labels).tolist() if key}
            carrier.step(turn(frame), masks)
        return carrier

    def _in_time_order(self) -> Iterator[FrameResult]:
        """Every frame with its masks: those kept, and from the last of them on new ones."""
        film = self._film
        first_new, shot = self._first_to_carry(), film.shot(self._known_target().index)
        carrier = None
        if self._seeds and first_new < shot.stop:
            carrier = self._carrier(first_new - 1, lambda frame: frame)
        with self._timed(Step.CARRY_ON), film.forwards(0, len(film)) as frames:
            for frame in frames:
                if self._stopped() or self._sinks.all_failed:
                    return
                timings: dict[str, float] = {}
                new = carrier is not None and first_new <= frame.index < shot.stop
                if carrier is not None and new:
                    with self._telemetry.stage("propagate", timings):
                        propagated = carrier.step(frame)
                    if self._keeps:
                        self._spool.put(frame.index, propagated)
                elif frame.index in self._spool:
                    propagated = self._spool.get(frame.index, frame.height, frame.width)
                else:
                    blank = np.zeros((frame.height, frame.width), np.uint16)
                    propagated = Propagated(blank, {})
                self._telemetry.frame()
                self._took(Step.CARRY_ON if new else Step.WRITE)
                yield self._result(frame, propagated, timings)
        self._complete = True

    def _first_to_carry(self) -> int:
        """The first frame after the target whose masks are not there yet."""
        at = self._known_target().index + 1
        while at in self._spool:
            at += 1
        return at

    # Small things -----------------------------------------------------------------------------

    @property
    def _film(self) -> Film:
        assert self._opened is not None, "expected open() first"
        return self._opened

    def _known_target(self) -> Frame:
        assert self._target is not None, "expected a target frame to have been chosen"
        return self._target

    def _took(self, step: Step) -> None:
        progress = self._time_left.took(step)
        if self.on_progress is not None:
            self.on_progress(progress)

    @contextmanager
    def _timed(self, step: Step) -> Iterator[None]:
        begun_s = perf_counter()
        self._time_left.begin()
        try:
            yield
        finally:
            self._seconds[step] = perf_counter() - begun_s

    def _hear(self, event: Event) -> None:
        """Pass an event on; what says that not all of the video was there goes to the summary."""
        if event.kind in INCOMPLETE and len(self._troubles) < _MOST_TROUBLES:
            self._troubles.append(event.message)
        self._tell(event)

    # What there is to tell ----------------------------------------------------------------------

    def _result(
        self, frame: Frame, propagated: Propagated, timings: Mapping[str, float]
    ) -> FrameResult:
        masks = self._tracks.update(frame, propagated, frame.pts_ns)
        self._tell_shift(frame)
        masks.labels.flags.writeable = False  # sinks read them in threads of their own
        grounded, target = self._tracks.newest_grounded_frame, self._known_target().index
        return FrameResult(
            frame=frame,
            state=self._tracks.state,
            masks=masks,
            mask_age_frames=None if grounded is None else abs(frame.index - grounded),
            grounded_frame=grounded,
            query=self._words,
            difficulty=self._start["difficulty"],
            trigger=TriggerReason.NEW_QUERY if frame.index == target else None,
            timings_ms=timings,
            reasoner=self._interview.state,
            doubt=self._start["doubt"],
        )

    def _tell_shift(self, frame: Frame) -> None:
        meant = self._tracks.take_shift()
        if meant is not None:
            self._telemetry.count("referent shifts")
            names = ", ".join(map(str, sorted(meant))) or "nobody"
            message = f"meant now: {names}"
            self._tell(Event("referent_shifted", message, frame_index=frame.index))

    def summary(self) -> dict[str, Any]:
        """What the run is so far, in plain values."""
        told: dict[str, Any] = describe_run(
            self._setting,
            SourceInfo("", live=False) if self._opened is None else self._opened.info,
            {},
            self._telemetry,
            self._groundings,
            self._query,
            self._engines.summary(),
            self._sinks.summary(),
            self._interview.condition(),
        )
        start = self._start
        told |= start.get("groundings", {})
        told["offline"] = {
            "complete": self._complete and not self._troubles,
            "unfinished": self._keeps and not self._complete,
            "missing": self._troubles,
            "target_frame": start.get("target"),
            "sampler": start.get("sampler", {}),
            "seconds": {step: round(cost, 2) for step, cost in self._seconds.items()},
        }
        return told
