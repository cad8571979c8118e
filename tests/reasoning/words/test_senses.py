"""How far sentences are understood, word by word, by who knows shapes and by who knows things."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from streamseg.reasoning.words.grammar import parse
from streamseg.reasoning.words.phrases import Phrase
from streamseg.reasoning.words.senses import decides, read
from streamseg.types import Grounding, WordSense, WordUse

KNOWN = {"dog": WordUse.UNDERSTOOD, "mug": WordUse.COARSE}


@dataclass
class Knower:
    """Knows dogs, takes mugs for cups, and nothing else."""

    def sense(self, phrase: Phrase) -> WordSense | None:
        if not phrase.head:
            return None
        use = KNOWN.get(phrase.head, WordUse.UNKNOWN)
        return WordSense(phrase.head, use, "cup" if use is WordUse.COARSE else "")

    def tells(self, phrase: Phrase) -> bool:
        return phrase.head in KNOWN


def understood(text: str) -> dict[str, WordUse]:
    return {word.text: word.use for word in read(parse(text), Knower().sense)}


def test_each_word_that_matters_is_told_once_in_order() -> None:
    found = read(parse("the red mug next to the red spout, please"), Knower().sense)
    assert [(word.text, word.use.value) for word in found] == [
        ("red", "understood"),
        ("mug", "coarse"),
        ("near", "understood"),
        ("spout", "unknown"),
    ]
    assert [word.text for word in found if word.names] == ["mug", "spout"]


def test_words_that_do_not_fit_in_are_unknown() -> None:
    assert understood("the dog glistening") == {
        "dog": WordUse.UNDERSTOOD,
        "glistening": WordUse.UNKNOWN,
    }


@pytest.mark.parametrize(
    ("text", "decided"),
    [
        ("the dog", True),
        ("the mug", True),
        ("the spout", False),
        ("the red spout", True),
        ("the biggest spout", False),
        ("the biggest thing", True),
        ("the biggest dog", True),
        ("the spout next to the dog", True),
        ("the spout next to the handle", False),
        ("the dog's spout", False),
        ("the spout of the dog", False),
        ("the spout holding the dog", False),
        ("the things", True),
        ("everything", True),
        ("the spouts except the dog", True),
    ],
)
def test_whether_what_is_understood_decides(text: str, decided: bool) -> None:
    (phrase,) = parse(text)
    assert decides(phrase, Knower()) is decided


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("the dog", 1.0),
        ("the red dog", 1.0),
        ("the red mug", 0.8),
        ("the red spout", 0.5),
        ("the big round red moving spout", 0.5),
        ("the red thing", 1.0),
        ("the mug", 0.6),
        ("the spout", 0.0),
        ("the red dog next to the spout", 0.75),
    ],
)
def test_nouns_are_half_of_what_is_understood(text: str, share: float) -> None:
    grounding = Grounding((), words=read(parse(text), Knower().sense))
    assert grounding.understood == pytest.approx(share)


def test_an_answer_without_words_counts_as_understood() -> None:
    assert Grounding(()).understood == 1.0
