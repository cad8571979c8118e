"""Intervals of means: they hold the truth about as often as they say, and mind groups."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg.evaluation import intervals


def test_it_holds_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        values = random.normal(2.0, 1.0, 80)
        low, high = intervals.of_mean(values.tolist(), range(80), draws=500)
        held += low <= 2.0 <= high
    assert 176 <= held <= 200  # 190 are expected, with a deviation of 3


def test_answers_that_stand_together_count_as_one() -> None:
    values = np.random.default_rng(2).normal(0.0, 1.0, 50)
    once = intervals.of_mean(values.tolist(), range(50))
    ten_times = intervals.of_mean(np.repeat(values, 10).tolist(), np.repeat(range(50), 10).tolist())
    alone = intervals.of_mean(np.repeat(values, 10).tolist(), range(500))
    assert np.allclose(once, ten_times)
    assert alone[1] - alone[0] < 0.5 * (once[1] - once[0])


def test_a_gain_on_the_same_questions_is_surer_than_the_means() -> None:
    random = np.random.default_rng(3)
    base = random.uniform(0.0, 3.0, 400)
    low, high = intervals.of_gain((1.1 * base).tolist(), base.tolist(), range(400))
    assert low == pytest.approx(0.1)
    assert high == pytest.approx(0.1)


@pytest.mark.parametrize("values", [[], [1.0, 2.0]])
def test_what_cannot_be_drawn_from_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="groups"):
        intervals.of_mean(values, [0])
    with pytest.raises(ValueError, match="not 0"):
        intervals.of_gain([1.0], [0.0], [0])
