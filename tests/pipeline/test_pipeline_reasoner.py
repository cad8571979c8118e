"""The loop while its reasoner is loaded, dies, or cannot be served: it never looks like "none"."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from builders import ListSource

from streamseg import StreamSegmenter, synthetic
from streamseg.cli.report import report
from streamseg.loop.session import Session
from streamseg.reasoning.worker.slab import FrameSlab
from streamseg.types import Event, Frame, FrameResult, ReasonerState, Speed

SCENE = synthetic.scene("easy", 1, size=(320, 180), frames=40)
TEXT = next(e.text for e in SCENE.expressions if e.kind == "plain")
PATIENCE_S = 60.0


def step_until(session: Session, wanted: Callable[[FrameResult], bool]) -> FrameResult:
    """Show the same picture again and again, as a camera that nothing moves before."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not wanted(result := session.step(SCENE.frame(0)[0])):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    return result


def pid_of(segmenter: StreamSegmenter) -> int:
    assert segmenter._run is not None
    pid = segmenter._run._reasoners._dialogues[Speed.FAST]._worker.pid
    assert pid is not None
    return pid


def test_every_result_says_whether_the_reasoner_could_be_asked() -> None:
    segmenter = StreamSegmenter.from_config("classical", ["reasoning.crash_limit=1"])
    events: list[Event] = []
    with segmenter.session(TEXT, on_event=events.append) as session:
        first = session.step(SCENE.frame(0)[0])
        assert first.reasoner is ReasonerState.STARTING
        found = step_until(session, lambda result: bool(result.masks.labels.any()))
        assert found.reasoner is ReasonerState.READY
        os.kill(pid_of(segmenter), signal.SIGKILL)
        last = step_until(session, lambda result: result.reasoner is ReasonerState.DEGRADED)
        assert last.masks.labels.any()  # masks go on
    summary = segmenter.summary()
    assert summary["reasoner"]["state"] == "degraded"
    assert summary["reasoner"]["failures"] == 1
    assert "SIGKILL" in summary["reasoner"]["last_failure"]
    assert "reasoning_degraded" in {event.kind for event in events}
    (line,) = (line for line in report(summary, 1, None).splitlines() if "SIGKILL" in line)
    assert line.startswith("the reasoner failed 1 time and was degraded at the end")
    assert "need not mean that nothing matches" in line


def test_a_fault_in_the_thread_that_serves_the_reasoner_is_told_and_outlived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put, asked = FrameSlab.put, []

    def full_once(self: FrameSlab, images: Any) -> Any:
        asked.append(len(images))
        if len(asked) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return put(self, images)

    monkeypatch.setattr(FrameSlab, "put", full_once)
    segmenter = StreamSegmenter.from_config("classical", ["reasoning.restart_s=0.05"])
    events: list[Event] = []
    frames = [Frame(i, round(i * 1e9 / 30), 0, SCENE.frame(i)[0]) for i in range(40)]
    results = list(segmenter.run(ListSource(frames), TEXT, on_event=events.append))
    assert len(results) == 40
    assert results[-1].masks.labels.any()
    assert results[-1].reasoner is ReasonerState.READY
    told = next(e.message for e in events if e.kind == "reasoning_failed")
    assert "could not be served" in told
    assert "No space left" in told
    assert segmenter.summary()["reasoner"]["failures"] == 1
    assert "was started again" in report(segmenter.summary(), 1, None)


def test_a_reasoner_that_cannot_be_asked_any_more_says_so() -> None:
    segmenter = StreamSegmenter.from_config("classical")
    with segmenter.session(TEXT) as session:
        session.step(SCENE.frame(0)[0])
        assert segmenter._run is not None
        segmenter._run._reasoners._dialogues[Speed.FAST]._worker.close()
        result = step_until(session, lambda result: result.reasoner is ReasonerState.CLOSED)
        assert not np.any(result.masks.labels)
    assert segmenter.summary()["reasoner"]["state"] == "closed"
