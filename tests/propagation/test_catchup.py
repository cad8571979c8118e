"""A late answer reaches the present, whichever clock runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from builders import frame

from streamseg.buffer import FrameBuffer
from streamseg.config import BufferConfig, CatchupConfig, FlowConfig
from streamseg.propagation.catchup import CatchUp, Job
from streamseg.propagation.flow import FlowPropagator
from streamseg.types import Frame, Grounding, Mask, Segmented, Target

SIZE = (160, 120)
SPEED = 2


def disc(index: int) -> Mask:
    """A disc that moves right, (H, W) bool."""
    canvas = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    cv2.circle(canvas, (30 + SPEED * index, 60), 16, 1, -1)
    return canvas.astype(bool)


def moving(count: int) -> list[Frame]:
    """Frames of a textured disc before a textured ground."""
    rng = np.random.default_rng(0)
    ground = cv2.GaussianBlur(rng.integers(90, 160, (SIZE[1], SIZE[0], 3), np.uint8), (5, 5), 0)
    frames = []
    for index in range(count):
        image = ground.copy()
        image[disc(index)] = (200, 40, 40)
        frames.append(frame(index, image=image))
    return frames


def true_cut(frame: Frame, targets: Sequence[Target]) -> list[Segmented]:
    return [Segmented(disc(frame.index), 0.9) for _ in targets]


def no_cut(frame: Frame, targets: Sequence[Target]) -> list[Segmented]:
    return [Segmented(np.zeros((SIZE[1], SIZE[0]), bool), 0.0) for _ in targets]


def broken_cut(frame: Frame, targets: Sequence[Target]) -> list[Segmented]:
    raise RuntimeError("out of order")


class Bench:
    """A ring with frames in it and a catch-up over the real flow propagator."""

    def __init__(self, count: int, segment=true_cut, *, threaded: bool = False) -> None:  # type: ignore[no-untyped-def]
        self.frames = moving(count)
        self.buffer = FrameBuffer(BufferConfig(seconds=60))
        for each in self.frames:
            self.buffer.append(each)
        propagator = FlowPropagator(FlowConfig())
        self.catchup = CatchUp(
            CatchupConfig(), segment, propagator.spawn, self.buffer.from_index, threaded=threaded
        )

    def job(self, index: int, *targets: Target) -> Job:
        return Job(Grounding(targets), self.frames[index], query_id=1, reason=None)

    def collect(self) -> Job:
        for _ in range(1000):
            if (job := self.catchup.collect()) is not None:
                return job
            time.sleep(0.01)
        raise AssertionError("the job never reached the present")


TARGET = Target((14.0, 44.0, 46.0, 76.0))


@pytest.mark.parametrize("threaded", [False, True])
def test_a_late_answer_stands_on_the_newest_frame(threaded: bool) -> None:
    bench = Bench(24, threaded=threaded)
    bench.catchup.start(bench.job(3, TARGET))
    job = bench.collect()
    bench.catchup.close()
    assert job.error is None
    assert job.position is bench.frames[-1]
    assert job.output is not None
    shown, truth = job.output.labels == 1, disc(23)
    assert (shown & truth).sum() / (shown | truth).sum() > 0.85


def test_in_virtual_time_no_frame_is_skipped() -> None:
    bench = Bench(20)
    bench.catchup.start(bench.job(5, TARGET))
    assert bench.collect().steps == 14


def test_an_answer_about_the_present_needs_no_replay() -> None:
    bench = Bench(4)
    bench.catchup.start(bench.job(3, TARGET))
    job = bench.collect()
    assert job.steps == 0
    assert job.position is bench.frames[3]


def test_nothing_found_needs_no_lane() -> None:
    bench = Bench(4)
    bench.catchup.start(bench.job(2))
    assert bench.collect().lane is None


def test_a_target_that_cannot_be_cut_leaves_no_object() -> None:
    bench = Bench(4, no_cut)
    bench.catchup.start(bench.job(2, TARGET))
    job = bench.collect()
    assert job.lane is None
    assert job.objects == {}


def test_what_breaks_is_carried_back_not_raised() -> None:
    bench = Bench(4, broken_cut, threaded=True)
    bench.catchup.start(bench.job(2, TARGET))
    job = bench.collect()
    bench.catchup.close()
    assert "out of order" in str(job.error)


def test_jobs_are_counted_until_they_are_collected() -> None:
    bench = Bench(4)
    bench.catchup.start(bench.job(1, TARGET))
    bench.catchup.start(bench.job(2, TARGET))
    assert bench.catchup.pending == 2
    bench.collect()
    bench.collect()
    assert bench.catchup.pending == 0
    assert bench.catchup.collect() is None


def test_closing_abandons_what_is_queued() -> None:
    cuts: list[int] = []
    started, gate = threading.Event(), threading.Event()

    def slow_cut(frame: Frame, targets: Sequence[Target]) -> list[Segmented]:
        cuts.append(frame.index)
        started.set()
        gate.wait(20)
        return true_cut(frame, targets)

    bench = Bench(6, slow_cut, threaded=True)
    for index in range(3):
        bench.catchup.start(bench.job(index, TARGET))
    assert started.wait(20)
    threading.Timer(0.2, gate.set).start()
    bench.catchup.close()
    assert cuts == [0]
