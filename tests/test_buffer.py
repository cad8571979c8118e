"""The ring: what it keeps, what it drops, what it counts."""

from __future__ import annotations

import numpy as np
from builders import frame
from hypothesis import given
from hypothesis import strategies as st

from streamseg.buffer import FrameBuffer
from streamseg.config import BufferConfig


def indices(buffer: FrameBuffer) -> list[int]:
    return [f.index for f in buffer.frames()]


def test_keeps_the_newest_frames_up_to_the_count() -> None:
    buffer = FrameBuffer(BufferConfig(max_frames=3))
    for index in range(10):
        buffer.append(frame(index))
    assert indices(buffer) == [7, 8, 9]


def test_keeps_no_more_than_its_seconds() -> None:
    buffer = FrameBuffer(BufferConfig(seconds=0.5))
    for index in range(60):
        buffer.append(frame(index, fps=30))
    assert indices(buffer)[-1] == 59
    assert len(buffer) == 16


def remembering(buffer: FrameBuffer, count: int) -> None:
    for index in range(count):
        new = frame(index)
        buffer.append(new)
        new.memo("features", lambda: np.zeros(40_000, np.uint8))


def test_bytes_include_what_stages_memoise() -> None:
    buffer = FrameBuffer(BufferConfig(max_bytes=200_000))
    remembering(buffer, 60)
    assert buffer.nbytes <= 200_000 + 40_000
    assert sum(f.nbytes for f in buffer.frames()) <= 200_000 + 40_000


def test_what_can_be_computed_again_is_given_up_before_pictures_are() -> None:
    """A late answer needs its keyframe; its features it can pay for again."""
    buffer = FrameBuffer(BufferConfig(max_bytes=200_000))
    remembering(buffer, 12)
    held = buffer.frames()
    assert [f.index for f in held] == list(range(12))
    remembers = [f.nbytes > f.image.nbytes for f in held]
    assert remembers == [False] * 9 + [True] * 3
    remembering(buffer, 60)
    assert len(buffer) == 200_000 // frame(0).nbytes


def test_what_a_replay_leaves_on_its_frames_is_bounded_at_once() -> None:
    buffer = FrameBuffer(BufferConfig(max_bytes=400_000))
    for index in range(20):
        buffer.append(frame(index))
    for index in range(19):
        ahead = buffer.from_index(index)
        ahead[1].memo("features", lambda: np.zeros(40_000, np.uint8))
        assert sum(f.nbytes for f in buffer.frames()) <= 400_000 + 2 * 40_000
    assert len(buffer) == 20


def test_the_newest_frame_always_fits() -> None:
    buffer = FrameBuffer(BufferConfig(max_bytes=1))
    buffer.append(frame(0))
    buffer.append(frame(1))
    assert indices(buffer) == [1]


def test_a_frame_that_leaves_forgets_what_was_memoised() -> None:
    buffer = FrameBuffer(BufferConfig(max_frames=1))
    first = frame(0)
    first.memo("features", lambda: np.zeros(1000, np.uint8))
    buffer.append(first)
    assert first.nbytes > first.image.nbytes
    buffer.append(frame(1))
    assert first.nbytes == first.image.nbytes


def test_a_new_epoch_empties_it() -> None:
    buffer = FrameBuffer(BufferConfig())
    buffer.append(frame(0))
    buffer.append(frame(1))
    buffer.append(frame(2, epoch=1))
    assert indices(buffer) == [2]


def test_replays_start_at_a_frame_that_is_still_here() -> None:
    buffer = FrameBuffer(BufferConfig(max_frames=4))
    for index in (0, 2, 3, 7, 8):
        buffer.append(frame(index))
    assert [f.index for f in buffer.from_index(3)] == [3, 7, 8]
    assert buffer.from_index(0) == []
    assert buffer.from_index(5) == []
    assert buffer.from_index(99) == []


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 8))
def test_it_is_always_a_bounded_run_of_one_epoch(steps: list[int], most: int) -> None:
    buffer = FrameBuffer(BufferConfig(max_frames=most))
    epoch = 0
    for index, step in enumerate(steps):
        epoch += step == 3
        buffer.append(frame(index, size=(4, 4), epoch=epoch))
        held = buffer.frames()
        assert 1 <= len(held) <= most
        assert held[-1].index == index
        assert {f.epoch for f in held} == {epoch}
        assert buffer.nbytes == sum(f.nbytes for f in held)
