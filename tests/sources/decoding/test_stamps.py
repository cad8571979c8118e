"""Which of a picture's two stamps is believed."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from streamseg.sources.decoding.stamps import Stamps

Pairs = list[tuple[int | None, int | None]]


def chosen(pairs: Pairs) -> list[int | None]:
    stamps = Stamps()
    return [stamps.best(shown, decoded) for shown, decoded in pairs]


def test_the_stamp_of_showing_is_used_where_it_grows() -> None:
    assert chosen([(0, -2), (1, -1), (2, 0), (3, 1)]) == [0, 1, 2, 3]


def test_a_missing_one_is_made_up_for() -> None:
    assert chosen([(None, 5), (None, 6), (9, None), (None, None)]) == [5, 6, 9, None]


def test_stamps_in_the_order_of_decoding_are_left_for_those_that_grow() -> None:
    assert chosen([(1, 2), (3, 3), (4, 4), (2, 5), (6, 6), (7, 7), (5, 8)]) == [1, 3, 4, 5, 6, 7, 8]


def test_both_restart_together_where_files_were_put_together() -> None:
    assert chosen([(8, 7), (9, 8), (1, 0), (2, 1)]) == [8, 9, 1, 2]


@given(decoded=st.lists(st.integers(0, 10**9), unique=True))
def test_in_the_end_what_grows_wins(decoded: list[int]) -> None:
    decoded.sort()
    shown = list(reversed(decoded))
    best = chosen(list(zip(shown, decoded, strict=True)))
    for before, after in itertools.pairwise(best[1:]):
        assert before is not None
        assert after is not None
        assert after > before
