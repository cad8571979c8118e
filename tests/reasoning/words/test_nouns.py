"""Nouns to classes: the table agrees with itself, and says how surely."""

from __future__ import annotations

import pytest

from streamseg.reasoning.words.nouns import (
    COCO80,
    GROUPS,
    KINDS,
    SAME,
    Grade,
    meaning,
    singular,
)


def listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def test_every_class_of_the_table_is_one_of_cocos() -> None:
    assert set(SAME) == set(COCO80)
    assert set(KINDS) <= set(COCO80)
    members = {name for text in GROUPS.values() for name in listed(text)}
    assert members <= set(COCO80)


def test_no_noun_is_the_same_as_two_classes() -> None:
    nouns = [noun for text in SAME.values() for noun in listed(text)]
    assert sorted(nouns) == sorted(set(nouns))
    assert not set(nouns) & set(COCO80)


def test_every_noun_of_the_table_has_its_meaning() -> None:
    for name, text in SAME.items():
        for noun in (name, *listed(text)):
            assert (found := meaning(noun, COCO80)), noun
            assert found.grade is Grade.SAME
            assert found.classes == {name}
    for name, text in KINDS.items():
        for noun in listed(text):
            assert (found := meaning(noun, COCO80)), noun
            assert name in found.classes


@pytest.mark.parametrize(
    ("noun", "grade", "classes"),
    [
        ("dog", Grade.SAME, {"dog"}),
        ("dogs", Grade.SAME, {"dog"}),
        ("people", Grade.SAME, {"person"}),
        ("sofa", Grade.SAME, {"couch"}),
        ("tennis racquet", Grade.SAME, {"tennis racket"}),
        ("computer mice", Grade.SAME, {"mouse"}),
        ("wine glasses", Grade.SAME, {"wine glass"}),
        ("mug", Grade.KIND_OF, {"cup"}),
        ("swans", Grade.KIND_OF, {"bird"}),
        ("women", Grade.KIND_OF, {"person"}),
        ("ladies", Grade.KIND_OF, {"person"}),
        ("tennis player", Grade.KIND_OF, {"person"}),
        ("chess player", Grade.KIND_OF, {"person"}),
        ("swan boat", Grade.SAME, {"boat"}),
        ("animals", Grade.GROUP, set(listed(GROUPS["animal"]))),
        ("glasses", Grade.GROUP, {"wine glass", "cup"}),
    ],
)
def test_what_a_noun_means(noun: str, grade: Grade, classes: set[str]) -> None:
    found = meaning(noun, COCO80)
    assert found is not None
    assert (found.grade, found.classes) == (grade, classes)


@pytest.mark.parametrize("noun", ["spout", "pillow", "window", "dog house", "mouse pad", "", "ss"])
def test_what_is_not_in_the_table_means_nothing(noun: str) -> None:
    assert meaning(noun, COCO80) is None


def test_a_detector_of_other_classes_is_served_by_their_names() -> None:
    classes = ("screwdriver", "spout", "mug", "cup")
    assert meaning("spouts", classes).classes == {"spout"}  # type: ignore[union-attr]
    assert meaning("mug", classes).grade is Grade.SAME  # type: ignore[union-attr]
    assert meaning("dog", classes) is None
    assert meaning("glass", classes).classes == {"cup"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("plural", "expected"),
    [
        ("dogs", "dog"),
        ("buses", "bus"),
        ("bus", "bus"),
        ("glass", "glass"),
        ("glasses", "glass"),
        ("benches", "bench"),
        ("knives", "knife"),
        ("children", "child"),
        ("puppies", "puppy"),
        ("boxes", "box"),
        ("tomatoes", "tomato"),
        ("scissors", "scissors"),
        ("skis", "skis"),
        ("tennis", "tennis"),
        ("tennis players", "tennis player"),
        ("pies", "pie"),
        ("horses", "horse"),
        ("shoes", "shoe"),
        ("canoes", "canoe"),
    ],
)
def test_singulars(plural: str, expected: str) -> None:
    assert singular(plural) == expected


def test_a_meaning_reads_as_what_it_is_taken_for() -> None:
    assert str(meaning("glass", COCO80)) == "cup or wine glass"
