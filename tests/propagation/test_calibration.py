"""The chance that a track's evidence stands for."""

from __future__ import annotations

import pytest

from streamseg.propagation.calibration import probability
from streamseg.types import CERTAIN, Evidence


def test_what_nothing_speaks_against_is_likely_and_nothing_is_certain() -> None:
    assert 0.8 < probability(CERTAIN) < 1.0


def test_a_witness_that_says_nothing_leaves_little() -> None:
    assert probability(Evidence(0.0, 0.0, 0.0)) < 0.1
    assert 0.0 < probability(Evidence(0.0, 1.0, 1.0)) < 0.2


@pytest.mark.parametrize("name", ["words", "cut", "carried"])
def test_less_of_any_witness_is_never_more(name: str) -> None:
    falling = [probability(Evidence(**{name: value / 10})) for value in range(10, -1, -1)]
    assert falling == sorted(falling, reverse=True)


@pytest.mark.parametrize("words", [0.3, 0.75, 1.0])
def test_who_sees_things_by_kind_is_believed_more_at_the_same_words(words: float) -> None:
    by_looks, by_kind = (probability(Evidence(words, 0.9, 0.9, each)) for each in (False, True))
    assert by_looks < by_kind < 1.0
