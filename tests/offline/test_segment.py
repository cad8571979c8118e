"""A whole video: one target frame, masks to both ends, in time order, however it is interrupted."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from film_scenes import HEIGHT, WIDTH, ground_of, overlap, second_truth, truth, video
from source_tools import Events, write_video

from streamseg import sinks
from streamseg.config import Config, load
from streamseg.errors import (
    OutputError,
    QueryError,
    ReasoningError,
    SourceError,
    SourceSpecError,
    StreamSegError,
    UsageError,
)
from streamseg.offline import VideoSegmenter
from streamseg.sinks.masks import read_masks
from streamseg.sources.given import Given
from streamseg.types import Frame, FrameResult, TrackState, TriggerReason
from streamseg.video.spool import NAME
from streamseg.video.time_left import Progress, Step

QUERY = "the red square"
FRAMES = 30


@pytest.fixture(scope="module")
def config() -> Config:
    return load("classical", ["offline.tries=3"])


@pytest.fixture(scope="module")
def segmenter(config: Config) -> VideoSegmenter:
    return VideoSegmenter.from_config(config)


def segment(segmenter: VideoSegmenter, given: Given, **options: Any) -> list[FrameResult]:
    return list(segmenter.segment(given, options.pop("query", QUERY), **options))


def are_of(results: list[FrameResult], frames: int) -> None:
    """One result for every frame, in order, each with the square."""
    assert [result.frame.index for result in results] == list(range(frames))
    for result in results:
        assert overlap(result.masks.labels > 0, truth(result.frame.index)) > 0.9


@pytest.mark.parametrize("target", [0, 14, FRAMES - 1])
def test_masks_reach_both_ends_from_any_frame(segmenter: VideoSegmenter, target: int) -> None:
    results = segment(segmenter, video(FRAMES), target_frame=target)
    are_of(results, FRAMES)
    assert [result.grounded_frame for result in results] == [target] * FRAMES
    ages = [abs(at - target) for at in range(FRAMES)]
    assert [result.mask_age_frames for result in results] == ages
    asked = [result.frame.index for result in results if result.trigger]
    assert asked == [target]
    assert results[target].trigger is TriggerReason.NEW_QUERY


def test_the_sampler_finds_a_frame_that_shows_it(segmenter: VideoSegmenter) -> None:
    """It is there on the last quarter alone."""
    empty = [ground_of()] * 24
    shown = video(FRAMES)[:8]
    results = segment(segmenter, [*empty, *shown])
    assert 24 <= (results[-1].grounded_frame or 0) < 32
    summary = segmenter.summary()["offline"]
    assert summary["complete"]
    assert summary["sampler"]["guide"] == "colours"
    assert summary["sampler"]["segment"][0] >= 20
    asked = summary["sampler"]["asked"]
    assert asked["segment"]["calls"] >= 3
    assert asked["segment"]["answers"] >= 3
    assert asked["frame"]["calls"] == 3
    for result in results:
        there = result.frame.index >= 24
        assert (result.masks.labels > 0).any() == there
        assert result.state is (TrackState.TRACKING if there else TrackState.LOST)


def test_several_objects_keep_their_ids_over_the_target_frame(segmenter: VideoSegmenter) -> None:
    results = segment(
        segmenter, video(FRAMES, second=True), query="the red things", target_frame=12
    )
    first = int(results[0].masks.labels[truth(0)].max())
    second = int(results[0].masks.labels[second_truth(0)].max())
    assert {first, second} == {1, 2}
    for result in results:
        at = result.frame.index
        assert overlap(result.masks.mask(first), truth(at)) > 0.9
        assert overlap(result.masks.mask(second), second_truth(at)) > 0.9


def test_who_is_meant_changes_over_the_whole_video(
    segmenter: VideoSegmenter, tmp_path: Path
) -> None:
    """Two cross; the rule is held against both, also where masks were carried back, and by a run
    that goes on with what another one kept."""
    crossing = video(120, second=True)[::4]
    options: dict[str, Any] = {"query": "the leftmost red square", "target_frame": 10}
    kept = tmp_path / NAME
    events = Events()
    whole = segment(segmenter, crossing, on_event=events, **options)
    assert "referent_shifted" in events.kinds
    begun = segmenter.segment(crossing, unfinished=kept, **options)
    next(begun)
    begun.close()
    resumed = segment(segmenter, crossing, unfinished=kept, resume=True, **options)
    for results in (whole, resumed):
        for at, result in enumerate(results):
            true = truth(4 * at) if at <= 15 else second_truth(4 * at)
            if at <= 15 or at >= 20:  # a lead has to last before it is believed
                assert overlap(result.masks.labels > 0, true) > 0.85, at


def test_a_file_gives_the_same_whatever_may_be_held(
    segmenter: VideoSegmenter, config: Config, tmp_path: Path
) -> None:
    path = write_video(tmp_path / "a.mp4", video(FRAMES))
    results = segment(segmenter, path, target_frame=20)
    are_of(results, FRAMES)
    offline = config.offline.model_copy(update={"held_bytes": 2 * 3 * WIDTH * HEIGHT * 3})
    small = VideoSegmenter.from_config(config.model_copy(update={"offline": offline}))
    for result, other in zip(results, segment(small, path, target_frame=20), strict=True):
        assert np.array_equal(result.masks.labels, other.masks.labels)


def test_no_more_pictures_are_held_than_allowed(config: Config, tmp_path: Path) -> None:
    """Counted while masks are carried back, when a stretch of the video has to be held."""
    path = write_video(tmp_path / "a.mp4", video(60))
    offline = config.offline.model_copy(update={"held_bytes": 12 * WIDTH * HEIGHT * 3})
    segmenter = VideoSegmenter.from_config(config.model_copy(update={"offline": offline}))
    gc.collect()
    others, counts = frames_alive(), []

    def count(progress: Progress) -> None:
        if progress.step is Step.CARRY_BACK and progress.done % 5 == 0:
            counts.append(frames_alive() - others)

    segment(segmenter, path, target_frame=59, on_progress=count)
    # Pieces of six: one handed out, one decoded; besides the target frame and what carriers keep.
    assert 1 < max(counts) <= 12 + 6


def frames_alive() -> int:
    return sum(type(item) is Frame for item in gc.get_objects())


def test_nothing_that_matches_is_an_answer_and_every_frame_says_so(
    segmenter: VideoSegmenter,
) -> None:
    results = segment(segmenter, video(9), query="the yellow circle")
    assert [result.state for result in results] == [TrackState.SEARCHING] * 9
    assert not any((result.masks.labels > 0).any() for result in results)
    summary = segmenter.summary()
    assert summary["groundings_total"] == 3  # offline.tries
    assert len({grounding["frame"] for grounding in summary["groundings"]}) == 3
    assert summary["offline"]["complete"]


def test_nothing_is_carried_over_a_break(segmenter: VideoSegmenter, tmp_path: Path) -> None:
    """The second half is another picture, long after the first."""
    other = [np.ascontiguousarray(ground_of(9)[:, ::-1])] * 8
    stamps = [*range(10), *range(500, 508)]
    path = write_video(tmp_path / "a.mkv", [*video(10), *other], pts=stamps)
    results = segment(segmenter, path, target_frame=5)
    are_of(results[:10], 10)
    assert [result.frame.epoch for result in results] == [0] * 10 + [1] * 8
    assert not any((result.masks.labels > 0).any() for result in results[10:])
    assert results[-1].state is TrackState.LOST


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_video_of_hardly_any_frame(segmenter: VideoSegmenter, frames: int) -> None:
    are_of(segment(segmenter, video(frames)), frames)


def test_a_video_that_is_cut_off_gives_what_there_is_and_says_so(
    segmenter: VideoSegmenter, tmp_path: Path
) -> None:
    path = write_video(tmp_path / "a.mkv", video(60))
    path.write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    events = Events()
    results = segment(segmenter, path, on_event=events)
    assert 5 < len(results) < 60
    are_of(results, len(results))
    assert events.kinds.count("truncated") == 1
    told = segmenter.summary()["offline"]
    assert not told["complete"]
    assert "is cut off after" in told["missing"][0]


@pytest.mark.parametrize(
    ("given", "options", "error", "words"),
    [
        ("nowhere.mp4", {}, SourceSpecError, "no such file"),
        ("rtsp://127.0.0.1:1/x", {}, SourceSpecError, "goes on for ever"),
        ([], {}, SourceError, "without a single frame"),
        (iter(video(2)), {}, UsageError, "more than once"),
        (video(3), {"target_frame": 3}, UsageError, "below 3"),
        (video(3), {"query": " "}, QueryError, "empty"),
    ],
)
def test_what_cannot_be_done_is_refused_and_the_next_video_is_not(
    segmenter: VideoSegmenter,
    given: Given,
    options: dict[str, Any],
    error: type[StreamSegError],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        segment(segmenter, given, **options)
    are_of(segment(segmenter, video(2)), 2)


def test_a_reasoner_that_gives_no_answer_is_an_error(config: Config) -> None:
    overrides = ["offline.tries=1", "reasoning.deadline_s=0.0", "reasoning.crash_limit=1"]
    with pytest.raises(ReasoningError, match="no answer to any question"):
        segment(VideoSegmenter.from_config("classical", overrides), video(4))


def test_one_video_at_a_time(segmenter: VideoSegmenter) -> None:
    with segmenter.segment(video(3), QUERY) as results:
        next(results)
        with pytest.raises(UsageError, match="already at work"):
            segmenter.segment(video(3), QUERY)
    are_of(segment(segmenter, video(2)), 2)


# What is written, and going on with it ----------------------------------------------------------


def written(folder: Path) -> list[dict[str, Any]]:
    return list(read_masks(folder / "masks.jsonl"))


def run_into(
    segmenter: VideoSegmenter,
    path: Path,
    folder: Path,
    *,
    stop_at: tuple[Step, int] | None = None,
    resume: bool = False,
    **options: Any,
) -> list[Step]:
    """Segment into a folder, stopping after so many steps of a kind; the steps that were taken."""
    steps: list[Step] = []

    def heard(progress: Progress) -> None:
        steps.append(progress.step)
        if stop_at is not None and steps.count(stop_at[0]) == stop_at[1]:
            segmenter.stop()

    outputs = sinks.build(segmenter.config.sinks, folder, overwrite=resume)
    segment(
        segmenter,
        path,
        target_frame=16,
        sinks=outputs,
        unfinished=folder / NAME,
        resume=resume,
        on_progress=heard,
        **options,
    )
    return steps


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "a.mp4", video(FRAMES))


@pytest.fixture(scope="module")
def whole(
    segmenter: VideoSegmenter, clip: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """The lines of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    run_into(segmenter, clip, folder)
    return written(folder)


