"""Scenes over a clip's pictures, and samples from judged sentences, for the fit of scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamseg import synthetic
from streamseg.benchmarks import calibrate, clips
from streamseg.benchmarks.real.runs import Kept
from streamseg.evaluation.real import FrameScore, SentenceScore, Verdict
from streamseg.propagation.calibration import features
from streamseg.types import Evidence

SIZE = (160, 96)


def test_objects_are_drawn_over_the_clip_which_plays_again() -> None:
    scene = synthetic.scene("easy", 1, size=SIZE, frames=3)
    grounds = [np.full((48, 80, 3), value, np.uint8) for value in (10, 200)]
    drawn = list(calibrate.Drawn(scene, grounds).frames())
    assert len(drawn) == 3
    for index, (frame, value) in enumerate(zip(drawn, (10, 200, 10), strict=True)):
        image, labels = scene.frame(index)
        np.testing.assert_array_equal(frame[labels > 0], image[labels > 0])
        assert (frame[labels == 0] == value).all()


def test_the_first_pictures_of_a_clip(tmp_path: Path) -> None:
    scene = synthetic.scene("easy", 1, size=SIZE, frames=6)
    clip = clips.encode(scene, tmp_path / "clip.mp4")
    assert len(clips.pictures(clip, 4)) == 4
    whole = clips.pictures(clip, 100)
    assert len(whole) == 6
    assert np.abs(whole[5].astype(int) - scene.frame(5)[0]).mean() < 6


@pytest.mark.parametrize(("verdict", "right"), [(Verdict.RIGHT, True), (Verdict.PARTLY, False)])
def test_frames_that_show_something_are_samples(
    tmp_path: Path, verdict: Verdict, right: bool
) -> None:
    evidence = Evidence(0.8, 0.9, 0.7)
    shown = FrameScore(0, verdict, verdict, 0.5, None, 0.6, 1, evidence)
    nothing = FrameScore(25, Verdict.NONE, Verdict.NONE, None, None, None, 0)
    row = SentenceScore(0, "clip", "the mug", "class", False, True, (shown, nothing))
    Kept(tmp_path, {"config": "classical"}, resume=False).add(row)
    (sample,) = calibrate.from_rows(tmp_path)
    assert sample.features == pytest.approx(features(evidence))
    assert (sample.right, sample.group) == (right, "clip")
