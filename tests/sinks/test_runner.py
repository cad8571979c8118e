"""A slow sink delays nobody, a failing one is left out, and the end is the end for all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from results import INFO, make_result

from streamseg.config import SinksConfig
from streamseg.errors import OutputError, UsageError
from streamseg.sinks import Refused, Role, Saved
from streamseg.sinks.runner import SinkRunner
from streamseg.types import Event, FrameResult, SourceInfo

PATIENCE_S = 20.0


class Recorder:
    """A sink that keeps what it gets, and stops at a gate where it has one."""

    def __init__(self, name: str = "recorder", gate: threading.Event | None = None) -> None:
        self.name = name
        self.frames: list[int] = []
        self.threads: set[int] = set()
        self.summary: Mapping[str, Any] | None = None
        self.entered = threading.Event()
        self._gate = gate

    def open(self, info: SourceInfo, query: str) -> None:
        self.threads.add(threading.get_ident())

    def write(self, result: FrameResult) -> None:
        self.entered.set()
        if self._gate is not None:
            assert self._gate.wait(PATIENCE_S)
        self.threads.add(threading.get_ident())
        self.frames.append(result.frame.index)

    def close(self, summary: Mapping[str, Any]) -> None:
        self.threads.add(threading.get_ident())
        self.summary = summary


class Failing(Recorder):
    """Raises at one of its three calls."""

    def __init__(self, at: str, error: Exception) -> None:
        super().__init__("failing")
        self._at = at
        self._error = error

    def _maybe(self, at: str) -> None:
        if at == self._at:
            raise self._error

    def open(self, info: SourceInfo, query: str) -> None:
        self._maybe("open")

    def write(self, result: FrameResult) -> None:
        if result.frame.index == 2:
            self._maybe("write")
        super().write(result)

    def close(self, summary: Mapping[str, Any]) -> None:
        super().close(summary)
        self._maybe("close")


def run(
    sinks: Sequence[Recorder], count: int = 6, live: bool = False, **config: Any
) -> tuple[SinkRunner, list[Event]]:
    events: list[Event] = []
    runner = SinkRunner(sinks, SinksConfig(**config), live, events.append)
    runner.open(INFO, "the mug")
    for index in range(count):
        runner.put(make_result(index))
    runner.close({"frames": count})
    return runner, events


def test_every_sink_gets_every_result_in_order_in_one_thread_of_its_own() -> None:
    sinks = [Recorder("a"), Recorder("b")]
    runner, events = run(sinks, count=50, queue_frames=2)
    for sink in sinks:
        assert sink.frames == list(range(50))
        assert len(sink.threads) == 1
        assert threading.get_ident() not in sink.threads
    assert sinks[0].threads != sinks[1].threads
    assert runner.dropped == {}
    assert events == []


def test_the_closing_summary_tells_what_each_sink_wrote() -> None:
    sink = Recorder()
    run([sink], count=3)
    assert sink.summary == {
        "frames": 3,
        "sinks": {"recorder": {"written": 3, "dropped": 0, "error": None}},
    }


@pytest.mark.parametrize("sinks", ["masks", ["masks"], [None], Recorder(), [object()]])
def test_what_takes_no_results_is_refused_by_name(sinks: Any) -> None:
    with pytest.raises(UsageError, match="sinks: expected a list of sinks"):
        SinkRunner(sinks, SinksConfig(), live=False)


def test_live_a_stuck_sink_loses_its_oldest_and_delays_nobody() -> None:
    gate = threading.Event()
    stuck, quick = Recorder("stuck", gate), Recorder("quick")
    runner = SinkRunner([stuck, quick], SinksConfig(queue_frames=4), live=True)
    runner.open(INFO, "the mug")
    runner.put(make_result(0))
    assert stuck.entered.wait(PATIENCE_S)
    for index in range(1, 10):
        quick.entered.clear()
        runner.put(make_result(index))  # returns although the other sink is stuck
        assert quick.entered.wait(PATIENCE_S)
    assert runner.dropped == {"stuck": 5}
    gate.set()
    runner.close({})
    assert quick.frames == list(range(10))
    assert stuck.frames == [0, 6, 7, 8, 9]


def test_from_a_file_put_waits_for_the_slowest_sink() -> None:
    gate = threading.Event()
    stuck = Recorder("stuck", gate)
    runner = SinkRunner([stuck], SinksConfig(queue_frames=2), live=False)
    runner.open(INFO, "the mug")
    put = []

    def feed() -> None:
        for index in range(8):
            runner.put(make_result(index))
            put.append(index)

    feeder = threading.Thread(target=feed)
    feeder.start()
    assert stuck.entered.wait(PATIENCE_S)
    feeder.join(0.2)
    assert feeder.is_alive()
    assert len(put) <= 3
    gate.set()
    feeder.join(PATIENCE_S)
    runner.close({})
    assert stuck.frames == list(range(8))


@pytest.mark.parametrize("live", [False, True])
def test_a_sink_that_fails_is_told_of_and_left_out(live: bool) -> None:
    failing, other = Failing("write", OSError(28, "No space left on device")), Recorder("other")
    runner, events = run([failing, other], count=40, live=live, queue_frames=64)
    assert failing.frames == [0, 1]
    assert failing.summary is not None
    assert other.frames == list(range(40))
    assert [event.kind for event in events] == ["sink_failed"]
    assert "No space left on device" in events[0].message
    assert "No space left on device" in runner.summary()["failing"]["error"]
    assert runner.summary()["other"]["error"] is None


def test_a_failing_sink_with_a_full_queue_lets_the_file_go_on() -> None:
    failing = Failing("write", ValueError("boom"))
    _, events = run([failing], count=40, queue_frames=1)
    assert len(events) == 1


def test_a_sink_that_cannot_finish_is_told_of() -> None:
    other = Recorder("other")
    _, events = run([Failing("close", ValueError("boom")), other])
    assert [event.message for event in events] == [
        "sink failing could not finish: ValueError: boom"
    ]
    assert other.summary is not None


@pytest.mark.parametrize("error", [OutputError("cannot write"), OSError(13, "cannot write")])
def test_a_sink_that_cannot_open_stops_the_run_and_closes_the_others(error: Exception) -> None:
    before, after = Recorder("before"), Recorder("after")
    runner = SinkRunner([before, Failing("open", error), after], SinksConfig(), live=False)
    with pytest.raises(OutputError, match="cannot write"):
        runner.open(INFO, "the mug")
    assert before.summary is not None
    assert after.threads == set()


class Checking(Recorder):
    """Takes part in the run's result: checks first, keeps results, may say what is saved."""

    def __init__(
        self,
        name: str = "checking",
        role: Role = Role.RESULTS,
        fail_at: int | None = None,
        refuse: Callable[[int], bool] = lambda index: False,
    ) -> None:
        super().__init__(name)
        self.role = role
        self.calls: list[str] = []
        self.check_error: Exception | None = None
        self.close_error: Exception | None = None
        self._fail_at = fail_at
        self._refuse = refuse

    def check(self, reads: Sequence[str]) -> None:
        if self.check_error is not None:
            raise self.check_error
        self.calls.append(f"check {list(reads)}")

    def open(self, info: SourceInfo, query: str) -> None:
        super().open(info, query)
        self.calls.append("open")

    def write(self, result: FrameResult) -> None:
        if result.frame.index == self._fail_at:
            raise OSError(28, "No space left on device")
        if self._refuse(result.frame.index):
            raise Refused("no such colour")
        super().write(result)

    def close(self, summary: Mapping[str, Any]) -> None:
        super().close(summary)
        self.calls.append("close")
        if self.close_error is not None:
            raise self.close_error


