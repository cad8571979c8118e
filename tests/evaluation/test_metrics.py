"""J and F against the official DAVIS 2017 evaluation's values, and their edge cases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamseg.evaluation import metrics

REFERENCE = Path(__file__).parents[1] / "data" / "jf.npz"


@pytest.mark.parametrize("clip", range(5))
def test_equals_the_official_evaluation(clip: int) -> None:
    with np.load(REFERENCE) as data:
        truth, predicted = data[f"gt_{clip}"], data[f"pred_{clip}"]
        j, f = data[f"j_{clip}"], data[f"f_{clip}"]
    ours_j = [metrics.region(p, t) for p, t in zip(predicted, truth, strict=True)]
    ours_f = [metrics.boundary(p, t) for p, t in zip(predicted, truth, strict=True)]
    np.testing.assert_allclose(ours_j, j, atol=1e-9)
    np.testing.assert_allclose(ours_f, f, atol=1e-9)


def test_empty_masks() -> None:
    empty = np.zeros((20, 30), bool)
    square = empty.copy()
    square[5:10, 5:10] = True
    assert metrics.region(empty, empty) == 1.0
    assert metrics.boundary(empty, empty) == 1.0
    assert metrics.region(square, empty) == 0.0
    assert metrics.boundary(square, empty) == 0.0
    assert metrics.boundary(empty, square) == 0.0


def test_a_mask_that_fills_the_picture_has_no_boundary() -> None:
    full = np.ones((20, 30), bool)
    assert not metrics.contour(full).any()
    assert metrics.boundary(full, full) == 1.0


def test_a_shift_within_the_bound_costs_no_boundary() -> None:
    truth = np.zeros((300, 400), bool)
    truth[100:200, 100:200] = True
    # The bound is 0.008 of a diagonal of 500: 4 pixels.
    assert metrics.boundary(np.roll(truth, 4, axis=1), truth) == 1.0
    assert metrics.boundary(np.roll(truth, 9, axis=1), truth) < 0.7
    assert metrics.region(np.roll(truth, 4, axis=1), truth) == pytest.approx(96 / 104)


def test_score_is_the_mean_over_frames() -> None:
    empty = np.zeros((20, 30), bool)
    square = empty.copy()
    square[5:10, 5:10] = True
    result = metrics.score([(square, square), (empty, square)])
    assert (result.j, result.f, result.jf, result.frames) == (0.5, 0.5, 0.5, 2)


def test_nothing_to_score() -> None:
    with pytest.raises(ValueError, match="at least one pair"):
        metrics.score([])


def test_box_iou_by_hand() -> None:
    assert metrics.box_iou((0, 0, 4, 4), (2, 0, 6, 4)) == pytest.approx(1 / 3)
    assert metrics.box_iou((0, 0, 4, 4), (4, 0, 8, 4)) == 0.0
    assert metrics.box_iou((0, 0, 4, 4), (0, 0, 4, 4)) == 1.0


def test_the_extent_of_a_mask() -> None:
    mask = np.zeros((9, 12), bool)
    assert metrics.extent(mask) is None
    mask[2, 3] = mask[7, 10] = True
    assert metrics.extent(mask) == (3.0, 2.0, 11.0, 8.0)


def test_matching_prefers_many_pairs_to_good_ones() -> None:
    first = [(0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 10.0, 7.0)]
    second = [(0.0, 0.0, 10.0, 9.0), (0.0, 0.0, 10.0, 15.0)]
    found = metrics.matched(first, second, 0.5)
    assert [(ours, theirs) for ours, theirs, _ in found] == [(0, 1), (1, 0)]
    assert [iou for _, _, iou in found] == pytest.approx([10 / 15, 7 / 9])
    assert metrics.matched(first, [], 0.5) == []
