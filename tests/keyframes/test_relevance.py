"""Text relevance: high where the colour is one patch, low where it is not, 0.5 where unknown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenery import frame, plain, scenery, with_patch

from streamseg.keyframes.relevance import _HSV_BOXES, UNKNOWN, TextRelevance
from streamseg.vocabulary import COLOUR_WORDS

GREY = plain((120, 120, 120))
SAMPLES = {
    "red": (210, 20, 25),
    "orange": (250, 140, 20),
    "yellow": (240, 220, 30),
    "green": (30, 160, 50),
    "cyan": (20, 190, 190),
    "blue": (30, 60, 200),
    "purple": (130, 40, 180),
    "pink": (250, 130, 180),
    "white": (245, 245, 245),
    "black": (15, 15, 15),
    "brown": (110, 65, 30),
    "gold": (212, 175, 55),
    "beige": (225, 205, 170),
}


def test_every_colour_word_has_a_colour() -> None:
    assert set(COLOUR_WORDS) == set(_HSV_BOXES)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_patch_of_the_colour_is_relevant_and_its_absence_is_not(name: str) -> None:
    relevance = TextRelevance(f"the {name} thing")
    assert relevance(frame(with_patch(GREY, SAMPLES[name], 100, 60, 40))) > 0.8
    assert relevance(frame(GREY)) == 0.0


@pytest.mark.parametrize("text", ["the dog", "the mug that is not blue", ""])
def test_a_query_without_colours_leaves_every_frame_at_the_middle(text: str) -> None:
    relevance = TextRelevance(text)
    assert not relevance.visual
    assert relevance(frame(scenery(1))) == UNKNOWN


def test_a_colour_that_fills_the_picture_says_nothing() -> None:
    assert TextRelevance("the gray mouse")(frame(GREY)) == 0.0


def test_strewn_specks_are_less_relevant_than_one_patch_of_the_same_area() -> None:
    relevance = TextRelevance("the red ball")
    patch = with_patch(GREY, SAMPLES["red"], 100, 60, 32)
    specks = GREY.copy()
    for row in range(8):
        for column in range(8):
            y, x = 8 + 20 * row, 8 + 36 * column
            specks[y : y + 4, x : x + 4] = SAMPLES["red"]
    assert relevance(frame(specks)) < 0.5 * relevance(frame(patch))


def test_of_two_colours_each_adds_its_half() -> None:
    relevance = TextRelevance("the red ball left of the blue box")
    one = with_patch(GREY, SAMPLES["red"], 40, 60, 40)
    both = with_patch(one, SAMPLES["blue"], 200, 60, 40)
    assert 0.35 < relevance(frame(one)) < 0.5
    assert relevance(frame(both)) > 0.8


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(COLOUR_WORDS)))
def test_it_stays_within_bounds(seed: int, name: str) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (90, 160, 3), np.uint8)
    assert 0.0 <= TextRelevance(name)(frame(noise)) <= 1.0
