"""Knowing an object again by its look."""

from __future__ import annotations

import numpy as np
import pytest
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


def elongated(width: int, height: int) -> Signature:
    return look((200, 30, 30), (10, 10, 10 + width, 10 + height))


def test_another_shape_is_another_object_though_turned_it_is_the_same() -> None:
    assert elongated(20, 20).similarity(elongated(40, 8)) < 0.5
    assert elongated(8, 32).similarity(elongated(32, 8)) > 0.99


def test_what_the_border_cuts_is_not_judged_by_its_shape() -> None:
    cut = look((200, 30, 30), (0, 10, 5, 40))
    assert not cut.whole
    assert look((200, 30, 30)).similarity(cut) > 0.8
    assert elongated(20, 20).blend(cut, 0.5).elongation == elongated(20, 20).elongation
    assert cut.blend(elongated(20, 20), 0.1).elongation == pytest.approx(1.0, abs=0.01)


def textured(step: tuple[int, int] | None) -> Signature:
    """Half red, half dark red, in stripes or in two blocks."""
    image = painted({(10, 6, 42, 38): (200, 30, 30)})
    dark = np.zeros(image.shape[:2], bool)
    if step is None:
        dark[6:22, 10:42] = True
    else:
        dark[6 : 38 : step[0]] = step[0] > 1
        dark[1 + 6 : 38 : step[0]] |= step[0] > 1
        dark[:, 10 : 42 : step[1]] |= step[1] > 1
        dark[:, 11 : 42 : step[1]] |= step[1] > 1
        dark &= box_mask((10, 6, 42, 38))
    image[dark] = (90, 10, 10)
    found = signature(image, box_mask((10, 6, 42, 38)), (10.0, 6.0, 42.0, 38.0))
    assert found is not None
    return found


def test_the_same_colours_in_another_texture_are_less_alike() -> None:
    rows, columns, blocks = textured((4, 1)), textured((1, 4)), textured(None)
    assert rows.similarity(textured((4, 1))) > 0.99
    for other in (columns, blocks):
        assert rows.similarity(other) < 0.85


def test_time_widens_where_a_thing_may_be() -> None:
    here, there = look((200, 30, 30), (2, 10, 12, 20)), look((200, 30, 30), (50, 10, 60, 20))
    assert here.nearness(here, 0.0) == 1.0
    assert here.nearness(there, 0.0) < 0.7 < here.nearness(there, 0.8) <= 1.0
    assert here.nearness(there, 3.0) == 1.0
    assert here.elsewhere().nearness(there, 0.0) == 1.0
