"""The rules by which a frame of a real clip is judged, and what is kept of it."""

from __future__ import annotations

import numpy as np
import pytest
from builders import box_mask

from streamseg.evaluation import real
from streamseg.evaluation.real import Shown, Verdict
from streamseg.types import MaskSet, TrackState, TrackView

LEFT, RIGHT = (4, 4, 24, 24), (34, 4, 54, 24)
TRUE_LEFT, TRUE_RIGHT = (4.0, 4.0, 24.0, 24.0), (34.0, 4.0, 54.0, 24.0)


def _shown(
    box: tuple[int, int, int, int],
    state: TrackState = TrackState.TRACKING,
    score: float = 0.9,
) -> Shown:
    x0, y0, x1, y1 = box
    return Shown(box_mask(box), (float(x0), float(y0), float(x1), float(y1)), score, state)


@pytest.mark.parametrize(
    ("truth", "boxes", "verdict"),
    [
        ([TRUE_LEFT], [LEFT], Verdict.RIGHT),
        ([TRUE_LEFT], [(4, 4, 24, 15)], Verdict.RIGHT),  # IoU 0.55
        ([TRUE_LEFT], [(4, 4, 24, 13)], Verdict.PARTLY),  # IoU 0.45: a shirt for a person
        ([TRUE_LEFT], [(4, 4, 24, 32)], Verdict.RIGHT),  # 71 % inside, IoU 0.71
        ([TRUE_LEFT], [(4, 4, 24, 33)], Verdict.WRONG),  # 69 % inside
        ([TRUE_LEFT], [RIGHT], Verdict.WRONG),
        ([TRUE_LEFT], [], Verdict.NONE),
        ([TRUE_LEFT], [LEFT, RIGHT], Verdict.WRONG),  # half of it lies outside
        ([TRUE_LEFT], [LEFT, (34, 4, 44, 12)], Verdict.PARTLY),  # a small one too many
        ([TRUE_LEFT, TRUE_RIGHT], [RIGHT, LEFT], Verdict.RIGHT),
        ([TRUE_LEFT, TRUE_RIGHT], [LEFT], Verdict.PARTLY),
        ([TRUE_LEFT, TRUE_LEFT], [LEFT], Verdict.PARTLY),  # one object meets one box
        ([TRUE_LEFT], [(4, 4, 24, 14), (4, 14, 24, 24)], Verdict.PARTLY),  # in two pieces
        ([], [], Verdict.CLEAN),
        ([], [LEFT], Verdict.INVENTED),
    ],
)
def test_every_verdict(
    truth: list[tuple[float, float, float, float]],
    boxes: list[tuple[int, int, int, int]],
    verdict: Verdict,
) -> None:
    assert real.judge(truth, [_shown(box) for box in boxes]) is verdict


def test_what_lies_inside_is_counted_in_pixels_of_the_mask_not_of_its_box() -> None:
    ring = box_mask((0, 0, 44, 44)) & ~box_mask((2, 2, 42, 42))
    outside = Shown(ring, (0.0, 0.0, 44.0, 44.0), 0.9, TrackState.TRACKING)
    assert real.inside_share([(2.0, 2.0, 42.0, 42.0)], [outside]) == 0.0
    assert real.judge([(2.0, 2.0, 42.0, 42.0)], [outside]) is Verdict.WRONG


def test_a_true_box_may_reach_over_the_picture() -> None:
    shown = _shown((0, 0, 20, 20))
    assert real.judge([(-3.0, -3.0, 20.0, 20.0)], [shown]) is Verdict.RIGHT


def test_a_frame_is_judged_both_ways() -> None:
    sure, doubted = _shown(LEFT), _shown(RIGHT, TrackState.UNCERTAIN, 0.5)
    score = real.score_frame(7, [TRUE_LEFT], [sure, doubted])
    assert (score.frame, score.objects) == (7, 2)
    assert score.shown is Verdict.WRONG
    assert score.tracking is Verdict.RIGHT
    assert score.score == pytest.approx(0.7)
    assert score.tracking_score == 0.9
    assert score.box_iou == pytest.approx(0.5)


def test_what_is_only_uncertain_is_believed_by_nobody() -> None:
    doubted = [_shown(LEFT, TrackState.UNCERTAIN)]
    there = real.score_frame(0, [TRUE_LEFT], doubted)
    assert (there.shown, there.tracking) == (Verdict.RIGHT, Verdict.NONE)
    away = real.score_frame(0, [], doubted)
    assert (away.shown, away.tracking) == (Verdict.INVENTED, Verdict.CLEAN)
    assert away.tracking_score is None
    assert away.box_iou == 0.0


def test_nothing_shown_has_no_score() -> None:
    score = real.score_frame(0, [TRUE_LEFT], [])
    assert (score.score, score.box_iou) == (None, None)


def test_shown_is_what_has_a_pixel() -> None:
    labels = np.zeros((48, 64), np.uint16)
    labels[5:9, 10:20] = 3
    views = (
        TrackView(3, 0.8, TrackState.UNCERTAIN, (0.0, 0.0, 1.0, 1.0)),
        TrackView(4, 0.0, TrackState.LOST, None),
    )
    (only,) = real.shown(MaskSet(labels, views))
    assert only.box == (10.0, 5.0, 20.0, 9.0)
    assert np.count_nonzero(only.mask) == 40
    assert (only.score, only.state) == (0.8, TrackState.UNCERTAIN)


def test_a_true_mask_is_held_against_all_that_is_shown() -> None:
    truth = box_mask(LEFT) | box_mask(RIGHT)
    half = real.score_mask(3, truth, [_shown(LEFT, TrackState.UNCERTAIN, 0.4)])
    assert (half.frame, half.iou, half.score, half.tracking) == (3, 0.5, 0.4, False)
    whole = real.score_mask(3, truth, [_shown(LEFT), _shown(RIGHT, TrackState.UNCERTAIN)])
    assert (whole.iou, whole.tracking) == (1.0, True)
    nothing = real.score_mask(3, truth, [])
    assert (nothing.iou, nothing.score) == (0.0, None)
