"""The streaming loop: the one file that knows the order in which a frame passes the stages.

    source -> ring -> propagation -> keyframes -> reasoning -> segmentation -> catch-up -> sinks

Every frame is propagated and yielded. The reasoner is asked now and then, answers late or never,
and its answer is replayed to the present beside the loop. On a live source the clock is real and
nothing is waited for; on a file the clock is the file's own, answers take `reasoning.delay_s` of
it and the run is a pure function of its input.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Self

import numpy as np

from streamseg import config as configs
from streamseg import propagation, reasoning, segmentation
from streamseg.buffer import FrameBuffer
from streamseg.clock import Clock, RealClock, VirtualClock
from streamseg.config import Config
from streamseg.engines_in_use import EnginesInUse
from streamseg.errors import SourceError, UsageError
from streamseg.inbox import Inbox, check_query
from streamseg.keyframes.watch import KeyframeWatch, Look
from streamseg.listener import OnEvent, careful
from streamseg.propagation.catchup import CatchUp, Job
from streamseg.propagation.tracks import Merge, TrackBook, without
from streamseg.reasoning import GroundingRequest
from streamseg.reasoning.dialogue import Dialogue, Question
from streamseg.sinks import Sink
from streamseg.sinks.runner import SinkRunner
from streamseg.sources import Source, StreamEnded, open_source
from streamseg.summary import GroundingLog, describe_run
from streamseg.telemetry import Telemetry
from streamseg.types import (
    Box,
    Event,
    Frame,
    FrameResult,
    Grounding,
    Labels,
    MaskSet,
    Point,
    Propagated,
    Query,
    Target,
    TriggerReason,
)

READ_TIMEOUT_S = 0.25
"""How often a silent source lets the loop see that it was stopped."""


class StreamSegmenter:
    """A sentence and a live picture in, masks out.

    Models are loaded once and serve one run after another. `set_query`, `add_target`,
    `remove_target` and `stop` may be called at any time from any thread; they take effect on the
    next frame.
    """

    def __init__(self, config: Config) -> None:
        """Raises:
        CheckpointError: Weights that the config names are missing or of another shape.
        MissingDependencyError: A package that the config needs is not installed.
        """
        self.config = config
        reasoning.prepare(config.reasoning)
        self._segmenter = segmentation.build(config.segmentation)
        self._propagator = propagation.build(config.propagation)
        self._inbox = Inbox()
        self._running = threading.Lock()
        self._run: _Run | None = None
        self._summary: dict[str, Any] = {}

    @classmethod
    def from_config(
        cls, name_or_path: str | Path | Config = "classical", overrides: Sequence[str] = ()
    ) -> Self:
        """Make one from a shipped config's name, a YAML file or a Config, with `a.b=value`
        overrides.

        Raises:
            ConfigError: No such config, an unknown key, a bad value.
        """
        if isinstance(name_or_path, Config):
            return cls(name_or_path)
        return cls(configs.load(name_or_path, overrides))

    def run(
        self,
        source: str | Source,
        query: str | None = None,
        *,
        max_frames: int | None = None,
        sinks: Sequence[Sink] = (),
        on_event: OnEvent | None = None,
        clock: Clock | None = None,
    ) -> Iterator[FrameResult]:
        """Segment a stream: a generator of one result per frame, in which nothing piles up.

        Args:
            source: SRC as in `open_source`, or an open source, which is closed at the end.
            query: What to find; None to follow only targets added by hand.
            max_frames: Stop after so many results.
            sinks: Also get every result, each in a thread of its own.
            on_event: Told of reconnects, groundings, failures, engines that stand in; called from
                several threads. What it raises is logged and goes no further.
            clock: Real for a live source and virtual for any other, unless given.

        Raises:
            QueryError: An empty or over-long query.
            UsageError: Another run of this segmenter has not ended yet.
            SourceSpecError, SourceError: The source cannot be opened, failed or had no frames.
            OutputError: A sink cannot write, raised before the first frame.
        """
        if query is not None:
            check_query(query, self.config.reasoning.max_query_chars)
        if not self._running.acquire(blocking=False):
            raise UsageError(
                "this StreamSegmenter is already running: finish or close that run first, "
                "or make another StreamSegmenter"
            )
        tell = careful(on_event)
        with ExitStack() as stack:
            stack.callback(self._running.release)
            if isinstance(source, str):
                source = open_source(source, self.config.source, RealClock(), tell)
            stack.callback(_close, source, tell)
            self._inbox.start(query)
            run = self._run = _Run(
                self.config,
                self._segmenter,
                self._propagator,
                source,
                self._inbox,
                clock or (RealClock() if source.info.live else VirtualClock()),
                tell,
            )
            stack.callback(self._finish, run)
            yield from run.results(sinks, query or "", max_frames)

    def set_query(self, text: str) -> None:
        """Look for something else from the next frame on; the query in force changes nothing.
        Targets added by hand stay.

        Raises:
            QueryError: An empty or over-long query.
        """
        check_query(text, self.config.reasoning.max_query_chars)
        self._inbox.set_query(text)

    def add_target(
        self,
        box: Box,
        *,
        positive: Sequence[Point] = (),
        negative: Sequence[Point] = (),
        label: str = "",
    ) -> None:
        """Follow what is in `box` on the next frame, whatever the query says.

        Args:
            box: x0, y0, x1, y1 in pixels of the source.
            positive, negative: Points on the object and just off it.
        """
        self._inbox.add_target(Target(box, tuple(positive), tuple(negative), label=label))

    def remove_target(self, track_id: int) -> None:
        """Stop following an object; an unknown id is ignored."""
        self._inbox.remove_target(track_id)

    def stop(self) -> None:
        """End the run after the frame under way; its files are finished."""
        self._inbox.stop()

    def summary(self) -> dict[str, Any]:
        """Counts, latencies and groundings of the run under way, or of the last one."""
        run = self._run  # another thread may end the run meanwhile
        return self._summary if run is None else run.summary()

    def _finish(self, run: _Run) -> None:
        run.close()
        self._summary = run.summary()
        self._run = None
        self._inbox.take()  # what came too late is not the next run's
        self._propagator.reset()
        self._propagator.remove(self._propagator.ids)


class _Run:
    """One stream from its first frame to its last."""

    def __init__(
        self,
        config: Config,
        segmenter: segmentation.Segmenter,
        propagator: propagation.Propagator,
        source: Source,
        inbox: Inbox,
        clock: Clock,
        on_event: OnEvent,
    ) -> None:
        self._config = config
        self._propagator = propagator
        self._engines = EnginesInUse({"segmentation": segmenter, "propagation": propagator})
        self._source = source
        self._inbox = inbox
        self._clock = clock
        self._on_event = on_event
        self._telemetry = Telemetry()
        self._groundings = GroundingLog()
        self._buffer = FrameBuffer(config.buffer)
        self._tracks = TrackBook(config.tracks)
        self._dialogue = Dialogue(config.reasoning, clock, on_event, lambda: inbox.stopped)
        self._catchup = CatchUp(
            config.catchup,
            segmenter.segment,
            propagator.spawn,
            self._buffer.from_index,
            threaded=not clock.virtual,
        )
        self._query: Query | None = None
        self._watch: KeyframeWatch | None = None
        self._epoch: int | None = None
        self._blank: Labels = np.zeros((0, 0), np.uint16)
        self._position = -1
        """Index of the frame that the live propagator stands on."""

    def results(
        self, sinks: Sequence[Sink], query: str, max_frames: int | None
    ) -> Iterator[FrameResult]:
        info, stopped = self._source.info, lambda: self._inbox.stopped
        runner = SinkRunner(sinks, self._config.sinks, info.live, self._on_event, stopped)
        runner.open(info, query)
        try:
            self._dialogue.start()
            for frame in self._frames(max_frames):
                result = self._process(frame)
                runner.put(result)
                yield result
            if not self._telemetry.frames and self._wants_more(max_frames):
                raise SourceError(f"{info.name} ended without a single frame")
        finally:
            self._dialogue.close()
            runner.close(self.summary())

    def close(self) -> None:
        self._catchup.close()
        self._dialogue.close()
        self._buffer.clear()

    def summary(self) -> dict[str, Any]:
        return describe_run(
            self._config,
            self._source.info,
            self._source.dropped,
            self._telemetry,
            self._groundings,
            self._query,
            self._engines.summary(),
        )

    # The way of one frame ---------------------------------------------------------------------

    def _wants_more(self, max_frames: int | None) -> bool:
        enough = max_frames is not None and self._telemetry.frames >= max_frames
        return not enough and not self._inbox.stopped

    def _frames(self, max_frames: int | None) -> Iterator[Frame]:
        while self._wants_more(max_frames):
            try:
                frame = self._source.read(READ_TIMEOUT_S)
            except StreamEnded:
                return
            if frame is not None:
                yield frame

    def _process(self, frame: Frame) -> FrameResult:
        started_ns = perf_counter_ns()
        timings: dict[str, float] = {}
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
            if self._watch is not None:
                self._watch.new_epoch()
        self._epoch = frame.epoch
        self._buffer.append(frame)

    def _take_requests(self, frame: Frame) -> None:
        """Do what other threads asked for, and end what was lost for too long."""
        query, targets, removed = self._inbox.take()
        if query is not None and (self._query is None or query.text != self._query.text):
            self._query, self._tracks.query_id = query, query.id
            self._dialogue.cancel()
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
        if self._propagator.ids or self._dialogue.waiting or self._catchup.pending:
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
            busy=not self._dialogue.ready or self._catchup.pending > 0,
            grounding_age_s=None if grounded_ns is None else (now_ns - grounded_ns) / 1e9,
            now_ns=now_ns,
        )
        if look.decision.reason is not None:
            self._ask(self._query, self._watch, look, look.decision.reason)
        return look

    def _ask(self, query: Query, watch: KeyframeWatch, look: Look, reason: TriggerReason) -> None:
        sample = watch.sample(self._buffer.frames())
        request = GroundingRequest(
            query.text,
            sample.target,
            sample.segment,
            sample.references,
            look.decision.mode,
            look.decision.token_budget,
        )
        now_ns = self._clock.now_ns()
        self._dialogue.ask(Question(request, query.id, reason, look.difficulty.value, now_ns))

    def _hear(self) -> None:
        """Start carrying an answer to the present, if one has come."""
        answer = self._dialogue.hear()
        if answer is None or self._watch is None:
            return
        now_ns = self._clock.now_ns()
        self._watch.answered(found=answer.found, cost_s=answer.waited_s, now_ns=now_ns)
        self._groundings.add(answer)
        self._tell("grounded", answer.in_words(), answer.question.frame)
        if answer.grounding is not None:
            asked = answer.question
            self._catchup.start(Job(answer.grounding, asked.frame, asked.query_id, asked.reason))

    def _merge_finished(self, frame: Frame, propagated: Propagated) -> Propagated | None:
        """Merge every answer that has reached the present; None when there was none."""
        merged = None
        while (job := self._catchup.collect()) is not None:
            if self._usable(job, frame):
                merged = propagated = self._merge(job, frame, propagated)
        return merged

    def _usable(self, job: Job, frame: Frame) -> bool:
        """Bring the job's lane onto this very frame; False, and counted, when it came too late."""
        if job.error is not None:
            return self._failed(job.error, frame)
        cause = None
        if job.frame.epoch != frame.epoch:
            cause = "answer from before a break"
        elif job.query_id is not None and (self._query is None or job.query_id != self._query.id):
            cause = "answer to an old query"
        elif job.position is not None and not self._buffer.from_index(job.position.index):
            cause = "answer whose frame has left the buffer"
        if cause is not None:
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
        )
        self._propagator.remove(merge.gone)
        if merge.adopt and job.lane is not None:
            if self._position != frame.index:  # with no object to carry it was left behind
                self._step(frame)
            propagated = self._propagator.adopt(job.lane, merge.adopt)
        else:
            propagated = without(propagated, merge.gone)
        self._report(job, frame, merge)
        return propagated

    def _report(self, job: Job, frame: Frame, merge: Merge) -> None:
        """Count and tell what an answer changed."""
        self._telemetry.record_ns("segment", int(job.segment_s * 1e9))
        self._telemetry.record_ns("replay", int(job.replay_s * 1e9))
        for name in ("refound", "added", "retired", "given_up", "confirmed"):
            if ids := getattr(merge, name):
                self._telemetry.count(f"tracks {name}", len(ids))
                self._tell(f"track_{name}", f"{name}: {', '.join(map(str, ids))}", frame)
        if merge.held_back:
            self._telemetry.count("objects held back", merge.held_back)
        if merge.turned_away:
            self._telemetry.count("objects turned away", merge.turned_away)
            most = self._config.tracks.max_tracks
            self._tell("tracks_full", f"no room: {most} objects are followed already", frame)
        elif job.query_id is None and not (merge.adopt or merge.confirmed):
            self._tell("target_missed", "nothing was found where it was pointed at", frame)

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
            timings_ms=timings,
            doubt=self._dialogue.doubt,
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


def _close(source: Source, tell: OnEvent) -> None:
    """A source that cannot be closed is worth a word, but undoes nothing of the run."""
    try:
        source.close()
    except Exception as error:  # noqa: BLE001 - as above
        tell(Event("source_failed", f"{source.info.name} could not be closed: {error}"))
