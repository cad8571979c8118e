"""The accuracy benchmark's own arithmetic: what is visible, which sentences, whose id."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from rich.console import Console

from streamseg import synthetic
from streamseg.benchmarks import accuracy
from streamseg.synthetic import ExpressionKind, Scene
from streamseg.types import Mask

SIZE = (160, 90)


def one(t_s: float) -> tuple[int, ...]:
    """Object 1 is meant throughout."""
    return (1,)


def _reentry() -> Scene:
    return synthetic.scene("reentry", seed=1, size=SIZE)


def _truth(scene: Scene, ids: tuple[int, ...]) -> Iterator[Mask]:
    return (np.isin(scene.frame(index)[1], ids) for index in range(len(scene)))


def test_the_truth_scores_one_on_the_visible_frames() -> None:
    scene = _reentry()
    trial = accuracy._trial(scene, 1, "text", "plain", "the x", one, _truth(scene, (1,)))
    assert trial.jf == 1.0
    assert (trial.first_mask, trial.false_share) == (0, 0.0)


def test_frames_before_the_first_mask_count_as_empty() -> None:
    scene = _reentry()
    late = (mask & (index >= 60) for index, mask in enumerate(_truth(scene, (1,))))
    trial = accuracy._trial(scene, 1, "text", "plain", "the x", one, late)
    assert trial.jf is not None
    assert 0.2 < trial.jf < 0.8
    assert trial.jf_from_first == 1.0


def test_a_mask_while_the_object_is_away_is_false() -> None:
    scene = _reentry()
    everywhere = (np.ones(SIZE[::-1], bool) for _ in range(len(scene)))
    trial = accuracy._trial(scene, 1, "text", "plain", "the x", one, everywhere)
    assert trial.false_share == 1.0


@pytest.mark.parametrize(("shown", "none"), [(0, True), (2, True), (5, False)])
def test_an_absent_query_is_answered_by_hardly_a_mask(shown: int, none: bool) -> None:
    scene = synthetic.scene("easy", seed=1, size=SIZE, frames=100)
    masks = (np.full(SIZE[::-1], index < shown) for index in range(100))
    trial = accuracy._trial(scene, 1, "text", "absent", "the x", lambda t_s: (), masks)
    assert trial.jf is None
    assert trial.answered_none is none


def test_sentences_turn_through_the_kinds() -> None:
    told = [
        accuracy.sentences(synthetic.scene("medium", seed), seed, count=2) for seed in range(1, 10)
    ]
    assert all(len(each) == 3 for each in told)
    assert all(each[-1].kind is ExpressionKind.ABSENT for each in told)
    assert len({each.kind for some in told for each in some}) >= 8


def test_the_owner_covers_half_of_the_truth() -> None:
    labels = np.zeros((10, 10), np.uint16)
    truth = np.zeros((10, 10), bool)
    truth[2:6] = True
    assert accuracy._owner(labels, truth) == 0
    labels[2:4, :9] = 7
    assert accuracy._owner(labels, truth) == 0
    labels[2:4] = 7
    assert accuracy._owner(labels, truth) == 7


def test_an_id_kept() -> None:
    assert accuracy.Return(1, "", 4, 4).kept
    assert not accuracy.Return(1, "", 4, 5).kept
    assert not accuracy.Return(1, "", 0, 0).kept


def test_the_true_box_on_the_embedded_default() -> None:
    bench = accuracy.Bench("classical", (), direct=True)
    scene = synthetic.scene("easy", seed=2, size=(320, 180), frames=20)
    trial = bench.from_box(scene, scene.objects[0].id, 2)
    assert trial.jf is not None
    assert trial.jf > 0.8


def test_the_table_tells_means_and_the_worst() -> None:
    scene = _reentry()
    good = accuracy._trial(scene, 1, "text", "plain", "the good", one, _truth(scene, (1,)))
    empty = (np.zeros(SIZE[::-1], bool) for _ in range(len(scene)))
    bad = accuracy._trial(scene, 2, "text", "plain", "the bad", one, empty)
    out = io.StringIO()
    figures = accuracy.tell(
        [good, bad], [accuracy.Return(1, "the ball", 1, 2)], Console(file=out, width=140)
    )
    assert figures["reentry/text/all"]["jf"] == pytest.approx(0.5)
    assert figures["reentry"] == {"trials": 1, "old_id": 0.0}
    assert "the bad" in out.getvalue()


def test_who_leads_later_is_the_truth_later() -> None:
    scene = synthetic.scene("easy", seed=3, size=SIZE, frames=10)
    half = 5 / scene.fps

    def meant(t_s: float) -> tuple[int, ...]:
        return (1,) if t_s < half else (2,)

    masks = (np.isin(scene.frame(k)[1], meant(k / scene.fps)) for k in range(10))
    assert accuracy._trial(scene, 3, "text", "position", "the first", meant, masks).jf == 1.0
