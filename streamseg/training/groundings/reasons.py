"""Why those are meant: a chain of reasons from a template, in three lengths, and the answer.

What stands in it was read off the truth: who is there, who might be meant, what else is spoken of,
who it is. Numbers are those in which the model counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from streamseg.errors import UsageError
from streamseg.reasoning.language.coordinates import Scale
from streamseg.synthetic.sentences.words import COLOURS, SHAPE_NOUNS, plural
from streamseg.training.groundings.samples import Sentence, Thing, View

OWN = "own"
"""To think for as long as the model likes."""


class Length(StrEnum):
    """How much is said before the answer."""

    NONE = "none"
    BRIEF = "brief"
    """Who it is."""
    MIDDLE = "middle"
    """Who might be meant and what else is spoken of, too."""
    FULL = "full"
    """All that is there, too."""

    @classmethod
    def told(cls, name: str, least: Length | None = None) -> Length | None:
        """From an option `--length`; None for "own", as the model likes.

        Args:
            least: The shortest that is allowed; None: any.

        Raises:
            UsageError: No such length.
        """
        known = list(cls)[list(cls).index(least) if least else 0 :]
        names = [OWN, *map(str, known)]
        if name not in names:
            raise UsageError(f"expected --length {', '.join(names)}, got {name[:40]!r}")
        return None if name == OWN else cls(name)


THINGS = ("object", "thing")
SHAPE_OF = {noun: shape for shape, nouns in SHAPE_NOUNS.items() for noun in nouns}
_SINGULAR = {plural(noun): noun for noun in (*SHAPE_OF, *THINGS)}
NAME_OF = {shape: nouns[0] if nouns else "blob" for shape, nouns in SHAPE_NOUNS.items()}
"""What a shape is called in reasons, whatever the sentence calls it."""
_RELATION = re.compile(
    r"the (.+?) (?:to the left of|left of|to the right of|right of|above|below|under|near|next to|"
    r"closest to) the (.+)"
)
_NEGATION = re.compile(r"the (.+?) (?:that is not|which is not|that isn't) .+")


@dataclass(frozen=True, slots=True)
class Phrase:
    """What a noun phrase asks of a thing; None where it asks nothing."""

    colour: str | None = None
    shape: str | None = None

    @classmethod
    def of(cls, text: str) -> Phrase:
        """Read off its words; others than colours and shapes say nothing here.

        Raises:
            ValueError: It has no noun of ours.
        """
        colour = shape = None
        named = False
        for word in text.split():
            word = _SINGULAR.get(word, word)
            if word in COLOURS:
                colour = word
            named = named or word in SHAPE_OF or word in THINGS
            shape = SHAPE_OF.get(word, shape)
        if not named:
            raise ValueError(f"expected a noun among {text!r}")
        return cls(colour, shape)

    def fits(self, thing: Thing) -> bool:
        """Whether a thing is as asked."""
        return self.colour in (None, thing.colour) and self.shape in (None, thing.shape)


def read(sentence: Sentence) -> tuple[Phrase, Phrase | None]:
    """Of whom a sentence speaks, and by whom it tells their place.

    Raises:
        ValueError: It is none of the scenes' sentences.
    """
    if match := _RELATION.fullmatch(sentence.text):
        return Phrase.of(match[1]), Phrase.of(match[2])
    if match := _NEGATION.fullmatch(sentence.text):
        return Phrase.of(match[1]), None
    return Phrase.of(sentence.text), None


def thinking(view: View, sentence: Sentence, length: Length, scale: Scale) -> str:
    """The chain of reasons; empty for none.

    Raises:
        ValueError: It is none of the scenes' sentences.
    """
    if length is Length.NONE:
        return ""
    parts = []
    if length is Length.FULL:
        parts.append(f"scene {_listed(view.things, scale)}.")
    extra = sentence.kind if sentence.kind in ("superlative", "material") else ""
    if length is not Length.BRIEF:
        about, anchor = read(sentence)
        anchors = [thing for thing in view.things if anchor is not None and anchor.fits(thing)]
        those = [thing for thing in view.things if about.fits(thing) and thing not in anchors]
        parts.append(f"candidates {_listed(those, scale, extra)}.")
        if anchors:
            parts.append(f"anchor {_listed(anchors, scale)}.")
    parts.append(f"so {_listed(view.meant(sentence), scale)}.")
    return " ".join(parts)


def answer(things: Sequence[Thing], scale: Scale) -> str:
    """The JSON list, left to right, spaced as the small tokenizer has it."""
    return f"[{', '.join(_item(thing, scale) for thing in things)}]"


def _item(thing: Thing, scale: Scale) -> str:
    x0, y0, x1, y1 = scale.box_to_model(thing.box)
    (px, py), (nx, ny) = scale.to_model(thing.point), scale.to_model(thing.negative)
    return (
        f'{{"bbox_2d": [ {x0}, {y0}, {x1}, {y1}], "point_2d": [ {px}, {py}], '
        f'"negative_point_2d": [ {nx}, {ny}]}}'
    )


def _listed(things: Sequence[Thing], scale: Scale, extra: str = "") -> str:
    return "; ".join(_told(thing, scale, extra) for thing in things) if things else "none"


def _told(thing: Thing, scale: Scale, extra: str) -> str:
    """What a thing is and where, with what the sentence turns on."""
    x, y = scale.to_model(thing.point)
    told = f"{thing.colour} {NAME_OF[thing.shape]} {x}, {y}"
    if extra == "material":
        return f"{thing.material} {told}"
    if extra == "superlative":
        factor = scale.span[0] / scale.size[0]
        return f"{told} size {round(thing.side * factor)}"
    return told
