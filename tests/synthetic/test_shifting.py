"""Scenes in which who is meant changes: what the sentences say is what the pictures show."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg import synthetic
from streamseg.synthetic import Expression, Scene
from streamseg.synthetic.sentences import spans

SEEDS = range(1, 9)


def scene(seed: int) -> Scene:
    return synthetic.scene("shifts", seed, "train", (320, 180))


def told(word: str) -> list[tuple[Scene, Expression]]:
    found = [(each, told) for each in map(scene, SEEDS) for told in each.expressions]
    return [(each, told) for each, told in found if word in told.text]


def extents(labels: np.ndarray) -> dict[int, tuple[float, float, float]]:
    """Of every object: x and y of its middle, and its area."""
    found = {}
    for number in np.unique(labels[labels > 0]):
        ys, xs = np.nonzero(labels == number)
        found[int(number)] = (float(xs.mean()), float(ys.mean()), float(len(xs)))
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_every_sentence_has_an_answer_that_changes(seed: int) -> None:
    made = scene(seed)
    known = {item.id for item in made.objects}
    for each in made.expressions:
        assert len(each.spans) >= 2, each.text
        assert each.at(0.0) == each.object_ids
        starts = [start for start, _ in each.spans]
        assert starts == sorted(starts)
        assert all(set(ids) <= known for _, ids in each.spans)
        assert all(
            one != two for (_, one), (_, two) in zip(each.spans, each.spans[1:], strict=False)
        )


@pytest.mark.parametrize(
    ("word", "axis", "sign"),
    [("right", 0, 1), ("left", 0, -1), ("largest", 2, 1), ("biggest", 2, 1), ("smallest", 2, -1)],
)
def test_who_leads_leads_in_the_picture(word: str, axis: int, sign: int) -> None:
    for made, each in told(word)[:2]:
        for (start, ids), end in zip(
            each.spans, [start for start, _ in each.spans[1:]] + [8.0], strict=True
        ):
            if end - start < 0.3:
                continue
            found = extents(made.frame(round((start + end) / 2 * made.fps))[1])
            leader = max(found, key=lambda key: sign * found[key][axis])
            assert (leader,) == ids, (each.text, start, end)


def test_nobody_is_meant_before_the_kick_and_it_is_who_moves_then() -> None:
    found = told("kicked")
    assert found
    for made, each in found:
        ((_, before), (start, ids)) = each.spans
        assert before == ()
        (hero,) = ids
        one, two, three = (
            extents(made.frame(round(t * made.fps))[1])
            for t in (0.0, start - 0.1, min(start + 1.0, 7.9))
        )
        assert abs(one[hero][0] - two[hero][0]) < 4.0  # the camera may sway
        assert abs(three[hero][0] - two[hero][0]) > 20.0


def test_a_span_holds_until_the_next() -> None:
    held: spans.Spans = ((0.0, ()), (1.0, (2,)), (3.0, (1, 4)))
    assert [spans.at(held, t) for t in (0.0, 0.99, 1.0, 2.5, 3.0, 99.0)] == [
        (), (), (2,), (2,), (1, 4), (1, 4)
    ]  # fmt: skip


def test_other_scenes_compare_where_the_words_do() -> None:
    """ "The leftmost ball" of a level means whoever is leftmost at the time."""
    changing = [
        each
        for seed in range(1, 30)
        for each in synthetic.scene("medium", seed, "train", (320, 180)).expressions
        if each.spans
    ]
    assert changing
    assert {each.kind.value for each in changing} <= {"position", "relational"}
    assert all(each.at(0.0) == each.object_ids for each in changing)
