"""The loop when something goes wrong beside it: kills, hangs, odd calls, listeners that raise."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from builders import ListSource

from streamseg import StreamSegmenter, synthetic
from streamseg.clock import RealClock
from streamseg.errors import QueryError, SourceError, UsageError
from streamseg.propagation.catchup import CatchUp
from streamseg.types import Event, Frame, FrameResult, Mask, SourceInfo, Speed, TrackState

SIZE = (320, 180)
SCENE = synthetic.scene("easy", 1, size=SIZE, frames=120)
PLAIN = [e for e in SCENE.expressions if e.kind == "plain"]
TEXT = PLAIN[0].text
ABSENT = next(e.text for e in SCENE.expressions if e.kind == "absent")


def frames_of(count: int, *, start: int = 0, epoch: int = 0) -> list[Frame]:
    return [
        Frame(start + i, round((start + i) * 1e9 / 30), epoch, SCENE.frame(start + i)[0])
        for i in range(count)
    ]


def truth(index: int, object_ids: tuple[int, ...] = PLAIN[0].object_ids) -> Mask:
    return np.isin(SCENE.frame(index)[1], object_ids)


def box_of(mask: Mask) -> tuple[float, float, float, float]:
    ys, xs = np.nonzero(mask)
    return float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1)


def iou(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


@pytest.fixture(scope="module")
def classical() -> StreamSegmenter:
    return StreamSegmenter.from_config("classical")


# The same object, found again ------------------------------------------------------------------


def test_an_object_found_after_a_pause_is_carried_from_where_it_was_found(
    classical: StreamSegmenter,
) -> None:
    """Between the last track's end and the next find nothing is propagated."""
    stale = []
    adopt = classical._propagator.adopt

    def watched(lane: Any, ids: Mapping[int, int]) -> Any:
        stale.append(classical._propagator._frame is not lane._frame)  # type: ignore[attr-defined]
        return adopt(lane, ids)

    classical._propagator.adopt = watched  # type: ignore[method-assign]
    try:
        for result in classical.run(ListSource(frames_of(60)), TEXT):
            if result.frame.index == 10:
                classical.remove_target(1)
    finally:
        del classical._propagator.adopt
    assert stale == [False, False]
    assert iou(result.masks.labels > 0, truth(59)) > 0.8


# Targets pointed at by hand --------------------------------------------------------------------


def test_a_target_by_hand_does_not_hide_that_the_query_has_none(
    classical: StreamSegmenter,
) -> None:
    asked = 0
    for result in classical.run(ListSource(frames_of(90)), ABSENT):
        if result.frame.index == 0:
            classical.add_target(box_of(truth(1)))
        asked += result.trigger is not None
    assert result.state is TrackState.TRACKING
    assert asked >= 3


def test_a_click_that_cuts_nothing_out_is_told_of(classical: StreamSegmenter) -> None:
    events: list[Event] = []
    for result in classical.run(ListSource(frames_of(6)), on_event=events.append):
        if result.frame.index == 0:
            classical.add_target((5000.0, 5000.0, 5010.0, 5010.0))
    assert result.masks.objects == ()
    assert {event.kind for event in events} & {"target_missed", "catchup_failed"}


def test_a_click_about_a_picture_of_another_size_breaks_nothing(
    classical: StreamSegmenter,
) -> None:
    small = synthetic.scene("easy", 1, size=(160, 90), frames=20)
    after = [Frame(5 + i, round((5 + i) * 1e9 / 30), 1, small.frame(i)[0]) for i in range(10)]
    results = []
    for result in classical.run(ListSource(frames_of(5) + after)):
        if result.frame.index == 4:
            classical.add_target(box_of(truth(4)))
        results.append(result)
    assert len(results) == 15
    assert results[-1].masks.labels.shape == (90, 160)


def test_a_click_that_came_too_late_is_not_the_next_runs(classical: StreamSegmenter) -> None:
    for _ in classical.run(ListSource(frames_of(2))):
        pass
    run = classical.run(ListSource(frames_of(2)))
    next(run)
    next(run)
    classical.add_target(box_of(truth(1)))
    assert list(run) == []
    assert [r.masks.objects for r in classical.run(ListSource(frames_of(3)))] == [()] * 3


# Odd calls -------------------------------------------------------------------------------------


def test_two_runs_at_once_are_refused_and_the_first_goes_on(classical: StreamSegmenter) -> None:
    first = classical.run(ListSource(frames_of(10)), TEXT)
    next(first)
    second = ListSource(frames_of(10))
    with pytest.raises(UsageError, match="already running"):
        next(classical.run(second, TEXT))
    assert len(list(first)) == 9
    assert len(list(classical.run(ListSource(frames_of(4)), TEXT))) == 4