def test_the_files_are_a_run_s_own_in_time_order(
    whole: list[dict[str, Any]], tmp_path: Path, segmenter: VideoSegmenter, clip: Path
) -> None:
    assert [line["frame"] for line in whole] == list(range(FRAMES))
    for line in whole:
        assert line["grounded_frame"] == 16
        (item,) = line["objects"]
        assert overlap(item["mask"], truth(line["frame"])) > 0.9
    run_into(segmenter, clip, tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["masks.jsonl", "overlay.mp4", "summary.json"]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["frames"] == FRAMES
    assert summary["groundings"][0]["frame"] == 16
    assert summary["offline"]["complete"]
    assert set(summary["offline"]["seconds"]) == {"reading", "carrying back", "carrying on"}


@pytest.mark.parametrize(
    ("stop_at", "already"),
    [
        ((Step.READ, 5), 0),
        ((Step.CARRY_BACK, 6), 6),
        ((Step.WRITE, 4), 16),
        ((Step.CARRY_ON, 5), 16),
    ],
    ids=["reading", "carrying back", "writing", "carrying on"],
)
def test_a_run_that_was_stopped_goes_on(
    segmenter: VideoSegmenter,
    clip: Path,
    whole: list[dict[str, Any]],
    tmp_path: Path,
    stop_at: tuple[Step, int],
    already: int,
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    run_into(segmenter, clip, folder, stop_at=stop_at)
    assert (folder / NAME).exists()
    summary = segmenter.summary()
    assert summary["offline"]["unfinished"]
    if (folder / "masks.jsonl").exists():
        lines = written(folder)
        assert 0 < len(lines) < FRAMES
        assert [line["frame"] for line in lines] == list(range(len(lines)))
        assert not json.loads((folder / "summary.json").read_text())["offline"]["complete"]
    steps = run_into(segmenter, clip, folder, resume=True)
    assert not (folder / NAME).exists()
    assert steps.count(Step.CARRY_BACK) == 16 - min(already, 16)
    again = written(folder)
    assert [line["frame"] for line in again] == list(range(FRAMES))
    for line, as_whole in zip(again, whole, strict=True):
        (item,), (other,) = line["objects"], as_whole["objects"]
        assert overlap(item["mask"], other["mask"]) > 0.97
        assert item["id"] == other["id"]
    assert json.loads((folder / "summary.json").read_text())["groundings_total"] == 1


def test_what_was_found_is_not_asked_again(
    segmenter: VideoSegmenter, clip: Path, tmp_path: Path
) -> None:
    run_into(segmenter, clip, tmp_path, stop_at=(Step.CARRY_ON, 5))
    events = Events()
    run_into(segmenter, clip, tmp_path, resume=True, on_event=events)
    assert "grounded" not in events.kinds


def test_an_unfinished_run_is_not_replaced_unasked(
    segmenter: VideoSegmenter, clip: Path, tmp_path: Path
) -> None:
    run_into(segmenter, clip, tmp_path, stop_at=(Step.CARRY_BACK, 3))
    with pytest.raises(OutputError, match="unfinished run"):
        run_into(segmenter, clip, tmp_path)
    with pytest.raises(UsageError, match="another query"):
        run_into(segmenter, clip, tmp_path, resume=True, query="the red thing")
    run_into(segmenter, clip, tmp_path, overwrite=True, query="the red thing")
    assert len(written(tmp_path)) == FRAMES


def test_damaged_beginnings_are_told_of(
    segmenter: VideoSegmenter, clip: Path, tmp_path: Path
) -> None:
    run_into(segmenter, clip, tmp_path, stop_at=(Step.CARRY_BACK, 3))
    kept = (tmp_path / NAME).read_text().splitlines()
    damaged: list[dict[str, Any]] = [
        {"target": 99, "objects": {}},
        {"objects": {}},
        {"target": "x", "objects": {}},
    ]
    for start in damaged:
        (tmp_path / NAME).write_text("\n".join([kept[0], json.dumps({"start": start})]) + "\n")
        with pytest.raises(OutputError, match="is damaged"):
            run_into(segmenter, clip, tmp_path, resume=True)


def test_the_time_left_is_told_and_falls(segmenter: VideoSegmenter, clip: Path) -> None:
    told: list[Progress] = []
    segment(segmenter, clip, target_frame=15, on_progress=told.append)
    counts = {step: sum(progress.step is step for progress in told) for step in Step}
    assert counts == {
        Step.READ: FRAMES,
        Step.CARRY_BACK: 15,
        Step.WRITE: 16,
        Step.CARRY_ON: FRAMES - 16,
    }
    assert all(progress.left_s is None for progress in told[:FRAMES])
    left = [progress.left_s for progress in told[FRAMES:]]
    assert None not in left
    assert left[-1] == 0.0
    assert all(progress.total is not None for progress in told)
