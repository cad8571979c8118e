"""A late answer reaches the present, whichever clock runs."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from builders import frame

from streamseg.buffer import FrameBuffer
from streamseg.config import BufferConfig, CatchupConfig, FlowConfig
from streamseg.propagation.catchup import CatchUp, Job, Segment
from streamseg.propagation.flow.propagator import FlowPropagator
from streamseg.types import (
    Frame,
    Grounding,
    Mask,
    Segmented,
    Sighting,
    Target,
    TriggerReason,
)

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

    def __init__(
        self,
        count: int,
        segment: Segment = true_cut,
        *,
        threaded: bool = False,
        held: int | None = None,
        coming: int = 0,
        sketch: Segment | None = None,
        **config: float,
    ) -> None:
        """A ring with `count` frames; `coming` more come in whenever a replay looks for some."""
        self.frames = moving(count if held is None else held)
        self.buffer = FrameBuffer(BufferConfig(seconds=60))
        self.shown = 0
        self.coming = coming
        self.show(count)
        propagator = FlowPropagator(FlowConfig())
        self.catchup = CatchUp(
            CatchupConfig.model_validate(config),
            segment,
            propagator.spawn,
            self.frames_from,
            threaded=threaded,
            sketch=sketch,
        )

    def show(self, count: int) -> None:
        for each in self.frames[self.shown : self.shown + count]:
            self.buffer.append(each)
        self.shown = min(len(self.frames), self.shown + count)

    def frames_from(self, index: int) -> list[Frame]:
        found = self.buffer.from_index(index)
        self.show(self.coming)
        return found

    def job(self, index: int, *targets: Target, reason: TriggerReason | None = None) -> Job:
        return Job(Grounding(targets), self.frames[index], query_id=1, reason=reason)

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


@pytest.mark.parametrize(
    ("threaded", "reason", "score"),
    [
        (True, TriggerReason.NEW_QUERY, 0.5),
        (True, TriggerReason.NO_TARGET, 0.5),
        (True, TriggerReason.REFRESH, 0.9),
        (True, None, 0.9),  # a hand points: what it wants is the mask
        (False, TriggerReason.NEW_QUERY, 0.9),  # no time passes: nobody waits
    ],
)
def test_only_a_first_mask_that_is_waited_for_is_sketched(
    threaded: bool, reason: TriggerReason | None, score: float
) -> None:
    def sketch(frame: Frame, targets: Sequence[Target]) -> list[Segmented]:
        return [Segmented(disc(frame.index), 0.5) for _ in targets]

    bench = Bench(6, threaded=threaded, sketch=sketch)
    bench.catchup.start(bench.job(2, TARGET, reason=reason))
    job = bench.collect()
    bench.catchup.close()
    assert job.cuts == {1: score}


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


@pytest.mark.parametrize(
    ("query_id", "seen", "by_kind"),
    [
        (1, None, False),
        (1, (), True),
        (None, None, True),
    ],
)
def test_objects_remember_whether_who_answered_sees_by_kind(
    query_id: int | None, seen: tuple[Sighting, ...] | None, by_kind: bool
) -> None:
    bench = Bench(1)
    grounding = Grounding((TARGET,), seen=seen)
    bench.catchup.start(Job(grounding, bench.frames[0], query_id=query_id, reason=None))
    (found,) = bench.collect().candidates(0.0)
    assert found.evidence.by_kind is by_kind


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


def test_a_late_lane_does_not_chase_a_stream_that_is_as_fast_as_it() -> None:
    """With a new frame after each step, standing on the newest would never end."""
    bench = Bench(20, held=90, coming=1, threaded=True, converge_s=0.0)
    bench.catchup.start(bench.job(0, TARGET))
    job = bench.collect()
    bench.catchup.close()
    assert job.error is None
    assert job.position is not None
    assert bench.shown < 30
    assert bench.shown - 1 - job.position.index <= 2
    assert job.candidates(0.2)


def test_strides_outgrow_a_stream_that_is_faster_than_them() -> None:
    bench = Bench(40, held=200, coming=8, threaded=True, converge_s=0.0)
    bench.catchup.start(bench.job(0, TARGET))
    job = bench.collect()
    bench.catchup.close()
    assert job.position is not None
    assert bench.shown < 200
    assert job.steps < 10


def test_an_answer_in_time_stands_on_the_newest_frame_although_more_came_meanwhile() -> None:
    bench = Bench(20, held=26, coming=1, threaded=True, converge_s=20.0)
    bench.catchup.start(bench.job(0, TARGET))
    job = bench.collect()
    bench.catchup.close()
    assert job.position is bench.frames[-1]


@pytest.mark.parametrize("threaded", [False, True])
def test_a_keyframe_may_leave_the_ring_while_it_is_cut_out(threaded: bool) -> None:
    def slow_cut(frame: Frame, targets: Sequence[Target]) -> list[Segmented]:
        while bench.buffer.from_index(frame.index + 5):
            bench.show(1)
        return true_cut(frame, targets)

    bench = Bench(10, slow_cut, held=60, threaded=threaded, converge_s=0.0)
    bench.buffer = FrameBuffer(BufferConfig(seconds=60, max_frames=12))
    bench.shown = 0
    bench.show(10)
    bench.catchup.start(bench.job(0, TARGET))
    job = bench.collect()
    bench.catchup.close()
    assert job.position is not None
    assert bench.buffer.from_index(job.position.index), "the lane is back in the ring"
    assert job.output is not None
    shown, truth = job.output.labels == 1, disc(job.position.index)
    assert (shown & truth).sum() / (shown | truth).sum() > 0.8


def test_what_came_during_the_cut_is_replayed_also_when_it_is_late() -> None:
    def slow_cut(frame: Frame, targets: Sequence[Target]) -> list[Segmented]:
        bench.show(20)
        return true_cut(frame, targets)

    bench = Bench(5, slow_cut, held=25, threaded=True, converge_s=0.0)
    bench.catchup.start(bench.job(4, TARGET))
    job = bench.collect()
    bench.catchup.close()
    assert job.position is bench.frames[-1]
    assert job.steps == 4  # 20 frames in strides of 6


def test_no_cut_is_made_of_a_keyframe_that_has_left_the_ring() -> None:
    cuts: list[int] = []

    def counted_cut(frame: Frame, targets: Sequence[Target]) -> list[Segmented]:
        cuts.append(frame.index)
        return true_cut(frame, targets)

    bench = Bench(6, counted_cut)
    stranger = Job(Grounding((TARGET,)), frame(99), query_id=1, reason=None)
    bench.catchup.start(stranger)
    job = bench.collect()
    assert cuts == []
    assert job.lane is None
    assert job.position is job.frame, "the loop sees that it is not in the ring"


def test_a_late_answer_of_nothing_still_counts() -> None:
    bench = Bench(6)
    bench.catchup.start(Job(Grounding(()), frame(99), query_id=1, reason=None))
    assert bench.collect().position is None


ENDS_WHILE_CUTTING = """
import threading, time
from streamseg.config import CatchupConfig
from streamseg.propagation import catchup
from streamseg.propagation.catchup import CatchUp, Job
from streamseg.types import Frame, Grounding, Target
import numpy as np

def cut(frame, targets):
    started.set()
    time.sleep(1.0)
    print("cut")
    return []

catchup.CLOSE_S = 0.05
started = threading.Event()
frame = Frame(0, 0, 0, np.zeros((8, 8, 3), np.uint8))
beside = CatchUp(CatchupConfig(), cut, None, lambda index: [frame], threaded=True)
beside.start(Job(Grounding((Target((0, 0, 4, 4)),)), frame, None, None))
assert started.wait(20)
beside.close()
print("closed")
"""


def test_the_interpreter_ends_after_a_cut_that_is_under_way_not_in_it() -> None:
    """A thread that is ended inside of OpenCV aborts the process."""
    done = subprocess.run(
        [sys.executable, "-c", ENDS_WHILE_CUTTING],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["closed", "cut"]
