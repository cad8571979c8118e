"""Bins of score against outcome, and the calibration error, by hand-made numbers."""

from __future__ import annotations

import pytest

from streamseg.evaluation import calibration


def test_a_score_falls_into_the_bin_whose_upper_edge_it_may_reach() -> None:
    found = calibration.bins([(0.0, 0.0), (0.1, 1.0), (0.11, 1.0), (0.3, 0.5), (1.0, 1.0)])
    assert [each.count for each in found] == [2, 1, 1, 0, 0, 0, 0, 0, 0, 1]
    assert found[0].outcome == 0.5
    assert found[0].score == pytest.approx(0.05)
    assert (found[3].score, found[3].outcome) == (None, None)


def test_the_error_weighs_each_bin_by_its_count() -> None:
    pairs = [(0.9, 1.0), (0.9, 0.0), (0.9, 0.0), (0.2, 0.2)]
    found = calibration.bins(pairs)
    assert calibration.expected_error(found) == pytest.approx(0.75 * (0.9 - 1 / 3))


def test_a_score_that_means_what_it_says_has_no_error() -> None:
    pairs = [(0.75, 1.0)] * 3 + [(0.75, 0.0)]
    assert calibration.expected_error(calibration.bins(pairs)) == pytest.approx(0.0)


def test_no_pair_has_no_error() -> None:
    assert calibration.expected_error(calibration.bins([])) is None


@pytest.mark.parametrize("pair", [(1.2, 0.0), (0.5, -0.1), (float("nan"), 0.0)])
def test_what_is_no_share_is_refused(pair: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"expected a score and an outcome in \[0, 1\]"):
        calibration.bins([pair])
