"""Which sentences shift, by what rule, and who is cast."""

from __future__ import annotations

import pytest
from drawn_things import BLUE, GREEN, RED, Thing, ask, frames

from streamseg.reasoning.standing import rule
from streamseg.reasoning.words import grammar
from streamseg.referents import Happening, Measure, Role, Standing

THINGS: list[Thing] = [
    ("disc", RED, (120.0, 100.0), 26.0, (0.0, 0.0)),
    ("disc", GREEN, (320.0, 240.0), 40.0, (0.0, 0.0)),
    ("disc", BLUE, (520.0, 120.0), 33.0, (0.0, 0.0)),
    ("square", RED, (560.0, 260.0), 16.0, (0.0, 0.0)),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the largest ball", Standing(Measure.SIZE, most=True)),
        ("the smallest one", Standing(Measure.SIZE, most=False)),
        ("the second ball from the left", Standing(Measure.X, most=False, rank=2)),
        ("the one in front", Standing(Measure.NEAR, most=True)),
        ("the two fastest cars", Standing(Measure.SPEED, most=True, count=2)),
        ("the ball closest to the red square", Standing(Measure.GAP, most=False)),
        ("whoever holds the cup", Standing(Measure.GAP, most=False, reach=0.05)),
        ("the ball after it was kicked", Standing(after=Happening.MOVED)),
        ("the ball that starts moving", Standing(after=Happening.MOVED)),
        ("the car that stopped", Standing(after=Happening.STOPPED)),
        ("the disc after it touched the square", Standing(after=Happening.TOUCHED)),
        (
            "the red ball once the blue one moves",
            Standing(after=Happening.MOVED, by_anchor=True),
        ),
    ],
)
def test_a_sentence_that_compares_or_waits_has_a_rule(text: str, expected: Standing) -> None:
    assert rule(grammar.parse(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "the red ball",
        "the left ball",  # names one by where it is now, and goes on naming it
        "the ball left of the square",
        "the moving ball",
        "the darkest ball",  # no measure that tracks can be held against
        "the largest ball and the smallest one",
        "the man after lunch",
        "",
    ],
)
def test_others_name_what_they_name_for_good(text: str) -> None:
    assert rule(grammar.parse(text)) is None


def test_the_clause_says_who_has_to_do_what() -> None:
    (itself,) = grammar.parse("the ball after it was kicked")
    (another,) = grammar.parse("the red ball once the blue one moves")
    (touched,) = grammar.parse("the disc after it touched the square")
    assert itself.event == grammar.Event("moved")
    assert another.event is not None
    assert str(another.event.who) == "colour blue"
    assert touched.event is not None
    assert str(touched.event.other) == "shape square"


def test_a_clause_that_tells_nothing_is_said_not_to_be_understood() -> None:
    (phrase,) = grammar.parse("the ball after breakfast")
    assert phrase.event is None
    assert "after" in phrase.ignored


def test_the_leader_is_meant_and_its_rivals_are_cast_in_order() -> None:
    answer = ask("the largest ball", frames(THINGS))
    assert answer.standing == Standing(Measure.SIZE)
    assert [target.label for target in answer.targets] == ["green object"]
    assert [target.label for target in answer.cast] == ["blue object", "red object"]
    assert not answer.anchors
    roles = [role for _, role in answer.pointed]
    assert roles == [Role.MEANT, Role.CAST, Role.CAST]


def test_nobody_is_meant_before_it_happens() -> None:
    answer = ask("the ball after it was kicked", frames(THINGS))
    assert not answer.targets
    assert len(answer.cast) == 3
    assert "before it happens" in answer.reasoning


def test_what_the_sentence_compares_with_is_an_anchor() -> None:
    answer = ask("the ball closest to the red square", frames(THINGS))
    assert [target.label for target in answer.targets] == ["blue object"]
    assert [target.label for target in answer.anchors] == ["red object"]
    (anchor,) = answer.anchors
    assert anchor.box[0] > 500


def test_without_its_other_side_a_comparison_names_nobody() -> None:
    answer = ask("the ball closest to the yellow star", frames(THINGS))
    assert not answer.pointed
    assert not answer.cannot_tell
