"""Iterables as sources: in order, drawn when asked for, their errors and silences their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import frame
from source_tools import Events, counted, number_of, read_all, wait_until, write_video

from streamseg import StreamSegmenter
from streamseg.clock import RealClock
from streamseg.config import SourceConfig
from streamseg.errors import SourceError, SourceSpecError, UsageError
from streamseg.sources import Source, StreamEnded
from streamseg.sources.given import spec_or_source
from streamseg.types import Frame


def opened(given: Any, order: str = "rgb", events: Events | None = None) -> Source:
    tell = Events() if events is None else events
    source = spec_or_source(given, order, SourceConfig(), RealClock(), tell)
    assert not isinstance(source, str)
    return source


def spec(given: Any) -> str:
    found = spec_or_source(given, "rgb", SourceConfig(), RealClock(), Events())
    assert isinstance(found, str)
    return found


# What is given, told apart -----------------------------------------------------------------------


def test_texts_and_indices_are_specs() -> None:
    assert spec("rtsp://camera/1") == "rtsp://camera/1"
    assert spec(0) == "0"
    assert spec(np.int64(2)) == "2"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("clip.mp4", "clip.mp4"),
        ("/a/clip.mp4", "/a/clip.mp4"),
        ("0", "./0"),
        ("-", "./-"),
        ("gst:x", "./gst:x"),
        ("at 10:30.mp4", "./at 10:30.mp4"),
    ],
)
def test_a_path_is_a_file_whatever_its_name(path: str, expected: str) -> None:
    assert spec(Path(path)) == expected


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, "got NoneType"),
        (3.5, "got float"),
        (True, "got bool"),
        (-1, "index from 0 on, got -1"),
        (b"clip.mp4", "got bytes"),
        (object(), "got object"),
        (np.zeros((4, 5, 3), np.uint8), "give [image]"),
        (np.zeros((4, 5)), "float64 of shape (4, 5)"),
        (threading.Event(), "got Event"),
    ],
)
def test_anything_else_is_refused_by_the_call(given: Any, told: str) -> None:
    with pytest.raises(UsageError) as refused:
        spec_or_source(given, "rgb", SourceConfig(), RealClock(), Events())
    assert told in str(refused.value)
    assert "expected a" in str(refused.value)


def test_a_capture_of_anothers_is_pointed_to_the_session() -> None:
    class VideoCapture:
        def read(self) -> None: ...

    with pytest.raises(UsageError, match=r"VideoCapture; in a loop of your own, use session\(\)"):
        opened(VideoCapture())


def test_an_order_of_channels_is_one_of_two() -> None:
    with pytest.raises(UsageError, match='order: expected "rgb" or "bgr", got \'RGB\''):
        opened([], "RGB")


# What is drawn -----------------------------------------------------------------------------------


def test_arrays_come_in_order_with_the_times_of_a_file() -> None:
    frames = read_all(opened([counted(n) for n in range(6)]))
    assert [number_of(f.image) for f in frames] == list(range(6))
    assert [f.index for f in frames] == list(range(6))
    assert [f.pts_ns for f in frames] == [n * 40_000_000 for n in range(6)]
    assert {f.epoch for f in frames} == {0}


def test_pairs_bring_their_times() -> None:
    pairs = [(counted(n), 10**9 + n * 33_000_000) for n in range(4)]
    frames = read_all(opened(iter(pairs)))
    assert [f.pts_ns for f in frames] == [pts_ns for _, pts_ns in pairs]
    assert {f.epoch for f in frames} == {0}


def test_a_big_step_back_begins_an_epoch() -> None:
    pairs = [(counted(0), 9 * 10**9), (counted(1), 10**9), (counted(2), 10**9 + 40_000_000)]
    assert [f.epoch for f in read_all(opened(pairs))] == [0, 1, 1]


def test_a_new_size_begins_an_epoch() -> None:
    images = [counted(0), counted(1), counted(2, (32, 32))]
    assert [f.epoch for f in read_all(opened(images))] == [0, 0, 1]


def test_frames_keep_their_gaps_times_and_epochs() -> None:
    given = [frame(3), frame(4), frame(7), frame(8, epoch=2), frame(9, epoch=2)]
    frames = read_all(opened(given))
    assert [f.index for f in frames] == [3, 4, 7, 8, 9]
    assert [f.pts_ns for f in frames] == [f.pts_ns for f in given]
    assert [f.epoch for f in frames] == [0, 0, 0, 1, 1]
    assert np.shares_memory(frames[0].image, given[0].image)


def test_a_four_dimensional_array_is_pictures_in_order() -> None:
    source = opened(np.stack([counted(n) for n in range(3)]))
    assert source.info.frame_count == 3
    assert [number_of(f.image) for f in read_all(source)] == [0, 1, 2]
    assert (source.info.width, source.info.height) == (64, 48)


def test_bgr_is_turned_and_frames_are_left_as_they_are() -> None:
    red = np.zeros((4, 5, 3), np.uint8)
    red[..., 0] = 255
    first, second = read_all(opened([red[..., ::-1], Frame(1, 40_000_000, 0, red)], "bgr"))
    assert np.array_equal(first.image, red)
    assert np.array_equal(second.image, red)


def test_arrays_are_copied() -> None:
    buffer = counted(1).copy()
    source = opened([buffer])
    read = source.read(5.0)
    assert read is not None
    buffer[:] = 0
    assert number_of(read.image) == 1


def test_nothing_is_drawn_before_it_is_asked_for() -> None:
    drawn = []

    def images() -> Iterator[np.ndarray]:
        for number in range(9):
            drawn.append(number)
            yield counted(number)

    source = opened(images())
    assert drawn == []
    for count in range(1, 4):
        source.read(5.0)
        time.sleep(0.02)
        assert drawn == list(range(count))
    source.close()
    assert drawn == [0, 1, 2]


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (np.zeros((4, 5, 3), np.float32), "frame 1: expected .* float32 of shape"),
        ((counted(0), 0.5), "frame 1: expected pts_ns as whole nanoseconds"),
        ((counted(0), 1, 2), "frame 1: .* got a tuple"),
        ("clip.mp4", "frame 1: .* got a str"),
        (Frame(0, 0, 0, np.zeros((4, 5), np.uint8)), "frame 1's image: .* shape"),
    ],
)
def test_an_item_that_is_no_picture_is_refused(item: Any, told: str) -> None:
    source = opened([counted(0), item, counted(2)])
    assert source.read(5.0) is not None
    with pytest.raises(UsageError, match=told):
        source.read(5.0)


def test_an_end_stays_an_end() -> None:
    source = opened([])
    for _ in range(2):
        with pytest.raises(StreamEnded):
            source.read(5.0)


# Errors, silences, ends --------------------------------------------------------------------------


def test_what_the_iterable_raises_reaches_the_reader() -> None:
    def images() -> Iterator[np.ndarray]:
        yield counted(0)
        raise ConnectionError("the camera was unplugged")

    source = opened(images())
    source.read(5.0)
    for _ in range(2):
        with pytest.raises(ConnectionError, match="unplugged"):
            source.read(5.0)


def test_a_slow_iterable_is_waited_for_and_then_read() -> None:
    gate = threading.Event()

    def images() -> Iterator[np.ndarray]:
        gate.wait(20)
        yield counted(7)

    source = opened(images())
    assert source.read(0.01) is None
    assert source.read(0.01) is None
    gate.set()
    read = source.read(5.0)
    assert read is not None
    assert number_of(read.image) == 7


def test_an_iterable_that_blocks_is_left_behind() -> None:
    gate = threading.Event()

    def images() -> Iterator[np.ndarray]:
        gate.wait(60)
        yield counted(0)

    source = opened(images())
    assert source.read(0.01) is None
    source.close()
    assert not gate.is_set()
    with pytest.raises(StreamEnded):
        source.read(0.01)
    before = threading.active_count()
    gate.set()
    wait_until(lambda: threading.active_count() < before)


# Through the loop --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def segmenter() -> StreamSegmenter:
    return StreamSegmenter.from_config("classical")


def test_a_run_takes_an_iterable(segmenter: StreamSegmenter) -> None:
    results = list(segmenter.run((counted(n) for n in range(8)), "the mug"))
    assert [number_of(r.frame.image) for r in results] == list(range(8))
    assert segmenter.summary()["source"]["name"] == "pictures of a generator"
    assert segmenter.summary()["source"]["width"] == 64


def test_a_run_draws_no_more_than_it_wants(segmenter: StreamSegmenter) -> None:
    images = iter([counted(n) for n in range(8)])
    assert len(list(segmenter.run(images, max_frames=3))) == 3
    assert number_of(next(images)) == 3


def test_a_run_takes_a_path(segmenter: StreamSegmenter, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", [counted(n) for n in range(5)])
    assert len(list(segmenter.run(clip))) == 5
    with pytest.raises(SourceSpecError, match=r"none\.mp4"):
        next(segmenter.run(tmp_path / "none.mp4"))


def test_an_index_without_a_camera_says_so(segmenter: StreamSegmenter) -> None:
    with pytest.raises(SourceError, match="no camera /dev/video941"):
        next(segmenter.run(941))


def test_a_bad_first_picture_ends_the_run_with_its_error(segmenter: StreamSegmenter) -> None:
    results = segmenter.run([np.zeros((4, 5, 4), np.uint8)])
    with pytest.raises(UsageError, match="frame 0: "):
        next(results)
    assert list(results) == []
    assert len(list(segmenter.run([counted(0)]))) == 1


def test_an_empty_iterable_is_an_error(segmenter: StreamSegmenter) -> None:
    with pytest.raises(SourceError, match="without a single frame"):
        list(segmenter.run([]))


def test_an_error_of_the_iterable_reaches_the_consumer(segmenter: StreamSegmenter) -> None:
    def images() -> Iterator[np.ndarray]:
        yield from (counted(n) for n in range(3))
        raise ConnectionError("unplugged")

    results = segmenter.run(images())
    assert [r.frame.index for r in (next(results), next(results), next(results))] == [0, 1, 2]
    with pytest.raises(ConnectionError, match="unplugged"):
        next(results)
    assert segmenter.summary()["frames"] == 3


def test_a_stop_counts_while_an_iterable_blocks(segmenter: StreamSegmenter) -> None:
    gate = threading.Event()

    def images() -> Iterator[np.ndarray]:
        yield counted(0)
        gate.wait(120)

    results = segmenter.run(images())
    next(results)
    threading.Timer(0.3, segmenter.stop).start()
    try:
        assert list(results) == []
        assert not gate.is_set()
    finally:
        gate.set()
