"""The push form: pictures handed over one by one, through the very loop that `run` drives."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from builders import ListSource

from streamseg import StreamSegmenter, config, sinks, synthetic
from streamseg.errors import OutputError, QueryError, UsageError
from streamseg.sinks.masks import read_masks
from streamseg.types import Event, Frame, FrameResult, ReasonerState, SourceInfo, TrackState

SCENE = synthetic.scene("easy", 1, size=(320, 180), frames=60)
PLAIN = [e for e in SCENE.expressions if e.kind == "plain"]
TEXT = PLAIN[0].text


def pictures(count: int) -> list[np.ndarray]:
    return [SCENE.frame(index)[0] for index in range(count)]


def truth(index: int) -> np.ndarray:
    return np.isin(SCENE.frame(index)[1], PLAIN[0].object_ids)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


@pytest.fixture(scope="module")
def segmenter() -> StreamSegmenter:
    return StreamSegmenter.from_config("classical")


def test_pushed_pictures_give_what_pulled_ones_give(segmenter: StreamSegmenter) -> None:
    with segmenter.session(TEXT, live=False, fps=30) as session:
        pushed = [session.step(image) for image in pictures(30)]
    source = ListSource(Frame(i, round(i * 1e9 / 30), 0, p) for i, p in enumerate(pictures(30)))
    pulled = list(segmenter.run(source, TEXT))
    for a, b in zip(pushed, pulled, strict=True):
        assert np.array_equal(a.masks.labels, b.masks.labels)
        assert (a.state, a.trigger, a.frame.index) == (b.state, b.trigger, b.frame.index)
    assert iou(pushed[-1].masks.labels > 0, truth(29)) > 0.8


def test_a_live_session_never_waits_and_finds_the_object(segmenter: StreamSegmenter) -> None:
    with segmenter.session(TEXT) as session:
        for turn in range(3000):
            result = session.step(SCENE.frame(0)[0], turn * 33_000_000)
            if result.masks.labels.any():
                break
            threading.Event().wait(0.01)
    assert result.reasoner is ReasonerState.READY
    assert iou(result.masks.labels > 0, truth(0)) > 0.8


def test_opencv_pictures_are_taken_as_they_are(segmenter: StreamSegmenter) -> None:
    with segmenter.session(TEXT, live=False, order="bgr") as session:
        for image in pictures(12):
            result = session.step(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert np.array_equal(result.frame.image, SCENE.frame(11)[0])
    assert iou(result.masks.labels > 0, truth(11)) > 0.8


def test_the_callers_buffer_may_be_written_to_again(segmenter: StreamSegmenter) -> None:
    buffer = np.empty((180, 320, 3), np.uint8)
    results = []
    with segmenter.session(TEXT, live=False) as session:
        for image in pictures(12):
            buffer[:] = image
            results.append(session.step(buffer))
            buffer[:] = 0
    for index, result in enumerate(results):
        assert np.array_equal(result.frame.image, SCENE.frame(index)[0])


def test_strided_views_are_pictures(segmenter: StreamSegmenter) -> None:
    wide = np.zeros((180, 640, 3), np.uint8)
    wide[:, ::2] = SCENE.frame(0)[0]
    with segmenter.session(live=False) as session:
        result = session.step(wide[:, ::2])
    assert np.array_equal(result.frame.image, SCENE.frame(0)[0])
    assert result.frame.image.flags.c_contiguous


def test_times_that_go_back_and_new_sizes_begin_epochs(segmenter: StreamSegmenter) -> None:
    image, small = SCENE.frame(0)[0], np.zeros((90, 160, 3), np.uint8)
    events: list[Event] = []
    with segmenter.session(TEXT, live=False, on_event=events.append) as session:
        shown = [
            session.step(image, 50_000_000_000),
            session.step(image, 50_040_000_000),
            session.step(image, 1_000_000_000),
            session.step(image, np.int64(1_040_000_000)),
            session.step(small, 1_080_000_000),
        ]
    assert [result.frame.epoch for result in shown] == [0, 0, 1, 1, 2]
    assert shown[-1].masks.labels.shape == (90, 160)
    assert [event.kind for event in events].count("epoch") == 2


def test_times_that_are_not_given_are_those_of_arrival(segmenter: StreamSegmenter) -> None:
    with segmenter.session() as session:
        first, second = session.step(SCENE.frame(0)[0]), session.step(SCENE.frame(1)[0])
    assert 0 <= first.frame.pts_ns < second.frame.pts_ns
    assert first.frame.epoch == second.frame.epoch == 0


BAD = [
    (np.zeros((9, 8, 3)), "float64 of shape (9, 8, 3)", "astype(np.uint8)"),
    (np.zeros((9, 8, 3), np.uint16), "uint16 of shape (9, 8, 3)", ">> 8"),
    (np.zeros((9, 8), np.uint8), "uint8 of shape (9, 8)", "GRAY2RGB"),
    (np.zeros((9, 8, 1), np.uint8), "(9, 8, 1)", "GRAY2RGB"),
    (np.zeros((9, 8, 4), np.uint8), "(9, 8, 4)", "[..., :3]"),
    (np.zeros((3, 9, 8), np.uint8), "(3, 9, 8)", "transpose(1, 2, 0)"),
    (np.zeros((0, 8, 3), np.uint8), "(0, 8, 3)", "no pixel"),
    (np.zeros((2, 9, 8, 3), np.uint8), "(2, 9, 8, 3)", "one by one"),
    (memoryview(b"abc"), "a memoryview", ""),
    (None, "got None", "camera"),
    ([[[1, 2, 3]]], "a list", ""),
    ("frame.png", "a str", "a path"),
]


@pytest.mark.parametrize(("image", "got", "cure"), BAD, ids=[got for _, got, _ in BAD])
def test_what_is_no_picture_is_refused_and_the_session_goes_on(
    segmenter: StreamSegmenter, image: np.ndarray, got: str, cure: str
) -> None:
    with segmenter.session(live=False, order="bgr") as session:
        session.step(SCENE.frame(0)[0])
        with pytest.raises(UsageError) as refused:
            session.step(image)
        told = str(refused.value)
        assert "picture 1: expected a (height, width, 3) uint8 array in BGR order" in told
        assert got in told
        assert cure in told
        assert "\n" not in told
        assert session.step(SCENE.frame(1)[0]).frame.index == 1


def test_tensors_are_to_be_made_arrays(segmenter: StreamSegmenter) -> None:
    torch = pytest.importorskip("torch")
    with segmenter.session() as session, pytest.raises(UsageError, match=r"np\.asarray"):
        session.step(torch.zeros((9, 8, 3), dtype=torch.uint8))


@pytest.mark.parametrize("pts_ns", [0.5, "1", True, 2**63, float("nan")])
def test_times_are_whole_nanoseconds(segmenter: StreamSegmenter, pts_ns: object) -> None:
    with segmenter.session() as session, pytest.raises(UsageError, match="whole nanoseconds"):
        session.step(SCENE.frame(0)[0], pts_ns)  # type: ignore[arg-type]


def test_bad_words_are_refused_by_the_call_and_leave_the_segmenter_free(
    segmenter: StreamSegmenter, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match='"rgb" or "bgr"'):
        segmenter.session(order="RGBA")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="fps"):
        segmenter.session(fps=0)
    with pytest.raises(QueryError):
        segmenter.session("")
    outputs = sinks.build(config.Config().sinks, tmp_path / "out")
    (tmp_path / "out").write_text("a file, now")
    with pytest.raises(OutputError):
        segmenter.session(sinks=outputs)
    segmenter.session().close()


def test_a_session_ends_once_and_for_all(segmenter: StreamSegmenter) -> None:
    session = segmenter.session("the mug")
    session.step(SCENE.frame(0)[0])
    with pytest.raises(UsageError, match="already running"):
        segmenter.run("synthetic:easy")
    assert not session.ended
    session.close()
    session.close()
    assert session.ended
    with pytest.raises(UsageError, match="has ended"):
        session.step(SCENE.frame(0)[0])
    assert segmenter.summary()["frames"] == 1
    assert segmenter.summary()["source"] == {
        "name": "session",
        "live": True,
        "fps": None,
        "width": 320,
        "height": 180,
    }


def test_stop_ends_a_session(segmenter: StreamSegmenter) -> None:
    with segmenter.session() as session:
        segmenter.stop()
        assert session.ended
        with pytest.raises(UsageError, match="has ended"):
            session.step(SCENE.frame(0)[0])


def test_a_new_query_and_a_click_reach_a_session(segmenter: StreamSegmenter) -> None:
    ys, xs = np.nonzero(truth(1))
    with segmenter.session(live=False) as session:
        session.step(SCENE.frame(0)[0])
        segmenter.add_target((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1), label="this")
        segmenter.set_query(PLAIN[1].text)
        result = session.step(SCENE.frame(1)[0])
        assert result.query == PLAIN[1].text
        (clicked,) = (view.id for view in result.masks.objects if view.label == "this")
        segmenter.remove_target(clicked)
        left = session.step(SCENE.frame(2)[0]).masks.objects
    assert clicked not in {view.id for view in left}


def test_a_session_writes_the_files_of_a_run(segmenter: StreamSegmenter, tmp_path: Path) -> None:
    outputs = sinks.build(config.Config().sinks, tmp_path)
    with segmenter.session(TEXT, live=False, sinks=outputs, name="arm camera") as session:
        for image in pictures(12):
            session.step(image)
    assert [record["frame"] for record in read_masks(tmp_path / "masks.jsonl")] == list(range(12))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["source"]["name"] == "arm camera"
    assert summary["sinks"]["overlay"]["written"] == 12
    assert (tmp_path / "overlay.mp4").stat().st_size > 0


def test_callbacks_of_several_threads_take_turns(segmenter: StreamSegmenter) -> None:
    results = []
    with segmenter.session(TEXT, live=False) as session:

        def callback() -> None:
            results.extend(session.step(SCENE.frame(0)[0]) for _ in range(10))

        threads = [threading.Thread(target=callback) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(result.frame.index for result in results) == list(range(40))


def test_an_error_in_the_callers_loop_closes_the_session(segmenter: StreamSegmenter) -> None:
    session = segmenter.session()
    with pytest.raises(UsageError, match="float32"), session:
        session.step(SCENE.frame(0)[0].astype(np.float32))
    assert session.ended
    assert segmenter.summary()["frames"] == 0


class FullDisk:
    """A sink that keeps results, until it cannot."""

    name = "disk"
    role = sinks.Role.RESULTS

    def open(self, info: SourceInfo, query: str) -> None: ...

    def write(self, result: FrameResult) -> None:
        if result.frame.index == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self, summary: Mapping[str, Any]) -> None: ...


def test_a_sink_that_failed_costs_no_picture_and_is_told_of_at_the_end(
    segmenter: StreamSegmenter,
) -> None:
    session = segmenter.session(TEXT, live=False, sinks=[FullDisk()])
    states = [session.step(image).state for image in pictures(20)]
    assert states[-1] is TrackState.TRACKING
    with pytest.raises(OutputError, match="No space left"):
        session.close()
    session.close()
    assert len(list(segmenter.run([SCENE.frame(0)[0]]))) == 1


def test_an_error_of_the_caller_is_not_hidden_by_a_sinks(segmenter: StreamSegmenter) -> None:
    session = segmenter.session(live=False, sinks=[FullDisk()])
    for image in pictures(6):
        session.step(image)
    with pytest.raises(UsageError, match="float32"), session:
        session.step(SCENE.frame(0)[0].astype(np.float32))
