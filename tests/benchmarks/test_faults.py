"""The long form of the faults: what its judge catches, and a short run of all of it."""

from __future__ import annotations

import io
import itertools
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamseg.benchmarks.faults import reel, verdict
from streamseg.benchmarks.faults.judge import Judge
from streamseg.benchmarks.faults.reel import ABSENT, SENTENCES, SIZES, Reel, Signature
from streamseg.types import Frame, FrameResult, Image, MaskSet, TrackState, TrackView

PINK = "every pink thing"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Reel:
    folder = tmp_path_factory.mktemp("reel")
    reel.draw(folder)
    return Reel(folder)


def through_an_encoder(image: Image) -> Image:
    """As the camera sends it."""
    file = io.BytesIO()
    with av.open(file, "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "18"})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


# What the camera shows --------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("signature", [Signature(0, 0), Signature(255, 74), Signature(37, 5)])
def test_a_picture_can_be_looked_up_once_it_was_encoded(
    shown: Reel, size: tuple[int, int], signature: Signature
) -> None:
    decoded = through_an_encoder(shown.picture(size, signature))
    assert reel.read_signature(decoded) == signature
    assert shown.is_whole(decoded, signature.number)


def test_damage_is_seen(shown: Reel) -> None:
    image = shown.picture(SIZES[0], Signature(1, 10))
    smeared = image.copy()
    smeared[60:100, 100:180] = image[20:60, 20:100] ^ 0x80
    assert not shown.is_whole(smeared, 10)
    assert reel.read_signature(smeared) == Signature(1, 10)
    image[-reel.STRIP_PX :, 40:50] ^= 0xFF
    assert reel.read_signature(image) is None
    assert reel.read_signature(image[:90]) is None


def test_the_reel_never_jumps() -> None:
    numbers = [reel.number_at(tick) for tick in range(4 * reel.FRAMES)]
    assert {abs(b - a) for a, b in itertools.pairwise(numbers)} == {1}
    assert (min(numbers), max(numbers)) == (0, reel.FRAMES - 1)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_what_is_asked_for_is_always_in_the_picture_or_never(shown: Reel, sentence: str) -> None:
    areas = [shown.truth(SIZES[0], number, sentence).sum() for number in range(reel.FRAMES)]
    assert (max(areas) == 0) if sentence == ABSENT else (min(areas) > 200)


# What is caught ---------------------------------------------------------------------------------


def result_of(
    shown: Reel,
    index: int,
    *,
    epoch: int = 0,
    showing: int = 7,
    masked: bool = True,
    query: str = PINK,
    state: TrackState = TrackState.TRACKING,
) -> FrameResult:
    """A right result, or one without masks."""
    number = reel.number_at(index)
    image = shown.picture(SIZES[0], Signature(showing, number))
    labels = np.zeros(image.shape[:2], np.uint16)
    views: tuple[TrackView, ...] = ()
    if masked:
        labels[shown.truth(SIZES[0], number, PINK)] = 3
        views = (TrackView(3, 0.9, state, (0.0, 0.0, 9.0, 9.0)),)
    frame = Frame(index, index * 40_000_000, epoch, image)
    seen = state if masked else TrackState.SEARCHING
    return FrameResult(frame, seen, MaskSet(labels, views), query=query)


def judged(shown: Reel, *results: FrameResult) -> Judge:
    judge = Judge(shown)
    for result in results:
        judge.see(result)
    return judge


def test_right_results_are_right(shown: Reel) -> None:
    judge = judged(
        shown,
        *(result_of(shown, index) for index in range(5)),
        result_of(shown, 5, epoch=1, showing=8, masked=False),
        result_of(shown, 6, epoch=1, showing=8),
    )
    assert judge.bad == {}
    assert (judge.results, judge.damaged, judge.tracking, judge.right) == (7, 0, 6, 6)


def test_masks_carried_across_a_break_are_bad(shown: Reel) -> None:
    judge = judged(shown, result_of(shown, 0), result_of(shown, 1, epoch=1, showing=8))
    assert judge.bad == {"carried across a break": 1}


def test_uncertain_masks_across_a_break_are_bad_too(shown: Reel) -> None:
    over = result_of(shown, 1, epoch=1, showing=8, state=TrackState.UNCERTAIN)
    assert judged(shown, result_of(shown, 0), over).bad == {"carried across a break": 1}


def test_a_break_that_nobody_noticed_is_bad(shown: Reel) -> None:
    judge = judged(shown, result_of(shown, 0), result_of(shown, 1, showing=8))
    assert judge.bad == {"break not seen": 1}


def test_a_mask_of_another_shape_is_bad(shown: Reel) -> None:
    result = result_of(shown, 0)
    small = MaskSet(result.masks.labels[:90], result.masks.objects)
    assert set(judged(shown, replace_masks(result, small)).bad) == {"shape"}


def test_pixels_of_nobody_are_bad(shown: Reel) -> None:
    result = result_of(shown, 0)
    labels = result.masks.labels.copy()
    labels[:5, :5] = 9
    judge = judged(shown, replace_masks(result, MaskSet(labels, result.masks.objects)))
    assert judge.bad == {"unknown id": 1}
    assert "[9]" in judge.examples["unknown id"]


def test_a_box_without_pixels_is_bad(shown: Reel) -> None:
    result = result_of(shown, 0)
    empty = MaskSet(np.zeros_like(result.masks.labels), result.masks.objects)
    assert judged(shown, replace_masks(result, empty)).bad == {"box without a mask": 1}


@pytest.mark.parametrize("index", [1, 0])
def test_a_frame_that_was_there_already_is_bad(shown: Reel, index: int) -> None:
    assert "order" in judged(shown, result_of(shown, 1), result_of(shown, index)).bad


def test_time_that_stands_still_is_bad(shown: Reel) -> None:
    later = result_of(shown, 1)
    late = replace(later, frame=replace(later.frame, pts_ns=0))
    assert judged(shown, result_of(shown, 0), late).bad == {"time": 1}


def test_masks_of_something_else_are_not_right(shown: Reel) -> None:
    judge = judged(shown, result_of(shown, 0), result_of(shown, 1, query="the black square"))
    assert (judge.tracking, judge.right) == (2, 1)
    assert judged(shown, result_of(shown, 0, query=ABSENT)).right == 0


def replace_masks(result: FrameResult, masks: MaskSet) -> FrameResult:
    return replace(result, masks=masks)


# What is measured -------------------------------------------------------------------------------


def test_a_return_is_complete_with_right_masks_on_the_new_connection(shown: Reel) -> None:
    judge = judged(shown, result_of(shown, 0))
    with judge.trouble("drop", new_showing=True):
        judge.see(result_of(shown, 1))
    (back,) = judge.returns
    judge.see(result_of(shown, 2))  # what was still on its way
    assert math.isinf(back.picture_s)
    judge.see(result_of(shown, 3, epoch=1, showing=8, masked=False))
    assert math.isfinite(back.picture_s)
    assert not judge.wait_until_back(0.0)
    judge.see(result_of(shown, 4, epoch=1, showing=8))
    assert judge.wait_until_back(0.0)
    assert back.picture_s <= back.mask_s < math.inf
    assert judge.bad == {}


def test_a_return_that_another_trouble_meets_is_not_measured(shown: Reel) -> None:
    judge = judged(shown, result_of(shown, 0))
    for _ in range(2):
        with judge.trouble("drop", new_showing=True):
            pass
    assert [back.disturbed for back in judge.returns] == [True, False]


def test_what_a_killed_run_leaves_is_told(tmp_path: Path) -> None:
    (tmp_path / "masks.jsonl").write_text("{}\n")
    (tmp_path / "overlay.mp4").write_bytes(b"")
    told = verdict.broken_files(tmp_path)
    assert [line.partition(":")[0] for line in told] == [
        "masks.jsonl",
        "overlay.mp4",
        "summary.json",
    ]


# The whole of it --------------------------------------------------------------------------------

PATIENT = ("--picture-s", "60", "--mask-s", "60", "--gap-s", "30")
"""Bounds for a machine that does other things as well: what hangs breaks them all the same."""


def run(*words: str) -> tuple[int, dict[str, Any], str]:
    """In a process of its own, whose threads are counted: exit code, figures, all it said."""
    done = subprocess.run(
        [sys.executable, "-m", "streamseg.benchmarks.faults", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    said = done.stdout + done.stderr
    assert done.stdout, said
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), said


def test_a_run_under_random_faults(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("--minutes", "0.3", "--seed", "3", "--pace", "0.4", "--output", str(out))
    code, figures, said = run(*words, *PATIENT)
    assert code == 0, said
    assert sum(figures["faults"].values()) >= 3
    assert figures["results"] > 50
    assert figures["right"] > 0
    assert (out / "masks.jsonl").exists()


def test_a_run_of_reconnects_with_busy_processes_beside() -> None:
    code, figures, said = run("--reconnects", "2", "--outage", "0.5", "--busy", "1", *PATIENT)
    assert code == 0, said
    assert [back[0] for back in figures["returns"]] == ["refused", "silent"]
    assert all(back[1] is not None and back[2] is not None for back in figures["returns"])


def test_a_broken_bound_is_exit_code_1() -> None:
    code, figures, said = run("--reconnects", "1", "--outage", "0.1", "--mask-s", "0")
    assert code == 1, said
    assert "mask after a return" in figures["broken"]
