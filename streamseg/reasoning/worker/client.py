"""The reasoner in a process of its own: asked without waiting, answered when it can, restarted when
it dies. Knows nothing of triggers or tracks.

One thread here owns the process: it copies pictures into shared memory, sends, listens, counts
the deadline and starts the process again. The caller's thread only leaves a request and looks for
a reply, so that neither a crash nor a hang ever costs a frame.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from streamseg.clock import Clock
from streamseg.config import ReasoningConfig
from streamseg.errors import ReasoningError
from streamseg.reasoning import GroundingRequest
from streamseg.reasoning.worker import wire
from streamseg.reasoning.worker.process import ProcessError, Wake, WorkerProcess
from streamseg.reasoning.worker.restarts import Restarts
from streamseg.reasoning.worker.slab import FrameSlab
from streamseg.types import Event, Grounding, Speed

WorkerState = Literal["starting", "ready", "restarting", "degraded", "closed"]
CLOSE_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a request: a grounding or an error, never both.

    Attributes:
        tag: The caller's own, from `submit`.
        grounding: The answer, None when there is an error.
        error: Why there is no answer, in one line.
        submitted_ns, finished_ns: Clock times; on a virtual clock computing takes no time.
        due_ns: Clock time from which the answer counts: it is finished and `delay_s` has passed.
    """

    tag: int
    grounding: Grounding | None
    error: str | None
    submitted_ns: int
    finished_ns: int
    due_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    serial: int
    tag: int
    request: GroundingRequest
    submitted_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class _Running:
    """The job that the process computes; it may not be wanted any more."""

    job: _Job
    give_up_s: float


