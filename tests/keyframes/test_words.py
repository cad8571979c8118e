"""What words give away: colours, negation, time, motion; and more words never count for less."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamseg.keyframes import words


@pytest.mark.parametrize(
    ("text", "colours"),
    [
        ("the blue mug", ("blue",)),
        ("The BLUE mug.", ("blue",)),
        ("a crimson ball left of the grey box", ("red", "gray")),
        ("the mug that is not blue", ()),
        ("the red one, not the blue one", ("red",)),
        ("the dog", ()),
        ("the blues bar", ()),
        ("red and red", ("red",)),
    ],
)
def test_colours_that_are_asked_for(text: str, colours: tuple[str, ...]) -> None:
    assert words.read(text).colours == colours


@pytest.mark.parametrize(
    ("text", "needs_motion"),
    [
        ("the blue mug", False),
        ("the largest red thing", False),
        ("the earring on the king", False),
        ("the man wearing a red hat", False),
        ("the ball rolling to the left", True),
        ("the fastest car", True),
        ("the person who just came in", True),
        ("the stationary cube", True),
        ("the dog before it jumps", True),
    ],
)
def test_queries_that_one_frame_cannot_answer(text: str, needs_motion: bool) -> None:
    assert words.read(text).needs_motion is needs_motion


def test_counts() -> None:
    read = words.read(
        "the largest mug left of the one that isn't moving, which you could drink from"
    )
    assert read.superlatives == 1
    assert read.relations == 1
    assert read.negations == 1
    assert read.motion == 1
    assert read.reasoning >= 1
    assert read.clauses >= 2


KNOWN = words.RELATIONS | words.TEMPORAL | words.MOTION | words.REASONING | words.CLAUSES
OTHERS = {"mug", "largest", "rest", "not", "blue", "running", "thing"}
VOCABULARY = sorted(KNOWN | OTHERS)
sentences = st.lists(st.sampled_from(VOCABULARY), max_size=12).map(" ".join)


@given(sentences | st.text(max_size=60), sentences)
def test_a_longer_query_never_counts_for_less(text: str, more: str) -> None:
    short, long = words.read(text), words.read(f"{text} {more}")
    for field in fields(short):
        if field.name != "colours":
            assert getattr(long, field.name) >= getattr(short, field.name)


@given(st.text(max_size=1000))
def test_any_text_can_be_read(text: str) -> None:
    assert words.read(text).words >= 0


def test_no_word_means_both_motion_and_rest_of_speech() -> None:
    assert not words.MOTION & words.TEMPORAL
    assert not words.MOTION & words.NOT_MOTION
