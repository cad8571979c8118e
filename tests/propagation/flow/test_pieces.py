"""Pieces of a mask: which are kept, and what a mask is known by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamseg.propagation.flow.pieces import clean, is_one_piece, thickness

Plane = NDArray[np.float32]


def blocks(*boxes: tuple[int, int, int, int]) -> Plane:
    """(40, 80) float32, 1 in the boxes x0, y0, x1, y1."""
    plane = np.zeros((40, 80), np.float32)
    for x0, y0, x1, y1 in boxes:
        plane[y0:y1, x0:x1] = 1.0
    return plane


WHOLE, PART, CRUMB = (10, 10, 30, 30), (50, 10, 55, 20), (70, 30, 72, 32)


def test_a_piece_outside_the_outline_of_a_whole_object_is_dropped() -> None:
    soft = blocks(WHOLE, PART)
    kept = clean(soft, soft, usual=450.0, within=blocks(WHOLE))
    assert (kept == blocks(WHOLE)).all()


def test_pieces_within_the_outline_are_kept() -> None:
    soft = blocks(WHOLE, PART)
    assert (clean(soft, soft, usual=450.0, within=blocks(WHOLE, PART)) == soft).all()
    assert (clean(soft, soft, usual=450.0, within=None) == soft).all()


def test_crumbs_and_what_was_not_carried_are_dropped() -> None:
    soft = blocks(WHOLE, PART, CRUMB)
    kept = clean(soft, blocks(WHOLE, CRUMB), usual=450.0, within=None)
    assert (kept == blocks(WHOLE)).all()


def test_of_two_things_the_one_of_the_usual_size_is_kept() -> None:
    soft = blocks((0, 0, 40, 40), (50, 10, 70, 30))
    kept = clean(soft, soft, usual=400.0, within=None)
    assert (kept == blocks((50, 10, 70, 30))).all()


def test_thickness_and_wholeness() -> None:
    one, two = ((blocks(*boxes) * 255).astype(np.uint8) for boxes in ([WHOLE], [WHOLE, PART]))
    assert is_one_piece(one)
    assert not is_one_piece(two)
    assert 9.0 <= thickness(one) <= 11.0
