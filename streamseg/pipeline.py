"""The streaming loop: the one file that knows the order in which a frame passes the stages.

    source -> ring -> propagation -> keyframes -> reasoning -> segmentation -> catch-up -> sinks

Every frame is propagated and yielded. The reasoner is asked now and then, answers late or never,
and its answer is replayed to the present beside the loop; where it will not do, a deep one is asked
about it too. On a live source the clock is real and nothing is waited for; on a file it is the
file's own, answers take `reasoning.delay_s` of it and the run is a pure function of its input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from time import perf_counter_ns
from typing import Any

import numpy as np

from streamseg.allocator import give_back_free_memory
from streamseg.buffer import FrameBuffer
from streamseg.clock import Clock, RealClock
from streamseg.config import Config
from streamseg.errors import SourceError
from streamseg.keyframes.sampling.live import Sample
from streamseg.keyframes.watch import KeyframeWatch, Look
from streamseg.loop import merges
from streamseg.loop.engines_in_use import EnginesInUse
from streamseg.loop.inbox import Inbox
from streamseg.loop.listener import OnEvent
from streamseg.loop.summary import GroundingLog, describe_run, describe_setting
from streamseg.loop.telemetry import Telemetry
from streamseg.propagation import Propagator
from streamseg.propagation.areas import without
from streamseg.propagation.catchup import CatchUp, Job
from streamseg.propagation.tracks import TrackBook
from streamseg.propagation.verdicts import Merge, Sight
from streamseg.reasoning import GroundingRequest
from streamseg.reasoning.conversation import Conversation
from streamseg.reasoning.dialogue import Answer, Question
from streamseg.segmentation import Segmenter, Sketcher
from streamseg.sinks import Sink
from streamseg.sinks.runner import SinkRunner
from streamseg.sources import Source, StreamEnded
from streamseg.types import (
    DeepReason,
    Event,
    Frame,
    FrameResult,
    Grounding,
    GroundingMode,
    Labels,
    MaskSet,
    Propagated,
    Query,
    Spared,
    Speed,
    TriggerReason,
)

READ_TIMEOUT_S = 0.25
"""How often a silent source lets the loop see that it was stopped."""


class Run:
    """One stream from its first frame to its last, whoever owns the loop: `next_result` draws the
    frames from the source, `step` takes them as they are pushed.

    Used by one thread at a time: `open`, then frames, then `close`.
    """

    def __init__(
        self,
        config: Config,
        segmenter: Segmenter,
        propagator: Propagator,
        source: Source,
        inbox: Inbox,
        clock: Clock,
        on_event: OnEvent,
        sinks: Sequence[Sink],
        reasoners: Mapping[Speed, str] | None = None,
    ) -> None:
        self._config = config
        self._propagator = propagator
        self._engines = EnginesInUse({"segmentation": segmenter, "propagation": propagator})
        self._source = source
        self._inbox = inbox
        self._clock = clock
        self._on_event = on_event
        self._setting = describe_setting(config)
        self._telemetry = Telemetry()
        self._groundings = GroundingLog()
        self._buffer = FrameBuffer(config.buffer)
        self._tracks = TrackBook(config.tracks)
        stopped, live = lambda: inbox.stopped, source.info.live
        self._sinks = SinkRunner(sinks, config.sinks, live, on_event, stopped)
        self._reasoners = Conversation(config.reasoning, clock, on_event, stopped, reasoners)
        self._catchup = CatchUp(
            config.catchup,
            segmenter.segment,
            propagator.spawn,
            self._buffer.from_index,
            threaded=not clock.virtual,
            sketch=segmenter.sketch if isinstance(segmenter, Sketcher) else None,
        )
        self._query: Query | None = None
        self._watch: KeyframeWatch | None = None
        self._epoch: int | None = None
        self._blank: Labels = np.zeros((0, 0), np.uint16)
        self._deep: DeepReason | None = None
        """Why the deep reasoner was asked on this frame."""
        self._position = -1
        """Index of the frame that the live propagator stands on."""

    def open(self, query: str, reads: Sequence[str] = ()) -> None:
        """Open the sinks and begin to load the reasoner.

        Args:
            reads: Local files that the source reads.

        Raises:
            OutputError: A sink cannot work.
        """
        self._sinks.open(self._source.info, query, reads)
        self._reasoners.start()

    def next_result(self, max_frames: int | None) -> FrameResult | None:
        """Wait for the source's next frame; None once it has ended, or the run was stopped.

        Raises:
            SourceError: It ended without a single frame, or failed.
        """
        while self._wants_more(max_frames):
            try:
                frame = self._source.read(READ_TIMEOUT_S)
            except StreamEnded:
                break
            if frame is not None:
                return self.step(frame)
        if not self._telemetry.frames and self._wants_more(max_frames):
            raise SourceError(f"{self._source.info.name} ended without a single frame")
        return None

    @property
    def stopped(self) -> bool:
        """It was asked to end."""
        return self._inbox.stopped

    def step(self, frame: Frame) -> FrameResult:
        """Take one frame through the stages and hand its result to the sinks."""
        result = self._process(frame)
        self._sinks.put(result)
        return result

    def close(self) -> None:
        """Finish the files and let go of everything. May be called twice.

        Every step is taken, whatever becomes of the others. None needs an import, a new thread or
        a new process: the interpreter may be ending.
        """
        with ExitStack() as steps:
            steps.callback(give_back_free_memory)
            steps.callback(self._buffer.clear)
            steps.callback(self._catchup.close)
            steps.callback(lambda: self._sinks.close(self.summary()))
            steps.callback(self._reasoners.close)

    def summary(self) -> dict[str, Any]:
        """What the run is so far, in plain values."""
        return describe_run(
            self._setting,
            self._source.info,
            self._source.dropped,
            self._telemetry,
            self._groundings,
            self._query,
            self._engines.summary(),
            self._sinks.summary(),
            self._reasoners.condition(),
        )

    def raise_failures(self) -> None:
        """
        Raises:
            OutputError: Not everything could be written.
        """
        self._sinks.raise_failures()

    def _wants_more(self, max_frames: int | None) -> bool:
        enough = max_frames is not None and self._telemetry.frames >= max_frames
        return not (enough or self._inbox.stopped or self._sinks.all_failed)

    # The way of one frame ---------------------------------------------------------------------

    def _process(self, frame: Frame) -> FrameResult:
        started_ns = perf_counter_ns()
        timings: dict[str, float] = {}
        self._deep = None
        self._clock.frame_arrived(frame.pts_ns)
        self._enter(frame)
        self._take_requests(frame)
        with self._telemetry.stage("propagate", timings):
            propagated = self._propagate(frame)
        with self._telemetry.stage("track", timings):
            masks = self._tracks.update(frame, propagated, self._clock.now_ns())
        with self._telemetry.stage("keyframe", timings):
            look = self._look(frame, masks)
        with self._telemetry.stage("await answer", timings):
            self._hear()
        with self._telemetry.stage("catch-up", timings):
            merged = self._merge_finished(frame, propagated)
        if merged is not None:
            masks = self._tracks.update(frame, merged, self._clock.now_ns())
        self._tell_shift(frame)
        for kind, message in self._engines.news():
            self._tell(kind, message, frame)
        timings["latency"] = self._latency_ms(frame, started_ns, timings)
        self._telemetry.record_ns("latency", int(timings["latency"] * 1e6))
        self._telemetry.frame()
        return self._result(frame, masks, look, timings)

    def _enter(self, frame: Frame) -> None:
        """Take the frame into the ring; a new epoch loses sight of everything."""
        if self._epoch is not None and frame.epoch != self._epoch:
            self._propagator.reset()
            self._tracks.lose_all()
            self._cancel_deep()
            if self._watch is not None:
                self._watch.new_epoch()
        self._epoch = frame.epoch
        self._buffer.append(frame)

    def _take_requests(self, frame: Frame) -> None:
        """Do what other threads asked for, and end what was lost for too long."""
        query, targets, removed = self._inbox.take()
        if query is not None and (self._query is None or query.text != self._query.text):
            self._query, self._tracks.query_id = query, query.id
            self._reasoners.cancel()
            self._buffer.keep(None)
            self._watch = KeyframeWatch(self._config, query.text)
        if removed:
            self._tracks.remove(removed)
            self._propagator.remove(removed)
        self._propagator.remove(self._tracks.forget_old(self._clock.now_ns()))
        for target in targets:
            self._catchup.start(Job(Grounding((target,)), frame, None, None))

    def _propagate(self, frame: Frame) -> Propagated:
        """Step every live track. While an answer is awaited the empty step still leaves on the
        frame what a replay will need of it."""
        if self._propagator.ids or self._reasoners.waiting or self._catchup.pending:
            return self._step(frame)
        if self._blank.shape != frame.image.shape[:2]:
            self._blank = np.zeros(frame.image.shape[:2], np.uint16)
        return Propagated(self._blank, {})

    def _step(self, frame: Frame) -> Propagated:
        self._position = frame.index
        return self._propagator.step(frame)

    def _look(self, frame: Frame, masks: MaskSet) -> Look | None:
        """Take the keyframe signals; ask the reasoner when the trigger says so.

        What is there for an older query, or was pointed at by hand, is not what is looked for.
        """
        if self._watch is None or self._query is None:
            return None
        now_ns = self._clock.now_ns()
        grounded_ns = self._tracks.grounded_ns
        look = self._watch.look(
            frame,
            self._tracks.of_query(self._query.id, masks),
            busy=not self._reasoners.ready(self._reasoners.first),
            replaying=self._catchup.pending > 0,
            grounding_age_s=None if grounded_ns is None else (now_ns - grounded_ns) / 1e9,
            now_ns=now_ns,
            shifting=self._tracks.shifting,
            waiting=self._tracks.waiting,
        )
        if look.decision.reason is not None:
            self._ask(frame, self._query, self._watch, look, look.decision.reason)
        if self._watch.wishes:
            self._ask_deep(self._query, self._watch)
        return look

    def _ask(
        self, frame: Frame, query: Query, watch: KeyframeWatch, look: Look, reason: TriggerReason
    ) -> None:
        """Ask the first reasoner. What the deep one considers is gone with the scene."""
        if reason is TriggerReason.SCENE_CUT:
            self._cancel_deep()
        decision, difficulty = look.decision, look.difficulty.value
        if reason is TriggerReason.WITNESS:
            sample = Sample((frame,), frame, ())  # of what is there now; nothing else is needed
        else:
            sample = watch.sample(self._buffer.frames())
        request = _request(query, sample, decision.mode, decision.token_budget)
        now_ns, first = self._clock.now_ns(), self._reasoners.first
        self._put(Question(request, query.id, reason, difficulty, now_ns, first))

    def _ask_deep(self, query: Query, watch: KeyframeWatch) -> None:
        """Ask the deep reasoner what the fast one's answer left open, once it can be asked."""
        now_ns = self._clock.now_ns()
        if not self._reasoners.ready(Speed.DEEP) or (call := watch.take_wish(now_ns)) is None:
            return
        sample = watch.sample(self._buffer.frames())
        request = _request(query, sample, call.mode, call.token_budget)
        asked = Question(
            request, query.id, call.reason, call.difficulty, now_ns, Speed.DEEP, call.deep
        )
        self._deep = call.deep
        self._buffer.keep(asked.frame.index)
        self._put(asked)
        self._tell("deep_asked", f"the deep reasoner is asked: {call}", asked.frame)

    def _put(self, question: Question) -> None:
        self._groundings.ask(question)
        self._reasoners.ask(question)

    def _cancel_deep(self) -> None:
        self._reasoners.cancel_deep()
        self._buffer.keep(None)

    def _hear(self) -> None:
        """Start carrying answers to the present, if any have come."""
        for answer in self._reasoners.hear():
            if self._watch is None or self._query is None:
                continue
            sight = self._witness(answer)
            if answer.question.reason is TriggerReason.WITNESS:
                self._watch.witnessed(
                    able=answer.grounding is None or answer.grounding.seen is not None,
                    doubted=sight is not None and bool(sight.doubted),
                    unheld=0 if sight is None else sight.unheld,
                    cost_s=answer.waited_s,
                    now_ns=self._clock.now_ns(),
                )
            else:
                spared = self._take_answer(answer, self._query, self._watch)
                self._groundings.add(answer, spared)
                self._tell("grounded", answer.in_words(), answer.question.frame)

    def _take_answer(self, answer: Answer, query: Query, watch: KeyframeWatch) -> Spared | None:
        """Use an answer, and ask the deep reasoner where the fast one's will not do; why not, where
        it will, or where it must."""
        asked, grounding, now_ns = answer.question, answer.grounding, self._clock.now_ns()
        if grounding is not None:
            self._use(asked, grounding, now_ns)
        if asked.deep is not None:
            told = grounding is not None and not grounding.cannot_tell
            watch.considered(told=told, now_ns=now_ns)
            if grounding is None:
                self._buffer.keep(None)
            return None
        watch.answered(found=answer.found, cost_s=answer.waited_s, now_ns=now_ns)
        if not self._reasoners.both:
            return None
        spared = watch.consider(asked.reason, grounding, asked.difficulty, now_ns)
        self._ask_deep(query, watch)
        return spared

    def _use(self, asked: Question, grounding: Grounding, now_ns: int) -> None:
        """Cut an answer out and bring it to the present, unless it says what is shown anyway."""
        job = Job(grounding, asked.frame, asked.query_id, asked.reason, asked.deep is not None)
        merge = None
        if job.again and asked.frame.epoch == self._epoch:
            merge = self._tracks.agree(asked.frame.index, grounding, asked.query_id, now_ns)
        if merge is None:
            self._catchup.start(job)
        else:
            self._report(job, asked.frame, merge)

    def _witness(self, answer: Answer) -> Sight | None:
        """Hold the tracks against what an answer says is there; None where it says nothing."""
        asked, grounding = answer.question, answer.grounding
        if grounding is None or grounding.seen is None or asked.frame.epoch != self._epoch:
            return None
        sight = self._tracks.witness(asked.frame.index, grounding.seen, asked.query_id)
        if sight is not None:
            self._telemetry.count("looks")
            if sight.doubted:
                self._telemetry.count("tracks doubted", len(sight.doubted))
                ids = ", ".join(map(str, sight.doubted))
                self._tell("track_doubted", f"not seen where it is shown: {ids}", asked.frame)
        return sight

    def _merge_finished(self, frame: Frame, propagated: Propagated) -> Propagated | None:
        """Merge every answer that has reached the present; None when there was none."""
        merged = None
        while (job := self._catchup.collect()) is not None:
            if self._usable(job, frame):
                merged = propagated = self._merge(job, frame, propagated)
            if job.considered:
                self._buffer.keep(None)
        return merged

    def _usable(self, job: Job, frame: Frame) -> bool:
        """Bring the job's lane onto this very frame; False, and counted, when it came too late."""
        if job.error is not None:
            return self._failed(job.error, frame)
        in_force = None if self._query is None else self._query.id
        if (cause := job.too_late(frame, in_force, self._buffer.from_index)) is not None:
            self._telemetry.drop(cause)
            return False
        if job.position is not None and job.position.index != frame.index:
            try:
                job.advance(frame)
            except Exception as error:  # noqa: BLE001 - a broken answer must not break the stream
                return self._failed(error, frame)
        return True

    def _failed(self, error: Exception, frame: Frame) -> bool:
        self._telemetry.count("groundings failed")
        self._tell("catchup_failed", f"an answer could not be used: {error!r}", frame)
        return False

    def _merge(self, job: Job, frame: Frame, propagated: Propagated) -> Propagated:
        merge = self._tracks.merge(
            frame,
            job.candidates(self._config.tracks.lost_score),
            propagated,
            query_id=job.query_id,
            grounded_frame=job.frame.index,
            now_ns=self._clock.now_ns(),
            strict=job.reason is TriggerReason.SCENE_CUT,
            cannot_tell=job.grounding.cannot_tell,
            considered=job.considered,
            denies=not (job.grounding.pointed or job.grounding.cannot_tell),
            standing=job.grounding.standing,
        )
        if merge.overruled and self._reasoners.both and self._watch is not None:
            self._watch.disagreed(self._clock.now_ns())
        self._propagator.remove(merge.gone)
        if merge.adopt and job.lane is not None:
            if self._position != frame.index:  # with no object to carry it was left behind
                self._step(frame)
            propagated = self._propagator.adopt(job.lane, merge.adopt)
        else:
            propagated = without(propagated, merge.gone)
        self._report(job, frame, merge)
        return propagated

    def _tell_shift(self, frame: Frame) -> None:
        """Count and tell that another is meant now, where who is meant may change."""
        meant = self._tracks.take_shift()
        if meant is not None:
            self._telemetry.count("referent shifts")
            names = ", ".join(map(str, sorted(meant))) or "nobody"
            self._tell("referent_shifted", f"meant now: {names}", frame)

    def _report(self, job: Job, frame: Frame, merge: Merge) -> None:
        """Count and tell what an answer changed."""
        if job.lane is not None:
            self._telemetry.record_ns("segment", int(job.segment_s * 1e9))
            self._telemetry.record_ns("replay", int(job.replay_s * 1e9))
        if self._watch is not None and job.query_id is not None and not self._clock.virtual:
            self._watch.spent(job.segment_s + job.replay_s, self._clock.now_ns())
        for counter, count in merges.counts(merge):
            self._telemetry.count(counter, count)
        most = self._config.tracks.max_tracks
        for kind, message in merges.told(merge, most, by_hand=job.query_id is None):
            self._tell(kind, message, frame)

    def _result(
        self, frame: Frame, masks: MaskSet, look: Look | None, timings: dict[str, float]
    ) -> FrameResult:
        grounded = self._tracks.newest_grounded_frame
        masks.labels.flags.writeable = False  # sinks read them in threads of their own
        return FrameResult(
            frame=frame,
            state=self._tracks.state,
            masks=masks,
            mask_age_frames=None if grounded is None else frame.index - grounded,
            grounded_frame=grounded,
            query="" if self._query is None else self._query.text,
            difficulty=1.0 if look is None else look.difficulty.value,
            trigger=None if look is None else look.decision.reason,
            deep=self._deep,
            timings_ms=timings,
            reasoner=self._reasoners.state,
            doubt=self._reasoners.doubt,
        )

    def _latency_ms(self, frame: Frame, started_ns: int, timings: Mapping[str, float]) -> float:
        """From the camera's frame to the mask when live. On a file, whose frames are decoded ahead
        and whose clock stands still while an answer is awaited, the loop's own work."""
        if self._source.info.live and frame.arrived_ns:
            return max(0.0, (RealClock().now_ns() - frame.arrived_ns) / 1e6)
        waited_ms = timings["await answer"] if self._clock.virtual else 0.0
        return (perf_counter_ns() - started_ns) / 1e6 - waited_ms

    def _tell(self, kind: str, message: str, frame: Frame) -> None:
        self._on_event(Event(kind, message, self._clock.now_ns(), frame.index))


def _request(query: Query, sample: Sample, mode: GroundingMode, budget: int) -> GroundingRequest:
    return GroundingRequest(
        query.text, sample.target, sample.segment, sample.references, mode, budget
    )
