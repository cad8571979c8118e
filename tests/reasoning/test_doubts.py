"""What a person is told of a sentence that is not wholly understood, and how often."""

from __future__ import annotations

import pytest

from streamseg.reasoning import doubts
from streamseg.reasoning.doubts import Doubts
from streamseg.types import Event, Grounding, Target, WordSense, WordUse

BLUE = WordSense("blue", WordUse.UNDERSTOOD)
MUG = WordSense("mug", WordUse.UNKNOWN, "whatever stands out", "everyday")
DOG = WordSense("dog", WordUse.COARSE, "anything that may be an animal", "everyday")
WIDGET = WordSense("widget", WordUse.UNKNOWN, "whatever stands out")
FOUND = (Target((0, 0, 9, 9)),)


@pytest.mark.parametrize(
    ("grounding", "full", "brief"),
    [
        (Grounding(FOUND), "", ""),
        (Grounding(FOUND, words=(BLUE,)), "", ""),
        (
            Grounding(FOUND, words=(BLUE, MUG)),
            "'mug' is not understood, taken as whatever stands out; "
            "--config everyday knows 'mug' (streamseg models fetch everyday)",
            "not understood: mug",
        ),
        (
            Grounding(FOUND, words=(MUG, DOG)),
            "'mug' is not understood, taken as whatever stands out; "
            "'dog' is known only roughly, taken as anything that may be an animal; "
            "--config everyday knows 'mug' and 'dog' (streamseg models fetch everyday)",
            "not understood: mug; known roughly: dog",
        ),
        (
            Grounding((), words=(MUG,), cannot_tell=True),
            "cannot tell which thing is meant; 'mug' is not understood; "
            "--config everyday knows 'mug' (streamseg models fetch everyday)",
            "cannot tell; not understood: mug",
        ),
        (
            Grounding((), words=(WIDGET,), cannot_tell=True),
            "cannot tell which thing is meant; 'widget' is not understood; "
            "say its colour, size or place, or point at it",
            "cannot tell; not understood: widget",
        ),
    ],
)
def test_doubts_in_words(grounding: Grounding, full: str, brief: str) -> None:
    assert (doubts.in_full(grounding), doubts.in_brief(grounding)) == (full, brief)


def test_what_is_understood_is_not_told_of() -> None:
    assert doubts.in_words((BLUE,)) == ""
    assert doubts.in_words((BLUE, DOG, WIDGET)) == (
        "'dog' is known only roughly, taken as anything that may be an animal; "
        "'widget' is not understood, taken as whatever stands out"
    )


def test_a_query_is_doubted_once_and_in_brief_as_long_as_it_is_in_force() -> None:
    told: list[Event] = []
    kept = Doubts(told.append)
    for index in range(3):
        kept.hear(Grounding(FOUND, words=(MUG,)), 1, 10 * index, index)
        assert kept.brief == "not understood: mug"
    assert [(event.kind, event.at_ns, event.frame_index) for event in told] == [("words", 0, 0)]
    kept.forget()
    assert kept.brief == ""
    kept.hear(Grounding(FOUND, words=(BLUE,)), 2, 40, 4)
    kept.hear(Grounding(FOUND, words=(DOG,)), 3, 50, 5)
    assert [event.frame_index for event in told] == [0, 5]


def test_doubt_that_comes_with_a_later_answer_is_told_too() -> None:
    told: list[Event] = []
    kept = Doubts(told.append)
    kept.hear(Grounding(FOUND, words=(BLUE,)), 1, 0, 0)
    kept.hear(Grounding((), words=(WIDGET,), cannot_tell=True), 1, 10, 1)
    assert [event.frame_index for event in told] == [1]
