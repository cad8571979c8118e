"""A slow sink delays nobody, a failing one is left out, and the end is the end for all."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest
from results import INFO, make_result

from streamseg.config import SinksConfig
from streamseg.errors import OutputError
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
    sinks: list[Recorder], count: int = 6, live: bool = False, **config: Any
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
