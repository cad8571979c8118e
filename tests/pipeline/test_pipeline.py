"""The loop: one result per frame, late answers, new queries, clicks, breaks, failures.

The loop is the same whichever networks run in it: these tests run it with the classical default
and with SAM2 and XMem (`selftest`, random weights). What depends on the masks being right is asked
of the classical one alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from builders import ListSource

from streamseg import StreamSegmenter, synthetic
from streamseg.errors import QueryError, SourceError
from streamseg.types import Event, Frame, FrameResult, Mask, SourceInfo, TrackState, TriggerReason

SIZE = (320, 180)
SCENE = synthetic.scene("easy", 1, size=SIZE, frames=240)
CONFIGS = ("classical", "selftest")


def plain_query(scene: synthetic.Scene = SCENE) -> tuple[str, Mask]:
    """A plain sentence about the scene, and the mask of what it means on the first frame."""
    expression = next(e for e in scene.expressions if e.kind == "plain")
    return expression.text, np.isin(scene.frame(0)[1], expression.object_ids)


def frames_of(scene: synthetic.Scene, count: int, *, start: int = 0, epoch: int = 0) -> list[Frame]:
    return [
        Frame(start + i, round((start + i) * 1e9 / 30), epoch, scene.frame(i)[0])
        for i in range(count)
    ]


def truth(index: int, text: str) -> Mask:
    expression = next(e for e in SCENE.expressions if e.text == text)
    return np.isin(SCENE.frame(index)[1], expression.object_ids)


def iou(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


@pytest.fixture(scope="module", params=CONFIGS)
def any_segmenter(request: pytest.FixtureRequest) -> StreamSegmenter:
    """The loop with either set of stages; tests of the loop must pass with both."""
    return StreamSegmenter.from_config(request.param)


@pytest.fixture(scope="module")
def classical() -> StreamSegmenter:
    return StreamSegmenter.from_config("classical")


def test_every_frame_of_a_file_gets_a_result_in_order(any_segmenter: StreamSegmenter) -> None:
    text, _ = plain_query()
    results = list(any_segmenter.run(ListSource(frames_of(SCENE, 20)), text))
    assert [r.frame.index for r in results] == list(range(20))
    assert all(r.masks.labels.shape == (SIZE[1], SIZE[0]) for r in results)
    assert all(r.masks.labels.dtype == np.uint16 for r in results)
    summary = any_segmenter.summary()
    assert summary["frames"] == 20
    assert summary["dropped"] == {}
    assert summary["groundings_total"] >= 1


def test_a_run_over_a_file_is_reproducible(any_segmenter: StreamSegmenter) -> None:
    text, _ = plain_query()

    def run() -> list[np.ndarray]:
        source = ListSource(frames_of(SCENE, 25))
        return [r.masks.labels.copy() for r in any_segmenter.run(source, text)]

    for first, second in zip(run(), run(), strict=True):
        assert np.array_equal(first, second)


def test_the_right_object_is_masked_from_text_alone(classical: StreamSegmenter) -> None:
    text, _ = plain_query()
    results = list(classical.run(ListSource(frames_of(SCENE, 40)), text))
    first = next(r.frame.index for r in results if r.masks.labels.any())
    assert first <= 10
    overlaps = [iou(r.masks.labels > 0, truth(r.frame.index, text)) for r in results[first:]]
    assert np.mean(overlaps) > 0.85
    assert {view.id for r in results for view in r.masks.objects} == {1}


def test_results_say_where_they_come_from(classical: StreamSegmenter) -> None:
    text, _ = plain_query()
    results = list(classical.run(ListSource(frames_of(SCENE, 30)), text))
    asked = [r for r in results if r.trigger is not None]
    assert asked[0].trigger in (TriggerReason.NO_TARGET, TriggerReason.NEW_QUERY)
    last = results[-1]
    assert last.state is TrackState.TRACKING
    assert last.grounded_frame is not None
    assert last.mask_age_frames == last.frame.index - last.grounded_frame
    assert 1.0 <= last.difficulty <= 10.0
    assert last.timings_ms["propagate"] > 0
    assert last.timings_ms["latency"] >= last.timings_ms["propagate"]


def test_a_late_answer_is_carried_to_the_present() -> None:
    text, _ = plain_query()
    runs = {}
    for delay_s in (0.0, 1.5):
        segmenter = StreamSegmenter.from_config("classical", [f"reasoning.delay_s={delay_s}"])
        runs[delay_s] = list(segmenter.run(ListSource(frames_of(SCENE, 70)), text))
    instant, late = runs[0.0], runs[1.5]
    first = next(r.frame.index for r in late if r.masks.labels.any())
    assert 45 <= first <= 60
    assert not any(r.masks.labels.any() for r in late[:45])
    for index in range(first, 70):
        assert iou(late[index].masks.labels > 0, instant[index].masks.labels > 0) >= 0.9


def test_an_answer_whose_frame_has_left_the_ring_is_dropped_and_counted() -> None:
    text, _ = plain_query()
    segmenter = StreamSegmenter.from_config(
        "classical", ["reasoning.delay_s=1.0", "buffer.seconds=0.5"]
    )
    results = list(segmenter.run(ListSource(frames_of(SCENE, 60)), text))
    assert not any(r.masks.labels.any() for r in results)
    assert segmenter.summary()["answers_dropped"]["answer whose frame has left the buffer"] >= 1


def test_a_new_query_mid_stream_takes_over(classical: StreamSegmenter) -> None:
    plain = [e for e in SCENE.expressions if e.kind == "plain"]
    first, second = plain[0], plain[1]
    results = []
    for result in classical.run(ListSource(frames_of(SCENE, 60)), first.text):
        results.append(result)
        if result.frame.index == 30:
            classical.set_query(second.text)
    assert iou(results[29].masks.labels > 0, truth(29, first.text)) > 0.7
    assert iou(results[-1].masks.labels > 0, truth(59, second.text)) > 0.7
    ids = {view.id for view in results[-1].masks.objects if view.box is not None}
    assert 1 not in ids


def test_an_answer_to_an_old_query_changes_nothing() -> None:
    text, _ = plain_query()
    segmenter = StreamSegmenter.from_config("classical", ["reasoning.delay_s=0.5"])
    shown = []
    for result in segmenter.run(ListSource(frames_of(SCENE, 40)), text):
        if result.frame.index == 10:
            segmenter.set_query("the transparent nothing that is not there")
        shown.append(result.masks.labels.any())
    assert not any(shown[:20])


def test_a_click_follows_what_is_in_the_box(any_segmenter: StreamSegmenter) -> None:
    _, mask = plain_query()
    ys, xs = np.nonzero(mask)
    box = (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))
    results = []
    for result in any_segmenter.run(ListSource(frames_of(SCENE, 20))):
        if result.frame.index == 0:
            any_segmenter.add_target(box, label="this one")
        results.append(result)
    assert results[0].state is TrackState.SEARCHING
    assert [view.label for view in results[1].masks.objects] == ["this one"]
    assert results[1].masks.labels.any()


def test_a_click_does_not_disturb_the_others(classical: StreamSegmenter) -> None:
    text, mask = plain_query()
    other = next(
        i for i in np.unique(SCENE.frame(0)[1]) if i and not mask[SCENE.frame(0)[1] == i].any()
    )
    ys, xs = np.nonzero(SCENE.frame(15)[1] == other)
    box = (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))
    results = []
    for result in classical.run(ListSource(frames_of(SCENE, 40)), text):
        if result.frame.index == 14:
            classical.add_target(box)
        results.append(result)
    assert iou(results[-1].masks.labels == 1, truth(39, text)) > 0.8
    assert iou(results[-1].masks.labels == 2, SCENE.frame(39)[1] == other) > 0.6


def test_a_target_can_be_removed(any_segmenter: StreamSegmenter) -> None:
    _, mask = plain_query()
    ys, xs = np.nonzero(mask)
    box = (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))
    results = []
    for result in any_segmenter.run(ListSource(frames_of(SCENE, 20))):
        if result.frame.index == 0:
            any_segmenter.add_target(box)
        if result.frame.index == 10:
            any_segmenter.remove_target(result.masks.objects[0].id)
        results.append(result)
    assert results[-1].masks.objects == ()
    assert not results[-1].masks.labels.any()


def test_a_break_in_the_stream_begins_anew_and_ids_survive(classical: StreamSegmenter) -> None:
    text, _ = plain_query()
    before = frames_of(SCENE, 25)
    after = frames_of(SCENE, 30, start=25, epoch=1)
    results = list(classical.run(ListSource(before + after), text))
    assert results[25].state in (TrackState.LOST, TrackState.TRACKING)
    assert iou(results[-1].masks.labels == 1, truth(29, text)) > 0.8


def test_a_change_of_resolution_is_survived(any_segmenter: StreamSegmenter) -> None:
    text, _ = plain_query()
    small = synthetic.scene("easy", 1, size=(160, 90), frames=20)
    frames = frames_of(SCENE, 12) + frames_of(small, 12, start=12, epoch=1)
    results = list(any_segmenter.run(ListSource(frames), text))
    assert results[11].masks.labels.shape == (180, 320)
    assert results[12].masks.labels.shape == (90, 160)
    assert len(results) == 24


def test_stop_ends_the_run_and_the_source_is_closed(any_segmenter: StreamSegmenter) -> None:
    source = ListSource(frames_of(SCENE, 50))
    for count, _ in enumerate(any_segmenter.run(source, "anything"), start=1):
        if count == 5:
            any_segmenter.stop()
    assert count == 5
    assert source.closed


def test_max_frames_ends_the_run(any_segmenter: StreamSegmenter) -> None:
    results = list(any_segmenter.run(ListSource(frames_of(SCENE, 50)), "anything", max_frames=7))
    assert len(results) == 7


def test_a_generator_left_early_cleans_up(classical: StreamSegmenter) -> None:
    source = ListSource(frames_of(SCENE, 50))
    run = classical.run(source, "anything")
    next(run)
    run.close()
    assert source.closed
    assert classical.summary()["frames"] == 1


def test_a_source_without_frames_is_an_error(classical: StreamSegmenter) -> None:
    with pytest.raises(SourceError, match="without a single frame"):
        list(classical.run(ListSource([]), "anything"))


@pytest.mark.parametrize("text", ["", "  \n", "x" * 1001, "y" * 1_000_000])
def test_a_query_that_cannot_be_is_refused_before_anything_opens(
    classical: StreamSegmenter, text: str
) -> None:
    with pytest.raises(QueryError):
        next(classical.run("/no/such/file.mp4", text))
    with pytest.raises(QueryError):
        classical.set_query(text)


class Recorder:
    """A sink that remembers, or fails on the third frame."""

    name = "recorder"

    def __init__(self, fail: bool = False) -> None:
        self.indices: list[int] = []
        self.summary: Mapping[str, Any] | None = None
        self._fail = fail

    def open(self, info: SourceInfo, query: str) -> None:
        self.indices.clear()

    def write(self, result: FrameResult) -> None:
        if self._fail and result.frame.index == 2:
            raise RuntimeError("disk on fire")
        self.indices.append(result.frame.index)

    def close(self, summary: Mapping[str, Any]) -> None:
        self.summary = summary


def test_a_failing_sink_stops_nobody(classical: StreamSegmenter) -> None:
    good, bad = Recorder(), Recorder(fail=True)
    events: list[Event] = []
    run = classical.run(
        ListSource(frames_of(SCENE, 20)), "anything", sinks=[good, bad], on_event=events.append
    )
    assert len(list(run)) == 20
    assert good.indices == list(range(20))
    assert good.summary is not None
    assert good.summary["frames"] == 20
    assert "sink_failed" in {event.kind for event in events}


def test_a_live_stream_keeps_running_while_the_reasoner_thinks() -> None:
    text, _ = plain_query()
    segmenter = StreamSegmenter.from_config("classical", ["reasoning.delay_s=0.7"])
    spec = "synthetic:easy?seed=1&frames=240&size=320x180&live=1"
    asked = first = None
    seen = 0
    for result in segmenter.run(spec, text):
        seen += 1
        asked = result.frame.index if asked is None and result.trigger else asked
        if result.masks.labels.any():
            first = result.frame.index
            break
    assert asked is not None
    assert first is not None
    assert first - asked >= 20
    assert seen >= first / 2
    assert iou(result.masks.labels > 0, truth(first, text)) > 0.7


def test_memory_of_a_frame_is_given_back_when_it_leaves_the_ring() -> None:
    text, _ = plain_query()
    segmenter = StreamSegmenter.from_config("classical", ["buffer.max_frames=5"])
    frames = frames_of(SCENE, 30)
    list(segmenter.run(ListSource(frames), text))
    assert all(f.nbytes == f.image.nbytes for f in frames)
