"""The public door: models loaded once, one run after another, asked for by pull or by push."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from streamseg import config as configs
from streamseg import propagation, reasoning, segmentation
from streamseg.clock import Clock, RealClock, VirtualClock
from streamseg.config import Config
from streamseg.errors import UsageError
from streamseg.loop.asked import checked_count, checked_fps, checked_target
from streamseg.loop.endings import Ending
from streamseg.loop.inbox import Inbox, check_query
from streamseg.loop.listener import OnEvent, careful, tell_choice
from streamseg.loop.results import Results
from streamseg.loop.session import PushedPictures, Session
from streamseg.loop.summary import nothing_done
from streamseg.masking import legible
from streamseg.pipeline import Run
from streamseg.sinks import Sink
from streamseg.sources import Source, StreamEnded, open_source
from streamseg.sources.arrays import Order, checked_order
from streamseg.sources.given import Given, spec_or_source
from streamseg.sources.spec import local_files
from streamseg.types import Box, Event, Point, SourceInfo, Speed


class StreamSegmenter:
    """A sentence and a live picture in, masks out.

    Models are loaded once and serve one run after another. `set_query`, `add_target`,
    `remove_target` and `stop` may be called at any time from any thread; they take effect on the
    next frame.
    """

    def __init__(self, config: Config, reasoners: Mapping[Speed, str] | None = None) -> None:
        """
        Args:
            reasoners: A reasoner of your own for a speed, in place of the config's backend:
                `module:function`, called in its process with a `ReasoningConfig` and the `Speed`
                to make a `streamseg.reasoning.Reasoner`.

        Raises:
            CheckpointError: Weights that the config names are missing or of another shape.
            MissingDependencyError: A package that the config needs is not installed.
        """
        self.config = config
        self._reasoners = dict(reasoners or {})
        reasoning.prepare(config.reasoning, set(Speed) - self._reasoners.keys())
        self._segmenter = segmentation.build(config.segmentation)
        self._propagator = propagation.build(config.propagation)
        self._inbox = Inbox()
        self._running = threading.Lock()
        self._run: Run | None = None
        self._summary: dict[str, Any] = {}

    @classmethod
    def from_config(
        cls,
        name_or_path: str | Path | Config = configs.AUTO,
        overrides: Sequence[str] = (),
        reasoners: Mapping[Speed, str] | None = None,
    ) -> Self:
        """Make one from a shipped config's name, a YAML file or a Config, with `a.b=value`
        overrides; `reasoners` as in the constructor. Unless one is named it is the best that is
        here without a download, and each run tells an event `config` of which that is.

        Raises:
            ConfigError: No such config, an unknown key, a bad value.
        """
        if isinstance(name_or_path, Config):
            return cls(name_or_path, reasoners)
        return cls(configs.load(name_or_path, overrides), reasoners)

    def run(
        self,
        source: Given,
        query: str | None = None,
        *,
        order: Order = "rgb",
        max_frames: int | None = None,
        sinks: Sequence[Sink] = (),
        on_event: OnEvent | None = None,
        clock: Clock | None = None,
    ) -> Results:
        """Segment a stream: an iterator of one result per frame, in which nothing piles up.

        What can be refused by looking at it is refused by this call. The source and the sinks are
        opened when the first result is asked for. From this call on `stop` and the others count.

        Args:
            source: SRC as in `open_source`, a path, a camera's index, an open source (closed at the
                end), or an iterable: of (H, W, 3) uint8 arrays, of pairs `(array, pts_ns)`, or of
                `Frame`. An iterable is a file: in order, nothing dropped, time its own; it is drawn
                in a thread of its own, one item when one is asked for. Arrays are copied.
            query: What to find; None to follow only targets added by hand.
            order: Of arrays' channels, "rgb" or OpenCV's "bgr". A `Frame` is RGB always.
            max_frames: Stop after so many results.
            sinks: Also get every result, each in a thread of its own.
            on_event: Told of reconnects, groundings, failures, engines that stand in; called from
                several threads. What it raises is logged and goes no further.
            clock: Real for a live source and virtual for any other, unless given.

        Raises:
            QueryError: An empty or over-long query, or no text.
            UsageError: No such source; another run of this segmenter has not ended yet. With the
                first result: an item of an iterable is no picture.
            SourceSpecError, SourceError: With the first result: the source cannot be opened,
                failed or had no frames.
            OutputError: With the first result: a sink cannot write. After the last one, with all
                files finished: a sink of `sinks.build` has failed; when all of those that keep
                results have, the run ends there.
        """
        tell, most = careful(on_event), checked_count(max_frames, "max_frames")
        given = spec_or_source(source, order, self.config.source, RealClock(), tell)
        name = legible(given) if isinstance(given, str) else given.info.name
        ending = self._claim(query, name)
        if not isinstance(given, str):
            ending.then(_close, given, tell)

        def begin() -> Run:
            opened = self._opened(given, tell, ending)
            run_clock = clock or (RealClock() if opened.info.live else VirtualClock())
            reads = local_files(given) if isinstance(given, str) else ()
            return self._begin(opened, run_clock, query, sinks, tell, ending, reads)

        return Results(begin, ending, most)

    def session(
        self,
        query: str | None = None,
        *,
        order: Order = "rgb",
        live: bool = True,
        fps: float | None = None,
        name: str = "session",
        sinks: Sequence[Sink] = (),
        on_event: OnEvent | None = None,
    ) -> Session:
        """The push form, for who owns the loop: `with segmenter.session("the mug") as session:
        result = session.step(image)`. Sinks are opened and the reasoner is started by this call.

        Args:
            order: Of the pictures' channels, "rgb" or OpenCV's "bgr".
            live: Time is real and `step` never waits for the reasoner. False: time is the
                pictures' own, and `step` waits for an answer that is due, as on a file.
            fps: Of the pictures, where known: for the overlay, and for times that are not given;
                `source.fps` of the config otherwise.
            name: For people: in the summary and the overlay.
            query, sinks, on_event: As in `run`.

        Raises:
            QueryError: An empty or over-long query, or no text.
            UsageError: Another run of this segmenter has not ended yet.
            OutputError: A sink cannot write.
        """
        channels = checked_order(order)
        tell = careful(on_event)
        clock: Clock = RealClock() if live else VirtualClock()
        info = SourceInfo(name=name, live=live, fps=checked_fps(fps) or self.config.source.fps)
        pictures = PushedPictures(info, channels, self.config.source, clock, tell)
        ending = self._claim(query, name)
        try:
            run = self._begin(pictures, clock, query, sinks, tell, ending)
        except BaseException:
            ending.take()
            raise
        return Session(pictures, run, ending)

    def set_query(self, text: str) -> None:
        """Look for something else from the next frame on; the query in force changes nothing.
        Targets added by hand stay.

        Raises:
            QueryError: An empty or over-long query, or no text.
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

        Raises:
            UsageError: The box is no four finite numbers that hold an area, or a point no two.
        """
        self._inbox.add_target(checked_target(box, positive, negative, label))

    def remove_target(self, track_id: int) -> None:
        """Stop following an object; an unknown id is ignored."""
        self._inbox.remove_target(track_id)

    def stop(self) -> None:
        """End the run after the frame under way; its files are finished.

        Counts from the moment that `run` or `session` returned, also while a source is being
        opened, an answer is awaited or a sink hangs: within 2 s, a sink that hangs is left behind
        and told of. Where nothing runs it does nothing. Safe in a signal handler.
        """
        self._inbox.stop()

    def summary(self) -> dict[str, Any]:
        """Counts, latencies and groundings of the run under way, or of the last one."""
        run = self._run  # another thread may end the run meanwhile
        return self._summary if run is None else run.summary()

    # A run, from its claim to its end -----------------------------------------------------------

    def _claim(self, query: str | None, name: str) -> Ending:
        """Take the segmenter for a run; the ending gives it back."""
        if query is not None:
            check_query(query, self.config.reasoning.max_query_chars)
        if not self._running.acquire(blocking=False):
            raise UsageError(
                "this StreamSegmenter is already running: finish or close that run first, "
                "or make another StreamSegmenter"
            )
        ending = Ending(self._inbox.stop)
        ending.then(self._running.release)
        ending.then(self._inbox.take)  # what came too late is not the next run's
        self._summary = nothing_done(self.config, name, query)
        self._inbox.start(query)
        return ending

    def _opened(self, given: str | Source, tell: OnEvent, ending: Ending) -> Source:
        if self._inbox.stopped:
            raise StreamEnded
        if not isinstance(given, str):
            return given
        source = open_source(
            given, self.config.source, RealClock(), tell, lambda: self._inbox.stopped
        )
        ending.then(_close, source, tell)
        return source

    def _begin(
        self,
        source: Source,
        clock: Clock,
        query: str | None,
        sinks: Sequence[Sink],
        tell: OnEvent,
        ending: Ending,
        reads: Sequence[str] = (),
    ) -> Run:
        stages = self._segmenter, self._propagator
        made = self._reasoners
        run = Run(self.config, *stages, source, self._inbox, clock, tell, sinks, made)
        self._run = run
        ending.then(self._finish, run)
        run.open(query or "", reads)
        tell_choice(self.config, tell)
        return run

    def _finish(self, run: Run) -> None:
        try:
            run.close()
        finally:
            self._summary = run.summary()
            self._run = None
            self._propagator.reset()
            self._propagator.remove(self._propagator.ids)


def _close(source: Source, tell: OnEvent) -> None:
    """A source that cannot be closed is worth a word, but undoes nothing of the run."""
    try:
        source.close()
    except Exception as error:  # noqa: BLE001 - as above
        tell(Event("source_failed", f"{source.info.name} could not be closed: {error}"))