class ReasoningWorker:
    """Asks a reasoner in another process; one request in flight, the newest one wins.

    `submit`, `cancel`, `poll`, `busy` and `state` never block. A request that is superseded or
    cancelled gets no reply; if the process is computing it already, its answer is dropped.

    Args:
        config: Deadline, delay and restarts of each speed; limits.
        clock: On a virtual one replies are not held back for `delay_s`: the caller holds them
            until `Reply.due_ns`.
        on_event: Told of crashes, missed deadlines, "degraded" and recovery, from the worker's
            own thread.
        speed: Which of the config's reasoners.
        factory: `module:function` that makes another reasoner from the config and the speed.
    """

    def __init__(
        self,
        config: ReasoningConfig,
        clock: Clock,
        on_event: Callable[[Event], None] = lambda event: None,
        *,
        speed: Speed = Speed.FAST,
        factory: str | None = None,
    ) -> None:
        self._config = config
        self._speed = speed
        self._own = config.speed(speed)
        self._clock = clock
        self._on_event = on_event
        self._factory = factory
        self._changed = threading.Condition()
        self._state: WorkerState = "starting"
        self._wanted: _Job | None = None
        self._reply: Reply | None = None
        self._closing = False
        self._serials = itertools.count()
        self._stale = 0
        self._restarts = Restarts(self._own)
        self.failures = 0
        """Crashes, hangs and nonsense so far."""
        self.last_failure: str | None = None
        self._running: _Running | None = None
        self._process: WorkerProcess | None = None
        self._slab = FrameSlab()
        self._wake = Wake()
        self._thread = threading.Thread(target=self._run, name=f"reasoning-{speed}", daemon=True)

    @property
    def state(self) -> WorkerState:
        """`ready` means that a request would reach the process at once."""
        return self._state

    @property
    def busy(self) -> bool:
        """A request is in flight, or its reply has not been taken yet."""
        with self._changed:
            return self._wanted is not None or self._reply is not None

    @property
    def idle(self) -> bool:
        """Nothing is being computed, not even an answer that nobody wants any more."""
        return self._running is None

    @property
    def pid(self) -> int | None:
        """The process's id while there is one, for telemetry."""
        process = self._process
        return None if process is None else process.pid

    @property
    def stale_answers(self) -> int:
        """Answers dropped because nobody wanted them any more."""
        return self._stale

    def start(self) -> None:
        """Start the process and return at once; requests wait until it is ready."""
        if not self._thread.is_alive():
            self._thread.start()

    def submit(self, request: GroundingRequest, tag: int) -> None:
        """Ask. An earlier request that has no reply yet is cancelled.

        The frames' pixels are copied later, by the worker's thread: they must not be written to.

        Raises:
            ReasoningError: The worker is closed, or the query is too long.
        """
        if len(request.text) > self._config.max_query_chars:
            raise ReasoningError(
                f"expected a query of at most {self._config.max_query_chars} characters "
                f"(reasoning.max_query_chars), got {len(request.text)}"
            )
        with self._changed:
            if self._closing:
                raise ReasoningError("the reasoning worker is closed: make a new one to ask")
            job = _Job(next(self._serials), tag, request, self._clock.now_ns())
            self._wanted, self._reply = job, None
            if self._state == "degraded":
                wait_s = self._restarts.wait_s(time.monotonic())
                self._finish(
                    error=f"the {self._speed} reasoner is degraded; next try in {wait_s:.0f} s"
                )
            else:
                self._wake.ring()

    def cancel(self) -> None:
        """Want no reply any more."""
        with self._changed:
            self._wanted = self._reply = None
            self._changed.notify_all()

    def poll(self) -> Reply | None:
        """Take the reply if there is one that is due."""
        with self._changed:
            return self._take_reply()

    def wait(self, timeout_s: float) -> Reply | None:
        """Block until there is a reply that is due and take it.

        Returns:
            None after `timeout_s`, or when nothing is in flight.
        """
        end_s = time.monotonic() + timeout_s
        with self._changed:
            while self._wanted is not None or self._reply is not None:
                if (reply := self._take_reply()) is not None:
                    return reply
                left_s = end_s - time.monotonic()
                if left_s <= 0:
                    return None
                self._changed.wait(min(left_s, self._until_due_s()))
        return None

    def wait_ready(self, timeout_s: float) -> bool:
        """Block until the process has loaded its reasoner; False when it has not by `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._state in ("ready", "closed"), timeout_s)
            return self._state == "ready"

    def close(self) -> None:
        """End the process within a second, whatever it is doing. May be called twice."""
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._wanted = self._reply = None
            self._changed.notify_all()
            self._wake.ring()
        if self._thread.is_alive():
            self._thread.join(CLOSE_TIMEOUT_S)
        else:
            self._release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # What follows down to `_finish` runs in the worker's own thread.

    def _run(self) -> None:
        try:
            while self._pause(self._restarts.wait_s(time.monotonic())):
                try:
                    with self._spawn() as self._process:
                        self._await_ready(self._process)
                        self._serve(self._process)
                except ProcessError as failure:
                    self._process = None
                    self._failed(str(failure))
                except Exception as fault:  # noqa: BLE001 - ours; this thread must outlive it
                    self._process = None
                    self._failed(f"could not be served: {type(fault).__name__}: {fault}")
        finally:
            self._process = None
            self._release()

    def _pause(self, seconds: float) -> bool:
        """Sit out the wait before a start; False when closing."""
        with self._changed:
            return not self._changed.wait_for(lambda: self._closing, seconds)

    def _spawn(self) -> WorkerProcess:
        arguments = ["--config", self._config.model_dump_json(), "--speed", self._speed]
        arguments += ["--slab", str(self._slab.fd)]
        if self._factory is not None:
            arguments += ["--factory", self._factory]
        return WorkerProcess(
            "streamseg.reasoning.worker.main", arguments, [self._slab.fd], self._wake
        )

    def _await_ready(self, process: WorkerProcess) -> None:
        end_s = time.monotonic() + self._own.start_timeout_s
        while not self._closing:
            line = process.receive(max(0.0, end_s - time.monotonic()))
            if line is not None:
                match _decode(line):
                    case wire.Ready():
                        self._set_state("ready")
                        return
                    case wire.Unable(message=message):
                        raise ProcessError(f"cannot load its model: {message}")
                    case _:
                        raise ProcessError("answered before it was ready")
            elif time.monotonic() >= end_s:
                raise ProcessError(
                    f"was not ready within {self._own.start_timeout_s:g} s "
                    f"(reasoning.{self._speed}.start_timeout_s)"
                )

    def _serve(self, process: WorkerProcess) -> None:
        while not self._closing:
            if self._running is None:
                self._hand_over(process)
            running = self._running
            left_s = None if running is None else max(0.0, running.give_up_s - time.monotonic())
            line = process.receive(left_s)
            if line is not None:
                self._answered(_decode(line))
            elif running is not None and time.monotonic() >= running.give_up_s:
                raise ProcessError(
                    f"did not answer within {self._own.deadline_s:g} s "
                    f"(reasoning.{self._speed}.deadline_s)"
                )

    def _hand_over(self, process: WorkerProcess) -> None:
        """Send the wanted job, if any, to the idle process."""
        with self._changed:
            job = self._wanted
        if job is None:
            return
        self._running = _Running(job, time.monotonic() + self._own.deadline_s)
        offsets = self._slab.put([frame.image for frame in wire.frames_of(job.request)])
        process.send(wire.encode_request(job.serial, job.request, offsets))

    def _answered(self, reply: wire.Reply) -> None:
        running = self._running
        if not isinstance(reply, wire.Answer | wire.Refusal) or running is None:
            raise ProcessError("spoke without being asked")
        if reply.serial != running.job.serial:
            raise ProcessError(f"answered {reply.serial}, was asked {running.job.serial}")
        self._running = None
        self._recovered()
        grounding, error = self._judge(reply, running.job)
        with self._changed:
            if self._wanted is running.job:
                self._finish(grounding, error)
            else:
                self._stale += 1

    def _judge(
        self, reply: wire.Answer | wire.Refusal, job: _Job
    ) -> tuple[Grounding | None, str | None]:
        if isinstance(reply, wire.Refusal):
            return None, reply.message
        try:
            return wire.to_grounding(reply, job.request.target, self._config.max_targets), None
        except ReasoningError as error:
            return None, str(error)

    def _recovered(self) -> None:
        was_degraded = self._restarts.degraded
        self._restarts.answered()
        if was_degraded:
            self._tell("reasoning_restored", f"the {self._speed} reasoner answers again")

    def _failed(self, why: str) -> None:
        running, self._running = self._running, None
        was_degraded = self._restarts.degraded
        now_s = time.monotonic()
        self._restarts.crashed(now_s)
        message = f"the {self._speed} reasoning process {why}"
        self.failures, self.last_failure = self.failures + 1, message
        with self._changed:
            degraded = self._restarts.degraded
            self._set_state("degraded" if degraded else "restarting")
            # A wanted job that waited behind a stale one is still owed its turn.
            stale = running is not None and running.job is not self._wanted
            if self._wanted is not None and (degraded or not stale):
                self._finish(error=message)
        wait_s = self._restarts.wait_s(now_s)
        self._tell("reasoning_failed", f"{message}; starting it again in {wait_s:g} s")
        if degraded and not was_degraded:
            self._tell(
                "reasoning_degraded",
                f"the {self._speed} reasoning process failed {self._restarts.in_a_row} times in a "
                "row; masks go on without new groundings",
            )

    def _release(self) -> None:
        with self._changed:
            self._closing = True
            if self._wanted is not None:
                self._finish(error="the reasoning worker is closed")
            self._wake.close()
            self._set_state("closed")
        self._slab.close()

    # Called with or without the lock; it is re-entrant.

    def _finish(self, grounding: Grounding | None = None, error: str | None = None) -> None:
        with self._changed:
            job = self._wanted
            assert job is not None
            finished_ns = self._clock.now_ns()
            due_ns = max(finished_ns, job.submitted_ns + round(self._own.delay_s * 1e9))
            self._reply = Reply(job.tag, grounding, error, job.submitted_ns, finished_ns, due_ns)
            self._wanted = None
            self._changed.notify_all()

    def _take_reply(self) -> Reply | None:
        reply = self._reply
        if reply is None or (not self._clock.virtual and self._clock.now_ns() < reply.due_ns):
            return None
        self._reply = None
        return reply

    def _until_due_s(self) -> float:
        """Longest nap while waiting: to the reply's time, or to the next word of the thread."""
        if self._reply is None:
            return threading.TIMEOUT_MAX
        return max(0.0, (self._reply.due_ns - self._clock.now_ns()) / 1e9)

    def _set_state(self, state: WorkerState) -> None:
        with self._changed:
            self._state = state
            self._changed.notify_all()

    def _tell(self, kind: str, message: str) -> None:
        self._on_event(Event(kind, message, self._clock.now_ns()))


def _decode(line: bytes) -> wire.Reply:
    try:
        return wire.decode_reply(line)
    except ReasoningError as error:
        raise ProcessError(f"spoke nonsense: {error}") from None
