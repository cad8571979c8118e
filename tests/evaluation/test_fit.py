"""The fit of evidence to chances: what it finds, what it may not find, and what was left out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streamseg.evaluation import calibration
from streamseg.evaluation.calibration import Sample


def drawn(bias: float, slopes: tuple[float, ...], count: int, group: str = "a") -> list[Sample]:
    """Samples whose outcome follows the logistic law exactly in the long run."""
    random = np.random.default_rng(1)
    found = []
    for _ in range(count):
        features = tuple(float(value) for value in -random.exponential(1.0, len(slopes)))
        logit = bias + float(np.dot(slopes, features))
        found.append(Sample(features, random.random() < 1 / (1 + math.exp(-logit)), group))
    return found


def test_finds_the_law_that_the_samples_follow() -> None:
    samples = drawn(2.0, (1.5, 0.5), 4000)
    bias, first, second = calibration.fit(samples).coefficients
    assert bias == pytest.approx(2.0, abs=0.25)
    assert first == pytest.approx(1.5, abs=0.25)
    assert second == pytest.approx(0.5, abs=0.25)


def test_more_evidence_is_never_less() -> None:
    backwards = [Sample((0.0,), False, "a"), Sample((-2.0,), True, "a")] * 50
    assert calibration.fit(backwards).coefficients[1] == 0.0


def test_what_was_fitted_is_calibrated() -> None:
    samples = drawn(1.0, (2.0, 1.0, 0.3), 3000)
    fitted = calibration.fit(samples)
    pairs = [(fitted.chance(sample), float(sample.right)) for sample in samples]
    error = calibration.expected_error(calibration.bins(pairs))
    assert error is not None
    assert error < 0.04


def test_a_group_is_judged_by_the_others_alone() -> None:
    ones = [Sample((0.0,), True, "always right")] * 30
    others = [Sample((0.0,), False, "always wrong")] * 30
    held_out = calibration.left_out(ones + others)
    assert held_out.chance(ones[0]) < 0.1
    assert held_out.chance(others[0]) > 0.9


def test_without_samples_there_is_nothing_to_fit() -> None:
    with pytest.raises(ValueError, match="expected samples"):
        calibration.fit([])