def test_all_check_before_any_opens_and_one_refusal_touches_nothing() -> None:
    first, plain, last = Checking("first"), Recorder("plain"), Checking("last")
    last.check_error = OutputError("not here")
    runner = SinkRunner([first, plain, last], SinksConfig(), live=False)
    with pytest.raises(OutputError, match="not here"):
        runner.open(INFO, "the mug", ["clip.mp4"])
    assert first.calls == ["check ['clip.mp4']", "close"]
    assert plain.summary is None
    assert last.calls == []
    assert runner.summary() == {}


def test_a_sink_that_checked_is_closed_also_when_another_cannot_open() -> None:
    sinks = [Checking("before"), Failing("open", OSError(28, "full")), Checking("after")]
    with pytest.raises(OutputError, match="sink failing cannot write: full"):
        SinkRunner(sinks, SinksConfig(), live=False).open(INFO, "the mug")
    assert sinks[0].calls == ["check []", "open", "close"]  # type: ignore[attr-defined]
    assert sinks[2].calls == ["check []", "close"]  # type: ignore[attr-defined]


def test_a_refused_result_costs_that_result_and_is_told_once() -> None:
    sink = Checking(refuse=lambda index: index in (3, 4, 9))
    runner, events = run([sink], count=20)
    assert sink.frames == [i for i in range(20) if i not in (3, 4, 9)]
    assert [(event.kind, event.frame_index) for event in events] == [("sink_refused", 3)]
    assert runner.summary()["checking"] == {
        "written": 17,
        "dropped": 3,
        "error": None,
        "refused": 3,
    }
    runner.raise_failures()


