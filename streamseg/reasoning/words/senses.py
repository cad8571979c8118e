"""How far a sentence is understood, word by word, and whether that decides what is meant.

Knows phrases; what a noun means is for whoever answers to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from streamseg.reasoning.words.phrases import Phrase
from streamseg.types import WordSense, WordUse

_KNOWN = (WordUse.UNDERSTOOD, WordUse.COARSE, WordUse.UNKNOWN)
Knows = Callable[[Phrase], WordSense | None]
"""What is known of a phrase's noun; None where it has none ("the red thing")."""


class Understanding(Protocol):
    """Whoever answers, as far as nouns go."""

    def sense(self, phrase: Phrase) -> WordSense | None:
        """What is known of the phrase's noun; None where it has none."""

    def tells(self, phrase: Phrase) -> bool:
        """Whether the noun by itself says what kind of thing is meant."""


def read(phrases: Sequence[Phrase], knows: Knows) -> tuple[WordSense, ...]:
    """Every word that matters, each once, in the order of reading."""
    found: dict[str, WordSense] = {}
    for phrase in phrases:
        for sense in _senses(phrase, knows):
            found.setdefault(sense.text, sense)
    return tuple(found.values())


def decides(phrase: Phrase, who: Understanding) -> bool:
    """Whether what is understood of a phrase says which thing is meant, be it wrongly.

    A noun that tells does, and so does anything said of the thing; but not its standing to
    something that is not known itself, nor among things that are not known.
    """
    if phrase.attributes or phrase.excluded or phrase.event or who.tells(phrase):
        return True
    if phrase.superlatives:  # "the biggest pillow": the biggest of what?
        sense = who.sense(phrase)
        return sense is None or sense.use is not WordUse.UNKNOWN
    # Of what a part is does not say which part is meant.
    told = (each for each in phrase.relations if not each.guessed and each.kind != "part")
    if any(decides(other, who) for relation in told for other in relation.others):
        return True
    # "everything", "the things": all there is.
    return not phrase.head and not phrase.ignored and not phrase.relations


def _senses(phrase: Phrase, knows: Knows) -> Iterator[WordSense]:
    for attribute in phrase.attributes:
        yield WordSense(" or ".join(attribute.values), WordUse.UNDERSTOOD)
    sense = knows(phrase)
    head = WordUse.UNDERSTOOD if sense is None else sense.use
    if sense is not None:
        yield replace(sense, names=True)
    for superlative in phrase.superlatives:
        yield WordSense(str(superlative), WordUse.UNDERSTOOD)
    named = set(phrase.head.split())
    for word in phrase.ignored:
        if word not in named:
            yield WordSense(word, WordUse.UNKNOWN)
    for relation in phrase.relations:
        if not relation.guessed:
            yield WordSense(relation.kind, WordUse.UNDERSTOOD)
        for side in relation.others:
            yield from _beside(side, knows, head)
    if phrase.event is not None:
        yield WordSense(f"after it {phrase.event.kind}", WordUse.UNDERSTOOD)
    for other in (*phrase.excluded, *phrase.bystanders):
        yield from _beside(other, knows, head)


def _beside(phrase: Phrase, knows: Knows, head: WordUse) -> Iterator[WordSense]:
    """Of what a thing stands to: its nouns count among those that say what the thing is only where
    they are known less. "The blue cap of the bottle" is no better understood for the bottle."""
    for sense in _senses(phrase, knows):
        less = _KNOWN.index(sense.use) > _KNOWN.index(head)
        yield replace(sense, names=sense.names and less)