def test_no_frames_wanted_are_no_frames(classical: StreamSegmenter) -> None:
    source = ListSource(frames_of(5))
    assert list(classical.run(source, TEXT, max_frames=0)) == []
    assert source.closed


@pytest.mark.parametrize("text", ["\u200b", "\x00\x01", "a \udcff mug"])
def test_a_query_that_nobody_can_read_is_refused(classical: StreamSegmenter, text: str) -> None:
    with pytest.raises(QueryError):
        classical.set_query(text)


@pytest.mark.parametrize("text", ["l'objet doré", "红色的杯子", "the\tmug\nleft", "🔴 \x1b[31m"])
def test_a_query_in_any_script_runs(classical: StreamSegmenter, text: str) -> None:
    assert len(list(classical.run(ListSource(frames_of(3)), text))) == 3


def test_the_same_query_again_and_again_is_one_query() -> None:
    """A robot's control loop may set it on every turn."""
    segmenter = StreamSegmenter.from_config("classical", ["reasoning.delay_s=0.5"])
    results = []
    for result in segmenter.run(ListSource(frames_of(40)), TEXT):
        segmenter.set_query(f" {TEXT} ")
        results.append(result)
    assert results[-1].state is TrackState.TRACKING
    assert segmenter.summary()["groundings_total"] == 1


def test_results_do_not_change_behind_each_other(classical: StreamSegmenter) -> None:
    first, second = list(classical.run(ListSource(frames_of(2))))
    with pytest.raises(ValueError, match="read-only"):
        first.masks.labels[:] = 7
    assert not second.masks.labels.any()


# Ends ------------------------------------------------------------------------------------------


class BadClose(ListSource):
    def close(self) -> None:
        super().close()
        raise OSError("the device is gone")


def test_a_source_that_cannot_be_closed_is_told_of(classical: StreamSegmenter) -> None:
    events: list[Event] = []
    source = BadClose(frames_of(3))
    assert len(list(classical.run(source, on_event=events.append))) == 3
    assert "the device is gone" in next(e.message for e in events if e.kind == "source_failed")


def test_an_error_is_not_hidden_by_a_source_that_cannot_be_closed(
    classical: StreamSegmenter,
) -> None:
    with pytest.raises(SourceError, match="without a single frame"):
        list(classical.run(BadClose([])))
    assert len(list(classical.run(ListSource(frames_of(3))))) == 3


