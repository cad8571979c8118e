"""Knowing an object again by its look."""

from __future__ import annotations

import numpy as np
from builders import box_mask, painted

from streamseg.propagation.identity import Signature, signature

BOX = (10, 10, 40, 40)


def look(colour: tuple[int, int, int], box: tuple[int, int, int, int] = BOX) -> Signature:
    found = signature(painted({box: colour}), box_mask(box), tuple(float(v) for v in box))  # type: ignore[arg-type]
    assert found is not None
    return found


def test_the_same_object_is_like_itself() -> None:
    assert look((200, 30, 30)).similarity(look((200, 30, 30))) > 0.99


def test_another_colour_is_another_object() -> None:
    assert look((200, 30, 30)).similarity(look((30, 30, 200))) < 0.1


def test_half_of_it_is_still_it() -> None:
    half = look((200, 30, 30), (0, 10, 15, 40))
    assert look((200, 30, 30)).similarity(half) > 0.8


def test_too_few_pixels_say_nothing() -> None:
    box = (10, 10, 13, 13)
    assert signature(painted({}), box_mask(box), (10.0, 10.0, 13.0, 13.0)) is None


def test_blending_moves_towards_the_newer_look() -> None:
    old, new = look((200, 30, 30)), look((30, 30, 200))
    mixed = old.blend(new, 0.5)
    assert np.isclose(mixed.histogram.sum(), 1.0, atol=1e-5)
    assert mixed.similarity(new) > old.similarity(new)