def test_a_sink_that_goes_on_refusing_has_failed() -> None:
    sink = Checking(refuse=lambda index: index >= 5)
    runner, events = run([sink], count=300)
    assert [event.kind for event in events] == ["sink_refused", "sink_failed"]
    told = runner.summary()["checking"]
    assert (told["written"], told["dropped"], told["last_frame"]) == (5, 295, 4)
    with pytest.raises(
        OutputError, match="no such colour, 101 times in a row; whole up to frame 4"
    ):
        runner.raise_failures()


def test_a_sink_that_took_nothing_of_a_short_run_has_failed() -> None:
    runner, _ = run([Checking(refuse=lambda index: True)], count=3)
    with pytest.raises(OutputError, match="took none of the results; no frame of it is whole"):
        runner.raise_failures()


def test_a_failure_names_the_sink_the_cause_and_the_last_whole_frame() -> None:
    failing, other = Checking("masks", fail_at=7), Checking("overlay")
    runner, events = run([failing, other], count=20)
    told = "No space left on device; whole up to frame 6"
    assert [event.message for event in events] == [f"sink masks failed and is switched off: {told}"]
    assert runner.summary()["masks"] == {
        "written": 7,
        "dropped": 13,
        "error": "No space left on device",
        "last_frame": 6,
    }
    assert not runner.all_failed
    with pytest.raises(OutputError, match=rf"^not everything .*: masks failed \({told}\)$"):
        runner.raise_failures()


def test_what_a_sink_held_back_is_not_counted_as_written() -> None:
    sink = Checking("overlay", fail_at=7)
    sink.saved = Saved(5, 4)  # type: ignore[attr-defined]
    runner, _ = run([sink], count=10)
    told = runner.summary()["overlay"]
    assert (told["written"], told["dropped"], told["last_frame"]) == (5, 5, 4)


def test_all_have_failed_when_all_that_keep_results_have() -> None:
    sinks = [
        Checking("masks", fail_at=2),
        Checking("overlay", fail_at=3),
        Checking("summary", Role.SUMMARY),
        Checking("status", Role.ASIDE),
        Recorder("anybody's"),
    ]
    runner, _ = run(sinks, count=9)
    assert runner.all_failed
    assert not run(sinks[2:])[0].all_failed
    assert not run([])[0].all_failed


def test_what_is_aside_fails_without_failing_the_run() -> None:
    runner, events = run([Checking("status", Role.ASIDE, fail_at=1), Failing("write", OSError(5))])
    assert len(events) == 2
    runner.raise_failures()


def test_the_summary_is_written_last_and_tells_who_could_not_finish() -> None:
    summary, overlay = Checking("summary", Role.SUMMARY), Checking("overlay")
    overlay.close_error = OSError(28, "No space left on device")
    run([summary, overlay], count=4)
    assert summary.summary is not None
    assert summary.summary["sinks"]["overlay"]["error"] == "No space left on device"


def test_a_sink_that_does_not_finish_has_failed() -> None:
    gate = threading.Event()
    hanging, summary = Recorder("overlay", gate), Checking("summary", Role.SUMMARY)
    hanging.role = Role.RESULTS  # type: ignore[attr-defined]
    runner = SinkRunner([hanging, summary], SinksConfig(close_s=0.1), live=True)
    runner.open(INFO, "the mug")
    runner.put(make_result(0))
    runner.close({})
    gate.set()
    assert summary.summary is not None
    assert "did not finish" in summary.summary["sinks"]["overlay"]["error"]
    with pytest.raises(OutputError, match="overlay failed"):
        runner.raise_failures()


def test_a_sink_that_hangs_does_not_hold_up_the_end() -> None:
    gate = threading.Event()
    hanging, other = Recorder("hanging", gate), Recorder("other")
    events: list[Event] = []
    runner = SinkRunner([hanging, other], SinksConfig(close_s=0.1), True, events.append)
    runner.open(INFO, "the mug")
    runner.put(make_result(0))
    runner.close({})
    assert [event.kind for event in events] == ["sink_timeout"]
    assert other.frames == [0]
    assert other.summary is not None
    gate.set()


def test_closing_twice_and_putting_afterwards_do_nothing() -> None:
    sink = Recorder()
    runner, _ = run([sink], count=2)
    runner.put(make_result(9))
    runner.close({"frames": 99})
    assert sink.frames == [0, 1]
    assert sink.summary is not None
    assert sink.summary["frames"] == 2


class Slow(Recorder):
    """Needs longer for what is queued than a sink that stands still is given."""

    def write(self, result: FrameResult) -> None:
        time.sleep(0.15)
        super().write(result)


def test_a_slow_sink_that_gets_on_loses_nothing_of_a_file() -> None:
    slow, events = Slow(), list[Event]()
    runner = SinkRunner([slow], SinksConfig(close_s=0.6), False, events.append)
    runner.open(INFO, "the mug")
    for index in range(10):
        runner.put(make_result(index))
    runner.close({})
    assert slow.frames == list(range(10))
    assert slow.summary is not None
    assert not events
