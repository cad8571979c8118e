"""Sentences to trees: words, scope, number, and no text that raises."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamseg.reasoning.words import lexicon
from streamseg.reasoning.words.grammar import parse
from streamseg.reasoning.words.phrases import ALL, Attribute, Phrase, Superlative


def only(text: str) -> Phrase:
    phrases = parse(text)
    assert len(phrases) == 1, phrases
    return phrases[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the red ball", ["colour red", "shape round"]),
        ("Find the GREY square, please!", ["colour gray", "shape square"]),
        ("the teal thing", ["colour cyan"]),
        ("the red or blue star", ["colour red or blue", "shape star"]),
        ("the one that is not red", ["not colour red"]),
        ("the ring which isn't moving", ["shape ring", "motion still"]),
        ("a thing going to the left", ["motion left"]),
        ("the ball in the top left corner", ["shape round", "place top left"]),
        ("the ball on the left of the picture", ["shape round", "place left"]),
        ("the object coming in", ["motion entering"]),
        ("the striped oval", ["texture striped", "shape ellipse"]),
        ("the man in the blue shirt", ["colour blue"]),
        ("the man in blue", ["colour blue"]),
        ("the woman dressed in dark red", ["colour dark red"]),
        ("the man who is not in blue", ["not colour blue"]),
        ("the man not wearing the blue shirt", ["not colour blue"]),
    ],
)
def test_attributes(text: str, expected: list[str]) -> None:
    assert [str(item) for item in only(text).attributes] == expected


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("the red ball", "ball"),
        ("the tennis player", "tennis player"),
        ("the red thing", ""),
        ("the moving hands", "hands"),
        ("the hand", "hand"),
        ("the left hand", "hand"),
        ("the left hand mug", "mug"),
        ("the cup on the left hand side", "cup"),
        ("the cup in the lower left hand corner", "cup"),
        ("a piece of furniture", "furniture"),
        ("the bunch of bananas", "bananas"),
        ("a group of people", "people"),
        ("the group", "group"),
        ("the glass of water", "glass"),
        ("the spout of the kettle", "spout"),
        ("the kettle's spout", "spout"),
        ("it's the red apple", "apple"),
        ("the girl jumping on the bed", "girl"),
        ("the man holding the umbrella", "man"),
    ],
)
def test_the_head_names_the_thing(text: str, head: str) -> None:
    assert only(text).head == head


def test_a_measure_is_no_word_that_was_not_understood() -> None:
    bunch, bananas = only("the bunch of bananas"), only("the bananas")
    assert replace(bunch, text=bananas.text) == bananas


@pytest.mark.parametrize("text", ["the dog's red collar", "the red collar of the dog"])
def test_what_is_owned_is_a_part_of_its_owner(text: str) -> None:
    phrase = only(text)
    assert phrase.head == "collar"
    assert [str(item) for item in phrase.attributes] == ["colour red"]
    (relation,) = phrase.relations
    assert relation.kind == "part"
    assert relation.other.head == "dog"


def test_a_verb_that_is_not_known_tells_of_nearness_perhaps() -> None:
    (relation,) = only("the man holding the blue umbrella").relations
    assert relation.guessed
    assert relation.other.head == "umbrella"
    assert str(relation) == "perhaps near (colour blue)"
    assert only("the man holding the umbrella").empty
    assert not only("the man next to the umbrella").empty


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("the red ball", 1),
        ("the red balls", ALL),
        ("all red balls", ALL),
        ("every ball", ALL),
        ("the two red balls", 2),
        ("both squares", 2),
        ("3 green things", 3),
        ("the mugs", ALL),
        ("the people", ALL),
        ("the glass", 1),
        ("the largest of the balls", 1),
    ],
)
def test_number(text: str, count: int) -> None:
    assert only(text).count == count


@pytest.mark.parametrize(
    ("text", "axis", "rank"),
    [
        ("the biggest ball", "+size", 1),
        ("the second largest ball", "+size", 2),
        ("the leftmost thing", "-x", 1),
        ("the ball furthest to the right", "+x", 1),
        ("the second star from the right", "+x", 2),
        ("the third ball", "-x", 3),
        ("the fastest one", "+speed", 1),
        ("the thing closest to the camera", "+near", 1),
        ("the lowest ring", "+y", 1),
    ],
)
def test_superlatives(text: str, axis: str, rank: int) -> None:
    assert only(text).superlatives == (Superlative(axis, rank),)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("the ball left of the red square", "left"),
        ("the ball to the right of the red square", "right"),
        ("the ball under the red square", "below"),
        ("the ball next to the red square", "near"),
        ("the ball closest to the red square", "nearest"),
        ("the ball nearest the red square", "nearest"),
        ("the ball behind the red square", "behind"),
        ("the ball in the red square", "inside"),
        ("the ball that is bigger than the red square", "bigger"),
    ],
)
def test_relations(text: str, kind: str) -> None:
    phrase = only(text)
    (relation,) = phrase.relations
    assert relation.kind == kind
    assert [item.values for item in relation.other.attributes] == [("red",), ("square",)]
    assert [item.values for item in phrase.attributes] == [("round",)]


def test_relations_nest_and_join() -> None:
    nested = only("the ball near the star left of the ring")
    assert nested.relations[0].other.relations[0].kind == "left"
    joined = only("the star below the white ring and right of the green box")
    assert [item.kind for item in joined.relations] == ["below", "right"]
    negated = only("the red ball that is not near the blue box")
    assert negated.relations[0].negated


def test_several_phrases() -> None:
    first, second = parse("the red ball and the blue box")
    assert first.attributes[0] == Attribute("colour", ("red",))
    assert second.attributes[0] == Attribute("colour", ("blue",))
    assert len(parse("the red ball, the blue box and the green star")) == 3


def test_plural_colours_are_alternatives() -> None:
    assert only("the red and blue balls").attributes[0].values == ("red", "blue")
    both = only("the red and white ball").attributes
    assert [item.values for item in both[:2]] == [("red",), ("white",)]


def test_tone_goes_with_its_colour() -> None:
    assert only("the dark blue ring").attributes[0].tone == "dark"
    assert only("the dark thing").attributes == (Attribute("tone", ("dark",)),)


def test_exceptions() -> None:
    phrase = only("everything except the red ball")
    assert phrase.count == ALL
    assert phrase.excluded[0].attributes[0].values == ("red",)


def test_unknown_words_are_kept_as_ignored() -> None:
    phrase = only("the blue zebrafish")
    assert phrase.ignored == ("zebrafish",)
    assert phrase.attributes == (Attribute("colour", ("blue",)),)
    assert only("the yellow robot arm").nouns == ("arm",)


@pytest.mark.parametrize("text", ["", "   ", "?!…", "the of and", "\x00\n"])
def test_no_words_make_no_phrase(text: str) -> None:
    assert parse(text) == ()


def test_deep_nesting_ends() -> None:
    text = "the ball " + "near the ball " * 60
    depth, phrase = 0, parse(text)[0]
    while phrase.relations:
        depth, phrase = depth + 1, phrase.relations[0].other
    assert 3 <= depth <= 6


_WORD = st.sampled_from(sorted({word for run in lexicon._TABLE for word in run}))


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=1200), st.lists(_WORD, max_size=250).map(" ".join)))
def test_any_text_has_a_reading(text: str) -> None:
    phrases = parse(text)
    assert len(phrases) <= 8
    for phrase in phrases:
        assert phrase.count == ALL or 1 <= phrase.count <= 99
        assert isinstance(str(phrase), str)


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        ("the cup between the dog and the cat", ["dog", "cat"]),
        ("the cup between the dog and cat", ["dog", "cat"]),
        ("the cup in between a red box and the blue widget", ["box", "widget"]),
        ("the cup between the two dogs", ["dogs"]),
        ("the cup between the dog and", ["dog"]),
    ],
)
def test_between_has_two_sides(text: str, sides: list[str]) -> None:
    (relation,) = only(text).relations
    assert relation.kind == "between"
    assert [other.head for other in relation.others] == sides


def test_what_follows_both_sides_is_another_phrase() -> None:
    first, second = parse("the cup between the dog and the cat and the red ball")
    assert [other.head for other in first.relations[0].others] == ["dog", "cat"]
    assert second.head == "ball"
    near, other = parse("the cup next to the dog and the cat")
    assert [each.head for each in near.relations[0].others] == ["dog"]
    assert other.head == "cat"
