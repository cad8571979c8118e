"""The judge of shifting referents, on masks made by hand."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from streamseg import synthetic
from streamseg.benchmarks import shifts
from streamseg.synthetic import Expression
from streamseg.types import Labels

SCENE = synthetic.scene("shifts", 3, "train", (160, 90))
TOLD = next(each for each in SCENE.expressions if "kicked" in each.text)
((_, _), (START_S, (HERO,))) = TOLD.spans


def shown(told: Expression, late: int = 0, early: int = 0) -> Iterator[Labels]:
    """The truth, its change so many frames late; with a mask on the first few frames."""
    for index in range(len(SCENE)):
        labels = SCENE.frame(index)[1]
        ids = told.at(max(0, index - late) / SCENE.fps)
        yield np.where(np.isin(labels, ids), labels, 0).astype(np.uint16) + np.uint16(index < early)


def test_the_truth_scores_in_full() -> None:
    trial = shifts.judge(SCENE, TOLD, 3, shown(TOLD))
    assert trial.jf == pytest.approx(1.0)
    assert trial.early == trial.idle == (0, round(START_S * SCENE.fps + 0.5))
    assert trial.hand_overs_s == (pytest.approx(0.0, abs=0.04),)


def test_a_late_change_costs_frames_and_time() -> None:
    trial = shifts.judge(SCENE, TOLD, 3, shown(TOLD, late=15))
    (delay,) = trial.hand_overs_s
    assert delay == pytest.approx(0.5, abs=0.04)
    assert 0.8 < trial.jf < 0.95


def test_masks_before_the_event_are_counted() -> None:
    trial = shifts.judge(SCENE, TOLD, 3, shown(TOLD, early=10))
    assert trial.early[0] == 10
    assert shifts.figures_of([trial])["early_share"] == pytest.approx(10 / trial.early[1])


def test_a_change_that_never_comes_is_missed() -> None:
    nothing = (np.zeros((90, 160), np.uint16) for _ in range(len(SCENE)))
    trial = shifts.judge(SCENE, TOLD, 3, nothing)
    assert trial.jf == 0.0
    assert trial.hand_overs_s == (None,)
    assert shifts.figures_of([trial])["hand_overs_missed"] == 1
