"""The synthetic source: a file that never drops, or live with late frames counted."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from streamseg import synthetic
from streamseg.clock import RealClock, VirtualClock
from streamseg.config import SourceConfig
from streamseg.errors import SourceSpecError
from streamseg.sources import StreamEnded, open_source
from streamseg.sources.synthetic import SyntheticSource


class HandClock:
    """A real clock that a test moves."""

    virtual = False

    def __init__(self) -> None:
        self.ns = 0

    def now_ns(self) -> int:
        return self.ns

    def frame_arrived(self, pts_ns: int) -> None:
        """Moved by hand only."""


def _open(spec: str) -> SyntheticSource:
    return SyntheticSource.open(spec, SourceConfig(), VirtualClock())


def test_a_file_yields_every_frame_and_ends() -> None:
    source = _open("synthetic:easy?seed=3&frames=4&size=160x90&fps=20")
    assert (source.info.live, source.info.fps, source.info.frame_count) == (False, 20.0, 4)
    assert (source.info.width, source.info.height) == (160, 90)
    frames = []
    while True:
        try:
            frame = source.read(1.0)
        except StreamEnded:
            break
        assert frame is not None
        frames.append(frame)
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert [frame.pts_ns for frame in frames] == [0, 50_000_000, 100_000_000, 150_000_000]
    assert frames[0].image.shape == (90, 160, 3)
    np.testing.assert_array_equal(frames[2].image, source.scene.frame(2)[0])
    assert sum(source.dropped.values()) == 0


def test_opened_by_the_one_door() -> None:
    source = open_source("synthetic:medium?frames=1&size=96x64", SourceConfig(), VirtualClock())
    assert source.read(0.0) is not None
    source.close()
    source.close()
    with pytest.raises(StreamEnded):
        source.read(0.0)


def test_the_spec_chooses_the_scene() -> None:
    source = _open("synthetic:hard?seed=2&split=train&size=96x64")
    same = synthetic.scene("hard", seed=2, split="train", size=(96, 64))
    np.testing.assert_array_equal(source.scene.frame(5)[0], same.frame(5)[0])


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("synthetic:esay", "did you mean 'easy'"),
        ("synthetic:", "unknown scene ''"),
        ("synthetic:easy?sed=1", "did you mean 'seed'"),
        ("synthetic:easy?seed", "expected NAME"),
        ("synthetic:easy?seed=one", "expected a whole number for seed, got 'one'"),
        ("synthetic:easy?seed=-1", "seed ≥ 0"),
        ("synthetic:easy?size=640", "expected WIDTHxHEIGHT for size"),
        ("synthetic:easy?size=1x1", "64x64"),
        ("synthetic:easy?fps=nan", r"fps in \(0, 1000\]"),
        ("synthetic:easy?frames=0", "frames ≥ 1"),
        ("synthetic:easy?split=tset", "no split named 'tset'"),
        ("synthetic:easy?live=yes", "expected 0 or 1 for live"),
        ("synthetic:easy?textures=/no/such/place", "no file or folder"),
    ],
)
def test_a_spec_that_cannot_be(spec: str, says: str) -> None:
    with pytest.raises(SourceSpecError, match=says):
        _open(spec)


def _live(clock: HandClock, frames: int = 100) -> SyntheticSource:
    scene = synthetic.scene("easy", size=(96, 64), fps=10.0, frames=frames)
    return SyntheticSource(scene, clock, live=True)


def test_live_keeps_the_newest_and_counts_the_late() -> None:
    clock = HandClock()
    source = _live(clock)
    assert source.info.live
    first = source.read(0.0)
    assert first is not None
    assert first.index == 0
    assert source.read(0.001) is None
    clock.ns = 550_000_000
    newest = source.read(0.0)
    assert newest is not None
    assert (newest.index, newest.arrived_ns) == (5, 550_000_000)
    assert source.dropped == {"overtaken": 4}


def test_live_ends_with_its_last_frame() -> None:
    clock = HandClock()
    source = _live(clock, frames=3)
    source.read(0.0)
    clock.ns = 10_000_000_000
    last = source.read(0.0)
    assert last is not None
    assert last.index == 2
    with pytest.raises(StreamEnded):
        source.read(0.0)


def test_live_on_a_virtual_clock_is_not_paced() -> None:
    source = SyntheticSource.open(
        "synthetic:easy?frames=3&size=96x64", SourceConfig(realtime=True), VirtualClock()
    )
    assert [frame.index for _ in range(3) if (frame := source.read(0.0)) is not None] == [0, 1, 2]


def test_close_ends_a_read_that_waits() -> None:
    scene = synthetic.scene("easy", size=(96, 64), fps=0.01, frames=5)
    source = SyntheticSource(scene, RealClock(), live=True)
    source.read(0.0)
    ended = threading.Event()

    def wait() -> None:
        try:
            source.read(60.0)
        except StreamEnded:
            ended.set()

    reader = threading.Thread(target=wait)
    reader.start()
    time.sleep(0.05)
    source.close()
    reader.join(2.0)
    assert ended.is_set()
