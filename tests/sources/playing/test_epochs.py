"""Numbers, times and epochs of frames."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from source_tools import Events, picture

from streamseg.clock import VirtualClock
from streamseg.config import SourceConfig
from streamseg.sources.connection import Picture
from streamseg.sources.playing.epochs import FrameMaker


def maker(fps: float | None = 30.0, live: bool = True) -> tuple[FrameMaker, Events]:
    events = Events()
    made = FrameMaker(SourceConfig(), VirtualClock(), events, live=live)
    made.set_fps(fps)
    return made, events


def test_time_stamps_are_kept() -> None:
    make, events = maker()
    frames = [make.make(picture(t)) for t in (5.0, 5.04, 5.09)]
    assert [frame.pts_ns for frame in frames] == [5_000_000_000, 5_040_000_000, 5_090_000_000]
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert not events


def test_a_jump_either_way_begins_an_epoch() -> None:
    make, events = maker()
    times = (0.0, 1.9, 4.0, 4.1, 1.0, 1.1)
    assert [make.make(picture(t)).epoch for t in times] == [0, 0, 1, 1, 2, 2]
    assert events.kinds == ["epoch", "epoch"]
    assert [event.frame_index for event in events] == [2, 4]
    assert "+2.100 s" in events[0].message
    assert "-3.100 s" in events[1].message


def test_a_new_resolution_begins_an_epoch() -> None:
    make, events = maker()
    make.make(picture(0.0, (4, 3)))
    assert make.make(picture(0.1, (6, 4))).epoch == 1
    assert "from 4x3 to 6x4" in events.text


def test_a_break_begins_one_epoch_with_the_next_picture() -> None:
    make, events = maker()
    make.break_epoch("before the first picture there is nothing to break")
    make.make(picture(0.0))
    make.break_epoch("connected again")
    assert [make.make(picture(t)).epoch for t in (0.0, 0.1)] == [1, 1]
    assert events.kinds == ["epoch"]
    assert "connected again" in events.text


def test_a_time_lapse_does_not_jump() -> None:
    make, events = maker(fps=0.2)
    assert [make.make(picture(t)).epoch for t in (0.0, 5.0, 10.0, 26.0)] == [0, 0, 0, 1]
    assert events.kinds == ["epoch"]


def test_missing_stamps_are_guessed_and_break_nothing() -> None:
    make, events = maker(fps=10.0, live=False)
    frames = [make.make(picture(t)) for t in (None, None, 700.0, None)]
    assert [frame.pts_s for frame in frames] == [0.0, 0.1, 700.0, 700.1]
    assert not events


def test_skipped_pictures_leave_a_gap_in_the_index() -> None:
    make, _ = maker()
    assert make.make(picture(0.0)).index == 0
    assert make.make(picture(0.2, skipped=3)).index == 4


def scene(seed: int, t: float | None, spot: int = 0) -> Picture:
    """A picture of its own for each seed, with a spot that wanders over it."""
    image = np.random.default_rng(seed).integers(0, 255, (18, 32, 3), np.uint8)
    image = np.repeat(np.repeat(image, 4, axis=0), 4, axis=1)
    image[8:24, 8 * spot : 8 * spot + 16] = (250, 20, 20)
    return Picture(image, None if t is None else round(t * 1e9))


def test_in_a_file_a_gap_that_leaves_the_picture_is_a_hold() -> None:
    make, events = maker(live=False)
    frames = [make.make(scene(1, t, i)) for i, t in enumerate((0.0, 0.1, 3.2, 3.3, 63.0))]
    assert [frame.epoch for frame in frames] == [0] * 5
    assert [frame.pts_s for frame in frames] == [0.0, 0.1, 3.2, 3.3, 63.0]
    assert not events


def test_in_a_file_a_gap_with_another_picture_is_a_cut() -> None:
    make, events = maker(live=False)
    shown = [scene(1, 0.0), scene(1, 0.1), scene(2, 3.2), scene(2, 3.3), scene(3, 3.4)]
    assert [make.make(each).epoch for each in shown] == [0, 0, 1, 1, 1]
    assert "+3.100 s" in events.text


def test_live_a_gap_breaks_whatever_is_seen() -> None:
    make, _ = maker(live=True)
    assert [make.make(scene(1, t)).epoch for t in (0.0, 0.1, 3.2)] == [0, 0, 1]


def test_a_stamp_that_cannot_be_is_no_hold() -> None:
    make, _ = maker(live=False)
    times = (0.0, 0.1, 90_000.0, 0.2, 0.3)
    assert [make.make(scene(1, t)).epoch for t in times] == [0, 0, 1, 2, 2]


def test_short_files_put_together_begin_an_epoch_at_each_cut() -> None:
    make, _ = maker(fps=10.0, live=False)
    shown = [scene(seed, i / 10) for seed in (1, 2) for i in range(10)]
    frames = [make.make(each) for each in shown]
    assert [frame.epoch for frame in frames] == [0] * 10 + [1] * 10
    assert [frame.pts_s for frame in frames] == [i / 10 for i in range(10)] * 2


def test_a_clock_set_back_without_a_cut_goes_on() -> None:
    make, events = maker(fps=10.0, live=False)
    frames = [make.make(scene(1, t)) for t in [i / 10 for i in range(10)] * 3]
    assert [frame.epoch for frame in frames] == [0] * 30
    assert [round(frame.pts_s, 6) for frame in frames] == [i / 10 for i in range(30)]
    assert not events


def test_one_stray_stamp_moves_no_other() -> None:
    make, events = maker(fps=10.0, live=False)
    frames = [make.make(scene(1, t)) for t in (1.0, 1.1, 0.2, 1.3, 1.4)]
    assert [round(frame.pts_s, 6) for frame in frames] == [1.0, 1.1, 1.2, 1.3, 1.4]
    assert not events


class HandClock(VirtualClock):
    """A clock that the test sets."""

    ns = 0

    def now_ns(self) -> int:
        return self.ns


def test_live_pictures_without_stamps_come_when_they_arrive() -> None:
    clock, events = HandClock(), Events()
    make = FrameMaker(SourceConfig(), clock, events, live=True)
    frames = []
    for arrival_s in (5.0, 5.3, 5.31, 9.0):
        clock.ns = round(arrival_s * 1e9)
        frames.append(make.make(scene(1, None)))
    assert [round(frame.pts_s, 6) for frame in frames] == [0.0, 0.3, 0.31, 4.0]
    assert [frame.epoch for frame in frames] == [0] * 4


@given(times=st.lists(st.none() | st.floats(-1e6, 1e6), max_size=30), live=st.booleans())
def test_time_grows_within_every_epoch(times: list[float | None], live: bool) -> None:
    make, events = maker(live=live)
    frames = [make.make(picture(t)) for t in times]
    for before, after in itertools.pairwise(frames):
        assert after.epoch - before.epoch in (0, 1)
        assert after.epoch > before.epoch or after.pts_ns > before.pts_ns
    assert events.kinds == ["epoch"] * (frames[-1].epoch if frames else 0)
