"""Runs every sink in a thread of its own, so that a slow or failing one delays no other.

Knows queues and threads; knows neither what a sink writes nor where results come from.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from streamseg.config import SinksConfig
from streamseg.errors import OutputError, UsageError
from streamseg.sinks import Refused, Role, Saved, Sink
from streamseg.sinks.output.files import reason_of
from streamseg.types import Event, FrameResult, SourceInfo

OnEvent = Callable[[Event], None]

_STOP_CHECK_S = 0.25
"""How often a wait for a sink looks whether the run was stopped."""
STOPPED_CLOSE_S = 1.5
"""In place of a longer `close_s` once the run was stopped: a sink that hangs is left behind."""
_CALLS = ("open", "write", "close")
_MOST_REFUSED_IN_A_ROW = 100
"""Results; a sink that takes none of so many takes none at all."""


class SinkRunner:
    """Hands results to sinks: `open`, `put` ..., `close`, in that order, from one thread.

    Live, a sink that has fallen `queue_frames` behind loses its oldest waiting result, and this
    is counted; from a file `put` waits for it instead, until the run is `stopped`. A result that
    a sink refuses is counted as dropped, and told of the first time. A sink that raises is closed,
    told of in an event, and left out from then on.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        config: SinksConfig,
        live: bool,
        on_event: OnEvent = lambda event: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Raises:
            UsageError: What is to take results is no sink.
        """
        self._close_s = config.close_s
        self._live = live
        self._stopped = stopped
        self._on_event = on_event
        self._lanes = [
            _Lane(sink, config.queue_frames, live, on_event, stopped) for sink in _checked(sinks)
        ]

    def open(self, info: SourceInfo, query: str, reads: Sequence[str] = ()) -> None:
        """Let all sinks check, then open them, in order: none changes anything before all have
        looked.

        Args:
            reads: Local files that the source reads.

        Raises:
            OutputError: One of them cannot work; those before it are closed again.
        """
        try:
            for lane in self._lanes:
                lane.check(reads)
            for lane in self._lanes:
                lane.start(info, query)
        except BaseException:
            lanes, self._lanes = self._lanes, []
            for lane in lanes:
                lane.drain()  # also one whose opening was interrupted and still goes on
                lane.abandon()
            deadline_s = time.monotonic() + self._close_s
            for lane in lanes:
                lane.join(deadline_s)
            raise

    def put(self, result: FrameResult) -> None:
        """Queue a result for every sink; what it holds must not be written to afterwards."""
        for lane in self._lanes:
            lane.put(result)

    def close(self, summary: Mapping[str, Any]) -> None:
        """Let every sink write what it still holds, then finish it; each step gets `close_s`, and
        on a file, where nothing may be lost, as long as the sink gets on. Once the run was stopped
        a step gets `STOPPED_CLOSE_S`, or as long as the sink gets on; one that hung in the first
        is not waited for in the second.

        The sinks are closed with `summary` plus "sinks", what each of them wrote and dropped; those
        that write it come last, so that it also tells who could not finish. May be called twice.
        """
        for lane in self._lanes:
            lane.drain()
        self._wait_while(lambda lane: lane.error is None and not lane.drained)
        last = [lane for lane in self._lanes if lane.role is Role.SUMMARY]
        for lanes in ([lane for lane in self._lanes if lane not in last], last):
            self._finish(lanes, {**summary, "sinks": self.summary()})

    def _finish(self, lanes: Sequence[_Lane], summary: Mapping[str, Any]) -> None:
        for lane in lanes:
            lane.finish(summary)
        self._wait_while(lambda lane: lane in lanes and (lane.drained or not self._stopped()))
        for lane in lanes:
            if lane.alive:
                self._tell_unfinished(lane)

    def _wait_while(self, busy: Callable[[_Lane], bool]) -> None:
        """Wait for the lanes that are busy, as long as patience lasts; it lasts longer while any
        of them gets on, on a file or once the run was stopped: what is left to write is little."""
        patience, written = _Patience(self._close_s, self._stopped), self._written()
        while (left_s := patience.left_s()) > 0:
            waiting = next((lane for lane in self._lanes if lane.alive and busy(lane)), None)
            if waiting is None:
                return
            waiting.wait_for_change(min(left_s, _STOP_CHECK_S))
            if self._written() > written and (not self._live or self._stopped()):
                patience, written = _Patience(self._close_s, self._stopped), self._written()

    def _written(self) -> int:
        return sum(lane.written for lane in self._lanes)

    def _tell_unfinished(self, lane: _Lane) -> None:
        limit_s = min(self._close_s, STOPPED_CLOSE_S) if self._stopped() else self._close_s
        why = f"did not finish within {limit_s:g} s"
        lane.give_up(why)
        message = f"sink {lane.name} {why} and is left behind: its last frames may be missing"
        self._on_event(Event("sink_timeout", message))

    @property
    def dropped(self) -> dict[str, int]:
        """Results dropped so far, by sink; only those that dropped any."""
        return {lane.name: lane.dropped for lane in self._lanes if lane.dropped}

    def summary(self) -> dict[str, dict[str, Any]]:
        """Per sink: written, dropped, and why it failed (None when it did not).

        Where a sink failed "last_frame" is the last whole one of what it wrote, None without one;
        where it refused results "refused" counts them; they are among the dropped.
        """
        return {lane.name: lane.summary() for lane in self._lanes}

    @property
    def all_failed(self) -> bool:
        """Whether all sinks that keep results have failed, so that going on keeps none."""
        keeping = [lane for lane in self._lanes if lane.role is Role.RESULTS]
        return bool(keeping) and all(lane.error is not None for lane in keeping)

    def raise_failures(self) -> None:
        """
        Raises:
            OutputError: Sinks that matter to the run have failed; names each, with the cause and
                the last whole frame.
        """
        failed = [lane for lane in self._lanes if lane.error and lane.role is not Role.ASIDE]
        if failed:
            told = "; ".join(f"{lane.name} failed ({lane.failure})" for lane in failed)
            raise OutputError(f"not everything could be written: {told}")


def _checked(sinks: object) -> list[Sink]:
    whole = isinstance(sinks, list | tuple)
    for sink in cast(Sequence[object], sinks) if whole else [sinks]:
        if not (whole and all(hasattr(sink, part) for part in ("name", *_CALLS))):
            raise UsageError(
                "sinks: expected a list of sinks, each with name, open, write and close, such as "
                f"sinks.build makes; got {type(sink).__name__}"
            )
    return list(cast(Sequence[Sink], sinks))


class _Patience:
    """How long to wait for sinks still: less, once the run was stopped."""

    def __init__(self, close_s: float, stopped: Callable[[], bool]) -> None:
        self._close_s = close_s
        self._stopped = stopped
        self._began_s = time.monotonic()
        self._stopped_s: float | None = None

    def left_s(self) -> float:
        now_s = time.monotonic()
        left_s = self._began_s + self._close_s - now_s
        if self._stopped():
            self._stopped_s = now_s if self._stopped_s is None else self._stopped_s
            left_s = min(left_s, self._stopped_s + STOPPED_CLOSE_S - now_s)
        return left_s


class _Lane:
    """One sink, its queue and its thread."""

    def __init__(
        self,
        sink: Sink,
        capacity: int,
        live: bool,
        on_event: OnEvent,
        stopped: Callable[[], bool],
    ) -> None:
        self.name = sink.name
        self.written = 0
        self.dropped = 0
        self.refused = 0
        self.error: str | None = None
        self.role: Role = getattr(sink, "role", Role.ASIDE)
        self._checked = False
        self._refused_in_a_row = 0
        self._last: int | None = None
        self._sink = sink
        self._capacity = capacity
        self._live = live
        self._on_event = on_event
        self._stopped = stopped
        self._queue: deque[FrameResult] = deque()
        self._changed = threading.Condition()
        self._opened = threading.Event()
        self._open_error: BaseException | None = None
        self._draining = False
        self._drained = threading.Event()
        self._finishing = threading.Event()
        self._summary: Mapping[str, Any] = {}
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    @property
    def drained(self) -> bool:
        """All results are written, or never will be."""
        return self._drained.is_set()

    def check(self, reads: Sequence[str]) -> None:
        """Let the sink look, if it wants to, before anything is changed.

        Raises:
            OutputError: It cannot work.
        """
        check = getattr(self._sink, "check", None)
        if check is not None:
            check(reads)
            self._checked = True

    def abandon(self) -> None:
        """End it before the first result, whether it was opened or not."""
        if self._thread is not None:
            self.finish({})
        elif self._checked:
            with suppress(BaseException):
                self._sink.close({})

    @property
    def failure(self) -> str:
        """Why it failed, and what of its results is whole."""
        if self.role is not Role.RESULTS:
            return str(self.error)
        last = self.saved.last
        whole = "no frame of it is whole" if last is None else f"whole up to frame {last}"
        return f"{self.error}; {whole}"

    @property
    def saved(self) -> Saved:
        """What can be read back, should it stay at what is written now."""
        saved: Saved = getattr(self._sink, "saved", Saved(self.written, self._last))
        return saved

    def summary(self) -> dict[str, Any]:
        saved = Saved(self.written, self._last) if self.error is None else self.saved
        lost = self.dropped + self.written - saved.frames
        told: dict[str, Any] = {"written": saved.frames, "dropped": lost, "error": self.error}
        if self.error is not None and self.role is Role.RESULTS:
            told["last_frame"] = saved.last
        if self.refused:
            told["refused"] = self.refused
        return told

    def start(self, info: SourceInfo, query: str) -> None:
        """Open the sink in its own thread and wait for the outcome.

        Raises:
            OutputError: It cannot work.
        """
        self._thread = threading.Thread(
            target=self._run, args=(info, query), name=f"sink-{self.name}", daemon=True
        )
        self._thread.start()
        patience = _Patience(math.inf, self._stopped)
        while not self._opened.wait(_STOP_CHECK_S):
            if patience.left_s() <= 0:
                self.give_up("was not open when the run was stopped")
                return
        if isinstance(self._open_error, OSError):
            raise OutputError(f"sink {self.name} cannot write: {reason_of(self._open_error)}")
        if self._open_error is not None:
            raise self._open_error

    def put(self, result: FrameResult) -> None:
        with self._changed:
            if self._draining:
                return
            if self._live and len(self._queue) >= self._capacity:
                self._queue.popleft()
                self.dropped += 1
            while not self._changed.wait_for(self._has_room, _STOP_CHECK_S):
                if self._stopped():
                    break
            if self.error is not None or not self._has_room():
                self.dropped += 1
                return
            self._queue.append(result)
            self._changed.notify_all()

    def _has_room(self) -> bool:
        return len(self._queue) < self._capacity or self.error is not None

    def drain(self) -> None:
        with self._changed:
            self._draining = True
            self._changed.notify_all()

    def finish(self, summary: Mapping[str, Any]) -> None:
        if not self._finishing.is_set():
            self._summary = summary
            self._finishing.set()

    def join(self, deadline_s: float) -> None:
        if self._thread is not None:
            self._thread.join(max(0.0, deadline_s - time.monotonic()))

    def wait_for_change(self, timeout_s: float) -> None:
        """Wait until all is written or, after that, until the sink has ended."""
        if not self.drained:
            self._drained.wait(timeout_s)
        elif self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self, info: SourceInfo, query: str) -> None:
        try:
            self._sink.open(info, query)
        except BaseException as error:  # noqa: BLE001  (handed to the thread that waits in start)
            self._open_error = error
            if self._checked:
                with suppress(BaseException):
                    self._sink.close({})
            return
        finally:
            self._opened.set()
        try:
            self._write_all()
        except BaseException as error:  # noqa: BLE001  (a sink may fail in any way; others go on)
            self._fail(error, "failed and is switched off")
        self._drained.set()
        self._finishing.wait()
        self._close(self._summary)

    def _close(self, summary: Mapping[str, Any]) -> None:
        try:
            self._sink.close(summary)
        except BaseException as error:  # noqa: BLE001  (a sink may fail in any way; others go on)
            if self.error is None:
                self._fail(error, "could not finish")

    def _write_all(self) -> None:
        while (result := self._next()) is not None:
            try:
                self._sink.write(result)
            except Refused as refusal:
                self._refuse(result, refusal)
            except BaseException:
                self._drop_one()
                raise
            else:
                self.written += 1
                self._last, self._refused_in_a_row = result.frame.index, 0
        if self.refused and not self.written:
            raise OutputError("it took none of the results")

    def _refuse(self, result: FrameResult, refusal: Refused) -> None:
        """Count one result that the sink did not take; one too many ends it."""
        self._drop_one()
        self.refused += 1
        self._refused_in_a_row += 1
        if self._refused_in_a_row > _MOST_REFUSED_IN_A_ROW:
            raise OutputError(f"{refusal}, {self._refused_in_a_row} times in a row")
        if self.refused == 1:
            index = result.frame.index
            message = f"sink {self.name} leaves out frame {index}: {refusal}; others are counted"
            self._on_event(Event("sink_refused", message, frame_index=index))

    def _drop_one(self) -> None:
        with self._changed:
            self.dropped += 1

    def _next(self) -> FrameResult | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._draining)
            if not self._queue:
                return None
            result = self._queue.popleft()
            self._changed.notify_all()
            return result

    def give_up(self, why: str) -> None:
        """Note that the sink has failed; what waits for it is dropped."""
        with self._changed:
            if self.error is None:
                self.error = why
            self.dropped += len(self._queue)
            self._queue.clear()
            self._changed.notify_all()

    def _fail(self, error: BaseException, what: str) -> None:
        self.give_up(str(error) if isinstance(error, OutputError) else reason_of(error))
        self._on_event(Event("sink_failed", f"sink {self.name} {what}: {self.failure}"))
