"""What a referring expression asks for: a small tree of phrases; knows no words and no pixels."""

from __future__ import annotations

from dataclasses import dataclass

ALL = -1
"""`Phrase.count` of a plural without a number: as many as there are."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One property: any of `values` of `kind` (colour, tone, size, place, motion, shape, texture).

    `tone` ("dark", "light", "bright") goes with colours. `relative` marks a bare "left" or "big"
    before the noun, which compares the objects with one another.
    """

    kind: str
    values: tuple[str, ...]
    negated: bool = False
    tone: str = ""
    relative: bool = False

    def __str__(self) -> str:
        words = " or ".join(self.values)
        tone = f"{self.tone} " if self.tone else ""
        return f"{'not ' if self.negated else ''}{self.kind} {tone}{words}"


@dataclass(frozen=True, slots=True)
class Superlative:
    """The `rank`-th along `axis` ("+size", "-x", …; the sign says which end comes first)."""

    axis: str
    rank: int = 1

    def __str__(self) -> str:
        names = {"+": "most", "-": "least"}
        place = "" if self.rank == 1 else f"no. {self.rank} in "
        return f"{place}{names[self.axis[0]]} {self.axis[1:]}"


@dataclass(frozen=True, slots=True)
class Relation:
    """How the object stands to `other`."""

    kind: str
    other: Phrase
    negated: bool = False
    guessed: bool = False
    """Told by a verb that is not understood: "the man holding the umbrella" is near it, perhaps."""
    second: Phrase | None = None
    """The other side of "between the cup and the plate"."""

    @property
    def others(self) -> tuple[Phrase, ...]:
        """All that it stands to."""
        return (self.other,) if self.second is None else (self.other, self.second)

    def __str__(self) -> str:
        words = "perhaps " if self.guessed else "not " if self.negated else ""
        return f"{words}{self.kind} ({' and '.join(map(str, self.others))})"


@dataclass(frozen=True, slots=True)
class Event:
    """What must have happened before anything is meant: "after it was kicked".

    Attributes:
        kind: A value of `referents.Happening`.
        who: Who has to do it; None for the object itself.
        other: Whom it has to touch.
    """

    kind: str
    who: Phrase | None = None
    other: Phrase | None = None

    def __str__(self) -> str:
        who = "it" if self.who is None else f"({self.who})"
        return f"after {who} {self.kind}" + (f" ({self.other})" if self.other is not None else "")


@dataclass(frozen=True, slots=True)
class Phrase:
    """One noun phrase.

    Attributes:
        count: How many are meant: a number, or `ALL`.
        head: The noun that names the thing, as written, with nouns before it ("tennis player");
            empty for "thing" and its like.
        nouns: Classes of known nouns ("person", "cup"), weak priors.
        ignored: Words that were not understood.
        event: What must have happened before anything is meant.
    """

    attributes: tuple[Attribute, ...] = ()
    superlatives: tuple[Superlative, ...] = ()
    relations: tuple[Relation, ...] = ()
    excluded: tuple[Phrase, ...] = ()
    head: str = ""
    nouns: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    count: int = 1
    text: str = ""
    event: Event | None = None

    @property
    def empty(self) -> bool:
        """True when nothing in it but the noun narrows the choice."""
        relations = any(not relation.guessed for relation in self.relations)
        return not (self.attributes or self.superlatives or relations or self.excluded)

    @property
    def bystanders(self) -> tuple[Phrase, ...]:
        """Whom the event is about, besides the thing itself."""
        sides = () if self.event is None else (self.event.who, self.event.other)
        return tuple(side for side in sides if side is not None)

    def __str__(self) -> str:
        parts = [str(part) for part in (*self.attributes, *self.superlatives, *self.relations)]
        parts += [f"except ({phrase})" for phrase in self.excluded]
        parts += [f"something like: {noun}" for noun in self.nouns]
        parts += [str(self.event)] if self.event is not None else []
        return ", ".join(parts) or "anything"