def test_a_stage_that_breaks_ends_the_run_with_its_error(
    classical: StreamSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = Recorder()
    step = type(classical._propagator).step

    def broken(self: Any, frame: Frame, seeds: Any = None) -> Any:
        if frame.index == 12:
            raise RuntimeError("out of memory")
        return step(self, frame, seeds)

    monkeypatch.setattr(type(classical._propagator), "step", broken)
    source = ListSource(frames_of(20))
    with pytest.raises(RuntimeError, match="out of memory"):
        list(classical.run(source, TEXT, sinks=[sink]))
    assert source.closed
    assert sink.indices == list(range(12))
    assert sink.closed
    monkeypatch.undo()
    assert len(list(classical.run(ListSource(frames_of(5)), TEXT))) == 5


def test_ctrl_c_within_a_stage_finishes_the_files(
    classical: StreamSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, source = Recorder(), ListSource(frames_of(20))
    read = source.read

    def interrupted(timeout_s: float) -> Frame:
        frame = read(timeout_s)
        if frame.index == 7:
            raise KeyboardInterrupt
        return frame

    monkeypatch.setattr(source, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(classical.run(source, TEXT, sinks=[sink]))
    assert sink.closed
    assert source.closed


class Recorder:
    """A sink that remembers; `write` waits for a gate where there is one."""

    name = "recorder"

    def __init__(self, gate: threading.Event | None = None) -> None:
        self.indices: list[int] = []
        self.closed = False
        self._gate = gate

    def open(self, info: SourceInfo, query: str) -> None:
        self.indices.clear()

    def write(self, result: FrameResult) -> None:
        if self._gate is not None:
            self._gate.wait(60)
        self.indices.append(result.frame.index)

    def close(self, summary: Mapping[str, Any]) -> None:
        self.closed = True


def test_stop_is_heard_while_a_sink_holds_up_a_file() -> None:
    segmenter = StreamSegmenter.from_config("classical", ["sinks.close_s=0.2"])
    gate = threading.Event()
    threading.Timer(1.0, segmenter.stop).start()
    try:
        seen = len(list(segmenter.run(ListSource(frames_of(60)), sinks=[Recorder(gate)])))
        assert seen < 60
        assert not gate.is_set()
    finally:
        gate.set()


# The reasoner ----------------------------------------------------------------------------------


def worker_of(segmenter: StreamSegmenter) -> Any:
    assert segmenter._run is not None
    return segmenter._run._reasoners._dialogues[Speed.FAST]._worker


def test_a_killed_reasoner_costs_no_frame_and_is_asked_again() -> None:
    segmenter = StreamSegmenter.from_config("classical", ["reasoning.restart_s=0.05"])
    events: list[Event] = []
    results = []
    for result in segmenter.run(ListSource(frames_of(60)), TEXT, on_event=events.append):
        results.append(result)
        if result.frame.index == 20:
            os.kill(worker_of(segmenter).pid, signal.SIGKILL)
            segmenter.set_query(PLAIN[1].text)
    assert [r.frame.index for r in results] == list(range(60))
    assert "reasoning_failed" in {event.kind for event in events}
    assert iou(results[-1].masks.labels > 0, truth(59, PLAIN[1].object_ids)) > 0.7


def test_a_killed_reasoner_does_not_stop_a_live_stream() -> None:
    segmenter = StreamSegmenter.from_config("classical", ["reasoning.restart_s=0.05"])
    killed = found = None
    spec = f"synthetic:easy?seed=1&frames=900&size={SIZE[0]}x{SIZE[1]}&live=1"
    for result in segmenter.run(spec, TEXT):
        if killed is None and result.masks.labels.any():
            killed = worker_of(segmenter).pid
            os.kill(killed, signal.SIGKILL)
            segmenter.set_query(PLAIN[1].text)
        labels = {view.id for view in result.masks.objects if view.box is not None}
        if killed is not None and labels and 1 not in labels:
            found = result.frame.index
            break
    assert found is not None


def frozen(segmenter: StreamSegmenter, frames: list[Frame]) -> Iterator[FrameResult]:
    """A run whose reasoner hangs from frame 5 on; with a new query then."""
    for result in segmenter.run(ListSource(frames), TEXT):
        if result.frame.index == 5:
            os.kill(worker_of(segmenter).pid, signal.SIGSTOP)
            segmenter.set_query(PLAIN[1].text)
        yield result


def test_a_hung_reasoner_is_waited_for_no_longer_than_its_deadline() -> None:
    segmenter = StreamSegmenter.from_config(
        "classical", ["reasoning.deadline_s=4", "reasoning.restart_s=0.05"]
    )
    assert len(list(frozen(segmenter, frames_of(40)))) == 40
    told = segmenter.summary()["groundings"]
    assert any("did not answer within" in entry.get("error", "") for entry in told)
    assert told[-1].get("error") is None


def test_stop_is_heard_while_a_file_waits_for_an_answer() -> None:
    segmenter = StreamSegmenter.from_config("classical", ["reasoning.deadline_s=30"])
    started = time.monotonic()
    seen = 0
    for result in frozen(segmenter, frames_of(40)):
        seen += 1
        if result.frame.index == 5:
            threading.Timer(0.5, segmenter.stop).start()
    assert seen < 40
    assert time.monotonic() - started < 25


def test_a_reasoner_that_cannot_be_asked_any_more_stops_no_file(
    classical: StreamSegmenter,
) -> None:
    results = []
    for result in classical.run(ListSource(frames_of(40)), TEXT):
        if result.frame.index == 5:
            worker_of(classical).close()
            classical.set_query(PLAIN[1].text)
        results.append(result)
    assert len(results) == 40
    assert any("closed" in e.get("error", "") for e in classical.summary()["groundings"])


def test_a_listener_that_raises_stops_nobody(
    classical: StreamSegmenter, caplog: pytest.LogCaptureFixture
) -> None:
    def listener(event: Event) -> None:
        raise ValueError("no room for " + event.kind)

    source = ListSource(frames_of(30))
    results = list(classical.run(source, TEXT, on_event=listener))
    assert len(results) == 30
    assert results[-1].masks.labels.any()
    assert "no room for" in caplog.text


def test_a_lane_that_breaks_on_its_last_step_breaks_only_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last step, onto the frame at hand, is the loop's own."""
    segmenter = StreamSegmenter.from_config("classical")
    events: list[Event] = []
    main = threading.get_ident()
    step = type(segmenter._propagator).step

    def broken(self: Any, frame: Frame, seeds: Any = None) -> Any:
        if threading.get_ident() == main and self is not segmenter._propagator:
            raise RuntimeError("lane astray")
        return step(self, frame, seeds)

    monkeypatch.setattr(type(segmenter._propagator), "step", broken)
    monkeypatch.setattr(CatchUp, "_replay", lambda self, job, way, deadline_s: time.sleep(0.05))
    seen = 0
    source = ListSource(frames_of(60))
    for result in segmenter.run(source, clock=RealClock(), on_event=events.append):
        seen += 1
        if result.frame.index == 0:
            segmenter.add_target(box_of(truth(1)))
        time.sleep(0.02)
    assert seen == 60
    assert "lane astray" in next(e.message for e in events if e.kind == "catchup_failed")
