"""What callers ask by hand is taken or refused by the call, never by a frame much later."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
import pytest

from streamseg import StreamSegmenter, VideoSegmenter
from streamseg.errors import QueryError, UsageError
from streamseg.loop.asked import checked_count, checked_fps, checked_target
from streamseg.loop.endings import Ending

GREY = np.full((48, 64, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def segmenter() -> StreamSegmenter:
    return StreamSegmenter.from_config("classical")


@pytest.mark.parametrize("count", [None, 0, 3, np.int64(3)])
def test_counts_are_whole_or_none(count: int | None) -> None:
    assert checked_count(count, "max_frames") == count


@pytest.mark.parametrize("count", [-1, 2.5, "3", True, float("inf"), [3]])
def test_what_is_no_count_is_refused_by_its_name(count: object) -> None:
    with pytest.raises(UsageError, match="max_frames: expected a whole number"):
        checked_count(count, "max_frames")


@pytest.mark.parametrize("fps", ["25", 0, -1.0, float("nan"), float("inf"), True])
def test_what_is_no_rate_is_refused(fps: object) -> None:
    with pytest.raises(UsageError, match="fps: expected a rate above 0"):
        checked_fps(fps)


def test_a_target_is_plain_numbers_whatever_they_came_as() -> None:
    target = checked_target(np.array([1, 2, 30, 40], np.float32), [np.array([3, 4])], ((5, 6),), "")
    assert (target.box, target.positive, target.negative) == ((1, 2, 30, 40), ((3, 4),), ((5, 6),))
    assert {type(value) for value in (*target.box, *target.positive[0])} == {float}


@pytest.mark.parametrize(
    "box", [None, "abcd", (0, 0, 10), (5, 5, 1, 1), (0, 0, 0, 9), (float("nan"), 0, 1, 1), 7]
)
def test_what_is_no_box_is_refused_by_the_call(box: object) -> None:
    with pytest.raises(UsageError, match="box: expected"):
        checked_target(box, (), (), "")


@pytest.mark.parametrize("points", [(5,), [(1, 2, 3)], [(float("inf"), 1)], "ab", 3])
def test_what_are_no_points_are_refused_by_the_call(points: Any) -> None:
    with pytest.raises(UsageError, match="negative: expected"):
        checked_target((0, 0, 9, 9), (), points, "")


@pytest.mark.parametrize("query", [5, b"red", ["the red disc"]])
def test_a_query_that_is_no_text_is_refused_and_holds_nothing_up(
    query: Any, segmenter: StreamSegmenter
) -> None:
    run: Callable[..., object] = partial(segmenter.run, [GREY])
    for ask in (run, segmenter.session, segmenter.set_query):
        with pytest.raises(QueryError, match="the query as text, got"):
            ask(query)
    assert len(list(segmenter.run([GREY]))) == 1


def test_both_doors_refuse_what_is_no_count(segmenter: StreamSegmenter) -> None:
    video = VideoSegmenter.from_config("classical")
    for ask in cast("list[Callable[..., object]]", [segmenter.run, video.segment]):
        with pytest.raises(UsageError, match="max_frames"):
            ask([GREY], "the cup", max_frames="3")


def test_a_listener_that_cannot_be_called_is_refused(segmenter: StreamSegmenter) -> None:
    with pytest.raises(UsageError, match=r"on_event: expected a function .* got int"):
        segmenter.run([GREY], on_event=cast(Any, 5))


def test_a_forked_child_is_told_that_the_run_is_its_parents(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[str] = []
    ending = Ending(lambda: ended.append("stopped"))
    ending.then(ended.append, "step")
    parent = os.getpid()
    with monkeypatch.context() as child:
        child.setattr("streamseg.loop.endings.os.getpid", lambda: parent + 1)
        with pytest.raises(UsageError, match=f"process {parent}.*os.fork"), ending.turn():
            pass
        ending.close()
    assert ending.over
    assert not ended
