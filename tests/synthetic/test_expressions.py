"""The answers hold on the masks themselves, measured without the code that wrote them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest

from streamseg import synthetic
from streamseg.synthetic import Expression, ExpressionKind, Scene
from streamseg.synthetic.sentences.words import (
    COLOURS,
    SHAPE_NOUNS,
    alike_colours,
    alike_shapes,
    plural,
)

Measured = dict[int, tuple[float, float, int]]
"""Id to centre x, centre y and area."""

SEEDS = range(21, 33)


def _scenes(*names: str) -> Iterator[Scene]:
    for name in names:
        for seed in SEEDS:
            yield _scene(name, seed)


@cache
def _scene(name: str, seed: int) -> Scene:
    return synthetic.scene(name, seed=seed, split="val")


def _of(scene: Scene, kind: ExpressionKind) -> list[Expression]:
    return [each for each in scene.expressions if each.kind is kind]


def _measure(scene: Scene, index: int) -> Measured:
    labels = scene.frame(index)[1]
    found: Measured = {}
    for item in scene.objects:
        y, x = np.nonzero(labels == item.id)
        found[item.id] = (float(x.mean()), float(y.mean()), x.size)
    return found


def _named(scene: Scene, words: str) -> set[int]:
    """The ids that the colours and shapes among the words allow."""
    tokens = words.split()
    colours = [token for token in tokens if token in COLOURS]
    shapes = [
        shape
        for shape, nouns in SHAPE_NOUNS.items()
        if any(token in (noun, plural(noun)) for noun in nouns for token in tokens)
    ]
    return {
        item.id
        for item in scene.objects
        if (not colours or item.colour in colours) and (not shapes or item.shape in shapes)
    }


def test_plain_and_plural_name_exactly_their_answer() -> None:
    checked = 0
    for scene in _scenes("easy", "medium", "hard"):
        for each in _of(scene, ExpressionKind.PLAIN) + _of(scene, ExpressionKind.PLURAL):
            assert _named(scene, each.text) == set(each.object_ids), each.text
            checked += 1
    assert checked > 60


_BEST: dict[str, Callable[[tuple[float, float, int]], float]] = {
    "largest": lambda m: m[2],
    "biggest": lambda m: m[2],
    "large": lambda m: m[2],
    "smallest": lambda m: -m[2],
    "small": lambda m: -m[2],
    "leftmost": lambda m: -m[0],
    "left": lambda m: -m[0],
    "rightmost": lambda m: m[0],
    "right": lambda m: m[0],
    "topmost": lambda m: -m[1],
    "highest": lambda m: -m[1],
    "lowest": lambda m: m[1],
    "bottommost": lambda m: m[1],
}


@pytest.mark.parametrize("index", [0, 15, 30])
def test_superlatives_and_places_hold_on_the_masks(index: int) -> None:
    checked = 0
    for scene in _scenes("easy", "medium"):
        measured = _measure(scene, index)
        for kind in (ExpressionKind.SUPERLATIVE, ExpressionKind.POSITION):
            for each in _of(scene, kind):
                words = [word for word in each.text.split() if word in _BEST]
                if not words:
                    assert "middle" in each.text
                    continue
                rank = _BEST[words[0]]
                best = max(_named(scene, each.text), key=lambda k: rank(measured[k]))
                assert (best,) == each.object_ids, each.text
                checked += 1
    assert checked > 50


@pytest.mark.parametrize("index", [0, 15, 30])
def test_relations_hold_on_the_masks(index: int) -> None:
    sides = {"left of": (0, -1), "right of": (0, 1), "above": (1, -1), "below": (1, 1)}
    checked = 0
    for scene in _scenes("easy", "medium"):
        measured = _measure(scene, index)
        for each in _of(scene, ExpressionKind.RELATIONAL):
            head, _, anchor = each.text.rpartition(" the ")
            (other,) = _named(scene, anchor)
            for side, (axis, sign) in sides.items():
                if side in head:
                    there = {
                        k
                        for k in _named(scene, head) - {other}
                        if sign * (measured[k][axis] - measured[other][axis]) > 0
                    }
                    assert there == set(each.object_ids), each.text
                    checked += 1
    assert checked > 15


def test_negations_leave_one() -> None:
    checked = 0
    for scene in _scenes("easy", "medium", "hard"):
        for each in _of(scene, ExpressionKind.NEGATION):
            head, _, colour = each.text.rpartition(" ")
            rest = _named(scene, head) - _named(scene, colour)
            assert rest == set(each.object_ids), each.text
            checked += 1
    assert checked > 15


def test_motion_holds_on_the_masks() -> None:
    signs = {"left": (0, -1), "right": (0, 1), "up": (1, -1), "down": (1, 1)}
    checked = 0
    for scene in _scenes("easy"):
        first, last = _measure(scene, 0), _measure(scene, 30)
        speed = {k: np.hypot(last[k][0] - first[k][0], last[k][1] - first[k][1]) for k in first}
        for each in _of(scene, ExpressionKind.TEMPORAL):
            (answer,) = each.object_ids
            word = each.text.split()[-1]
            if word in signs:
                axis, sign = signs[word]
                there = {
                    k
                    for k in _named(scene, each.text)
                    if sign * (last[k][axis] - first[k][axis]) > 30
                }
                assert there == {answer}, each.text
                checked += 1
            elif "not move" in each.text or "still" in each.text:
                assert speed[answer] < 3
                checked += 1
    assert checked > 8


def test_absent_things_resemble_nothing_there() -> None:
    for scene in _scenes("easy", "medium"):
        for each in _of(scene, ExpressionKind.ABSENT):
            _, colour, noun = each.text.split()
            shape = next((s for s, nouns in SHAPE_NOUNS.items() if noun in nouns), None)
            for item in scene.objects:
                near_shape = shape is None or alike_shapes(item.shape, shape)
                assert not (near_shape and alike_colours(item.colour, colour)), each.text


def test_every_kind_is_told_of() -> None:
    told = {each.kind for scene in _scenes("hard") for each in scene.expressions}
    assert told == set(ExpressionKind)
