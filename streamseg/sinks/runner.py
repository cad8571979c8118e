"""Runs every sink in a thread of its own, so that a slow or failing one delays no other.

Knows queues and threads; knows neither what a sink writes nor where results come from.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from streamseg.config import SinksConfig
from streamseg.errors import OutputError
from streamseg.sinks import Sink
from streamseg.types import Event, FrameResult, SourceInfo

OnEvent = Callable[[Event], None]

_STOP_CHECK_S = 0.25
"""How often `put`, waiting for a sink, looks whether the run was stopped."""


class SinkRunner:
    """Hands results to sinks: `open`, `put` ..., `close`, in that order, from one thread.

    Live, a sink that has fallen `queue_frames` behind loses its oldest waiting result, and this
    is counted; from a file `put` waits for it instead, until the run is `stopped`. A sink that
    raises is closed, told of in an event, and left out from then on.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        config: SinksConfig,
        live: bool,
        on_event: OnEvent = lambda event: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._close_s = config.close_s
        self._on_event = on_event
        self._lanes = [_Lane(sink, config.queue_frames, live, on_event, stopped) for sink in sinks]

    def open(self, info: SourceInfo, query: str) -> None:
        """Open all sinks, in order.

        Raises:
            OutputError: One of them cannot work; those opened before it are closed again.
        """
        for position, lane in enumerate(self._lanes):
            try:
                lane.start(info, query)
            except BaseException:
                lane.drain()  # also one whose opening was interrupted and still goes on
                lane.finish({})
                del self._lanes[position:]
                self.close({})
                raise

    def put(self, result: FrameResult) -> None:
        """Queue a result for every sink; what it holds must not be written to afterwards."""
        for lane in self._lanes:
            lane.put(result)

    def close(self, summary: Mapping[str, Any]) -> None:
        """Let every sink write what it still holds, then finish it; each step gets `close_s`, and
        on a file, where nothing may be lost, as long as the sink gets on.

        The sinks are closed with `summary` plus "sinks", what each of them wrote and dropped.
        May be called twice.
        """
        for lane in self._lanes:
            lane.drain()
        deadline_s = time.monotonic() + self._close_s
        for lane in self._lanes:
            lane.wait_drained(deadline_s, self._close_s)
        complete = {**summary, "sinks": self.summary()}
        for lane in self._lanes:
            lane.finish(complete)
        deadline_s = time.monotonic() + self._close_s
        for lane in self._lanes:
            lane.join(deadline_s)
        for lane in self._lanes:
            if lane.alive:
                self._tell_unfinished(lane)

    def _tell_unfinished(self, lane: _Lane) -> None:
        message = (
            f"sink {lane.name} did not finish within {self._close_s:g} s: "
            "its last frames may be missing"
        )
        self._on_event(Event("sink_timeout", message))

    @property
    def dropped(self) -> dict[str, int]:
        """Results dropped so far, by sink; only those that dropped any."""
        return {lane.name: lane.dropped for lane in self._lanes if lane.dropped}

    def summary(self) -> dict[str, dict[str, Any]]:
        """Per sink: written, dropped, and why it failed (None when it did not)."""
        return {
            lane.name: {"written": lane.written, "dropped": lane.dropped, "error": lane.error}
            for lane in self._lanes
        }


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
        self.error: str | None = None
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

    def start(self, info: SourceInfo, query: str) -> None:
        """Open the sink in its own thread and wait for the outcome.

        Raises:
            OutputError: It cannot work.
        """
        self._thread = threading.Thread(
            target=self._run, args=(info, query), name=f"sink-{self.name}", daemon=True
        )
        self._thread.start()
        self._opened.wait()
        if isinstance(self._open_error, OSError):
            raise OutputError(f"sink {self.name} cannot write: {self._open_error}")
        if self._open_error is not None:
            raise self._open_error

    def put(self, result: FrameResult) -> None:
        with self._changed:
            if self.error is not None or self._draining:
                return
            if self._live and len(self._queue) >= self._capacity:
                self._queue.popleft()
                self.dropped += 1
            while not self._changed.wait_for(self._has_room, _STOP_CHECK_S):
                if self._stopped():
                    self.dropped += 1
                    return
            if self.error is None:
                self._queue.append(result)
                self._changed.notify_all()

    def _has_room(self) -> bool:
        return len(self._queue) < self._capacity or self.error is not None

    def drain(self) -> None:
        with self._changed:
            self._draining = True
            self._changed.notify_all()

    def wait_drained(self, deadline_s: float, patience_s: float) -> None:
        """Wait until `deadline_s`; on a file, until nothing was written for `patience_s`."""
        written = self.written
        while self.alive and (left_s := deadline_s - time.monotonic()) > 0:
            if self._drained.wait(min(left_s, _STOP_CHECK_S)):
                return
            if not self._live and self.written > written:
                written, deadline_s = self.written, time.monotonic() + patience_s

    def finish(self, summary: Mapping[str, Any]) -> None:
        if not self._finishing.is_set():
            self._summary = summary
            self._finishing.set()

    def join(self, deadline_s: float) -> None:
        if self._thread is not None:
            self._thread.join(max(0.0, deadline_s - time.monotonic()))

    def _run(self, info: SourceInfo, query: str) -> None:
        try:
            self._sink.open(info, query)
        except BaseException as error:  # noqa: BLE001  (handed to the thread that waits in start)
            self._open_error = error
            return
        finally:
            self._opened.set()
        try:
            self._write_all()
        except BaseException as error:  # noqa: BLE001  (a sink may fail in any way; others go on)
            self._fail(error, "failed and is switched off")
        self._drained.set()
        self._finishing.wait()
        try:
            self._sink.close(self._summary)
        except BaseException as error:  # noqa: BLE001  (as above)
            self._fail(error, "could not finish")

    def _write_all(self) -> None:
        while (result := self._next()) is not None:
            self._sink.write(result)
            self.written += 1

    def _next(self) -> FrameResult | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._draining)
            if not self._queue:
                return None
            result = self._queue.popleft()
            self._changed.notify_all()
            return result

    def _fail(self, error: BaseException, what: str) -> None:
        with self._changed:
            self.error = f"{type(error).__name__}: {error}"
            self._queue.clear()
            self._changed.notify_all()
        self._on_event(Event("sink_failed", f"sink {self.name} {what}: {self.error}"))
