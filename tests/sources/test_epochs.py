"""Numbers, times and epochs of frames."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from source_tools import Events, picture

from streamseg.clock import VirtualClock
from streamseg.config import SourceConfig
from streamseg.sources.epochs import FrameMaker


def maker(fps: float | None = 30.0) -> tuple[FrameMaker, Events]:
    events = Events()
    made = FrameMaker(SourceConfig(), VirtualClock(), events)
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
    make, events = maker(fps=10.0)
    frames = [make.make(picture(t)) for t in (None, None, 700.0, None)]
    assert [frame.pts_s for frame in frames] == [0.0, 0.1, 700.0, 700.1]
    assert not events


def test_skipped_pictures_leave_a_gap_in_the_index() -> None:
    make, _ = maker()
    assert make.make(picture(0.0)).index == 0
    assert make.make(picture(0.2, skipped=3)).index == 4


@given(times=st.lists(st.none() | st.floats(-1e6, 1e6), max_size=30))
def test_time_grows_within_every_epoch(times: list[float | None]) -> None:
    make, events = maker()
    frames = [make.make(picture(t)) for t in times]
    for before, after in itertools.pairwise(frames):
        assert after.epoch - before.epoch in (0, 1)
        assert after.epoch > before.epoch or after.pts_ns > before.pts_ns
    assert events.kinds == ["epoch"] * (frames[-1].epoch if frames else 0)
