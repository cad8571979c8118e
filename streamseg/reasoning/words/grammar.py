"""Reads a referring expression into phrases; knows words, never pixels.

    sentence  = phrase { ("and" | "or" | ",") phrase }
    phrase    = { modifier } [ noun ] { modifier | relation phrase | "except" phrase | happening }
    happening = "after" [ phrase ] doing [ phrase ]
    modifier  = [ "not" ] ( colour | size | place | motion | shape | texture | superlative | … )

The parser is a lenient recursive descent: a word that does not fit is kept as "ignored", so every
text has a reading and none raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from streamseg.reasoning.words.lexicon import (
    DOINGS,
    MEASURES,
    NOUN_SHAPES,
    Kind,
    Lexeme,
    lexemes,
)
from streamseg.reasoning.words.phrases import ALL, Attribute, Event, Phrase, Relation, Superlative

MAX_DEPTH = 6
MAX_PHRASES = 8

_ATTRIBUTES = {
    Kind.COLOUR: "colour",
    Kind.TONE: "tone",
    Kind.SIZE: "size",
    Kind.PLACE: "place",
    Kind.MOTION: "motion",
    Kind.SHAPE: "shape",
    Kind.TEXTURE: "texture",
}


def parse(text: str) -> tuple[Phrase, ...]:
    """Read a sentence: one phrase per kind of thing asked for, at most eight, none in no words.

    Never raises; reads the first 1,000 characters.
    """
    return _Parser(tuple(lexemes(text))).sentence()


@dataclass(slots=True)
class _Draft:
    """A phrase while it is being read."""

    attributes: list[Attribute] = field(default_factory=list)
    superlatives: list[Superlative] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    excluded: list[Phrase] = field(default_factory=list)
    head: list[str] = field(default_factory=list)
    nouns: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    tone: str = ""
    count: int | None = None
    ordinal: int = 0
    event: Event | None = None
    done: str = ""
    """In a clause that tells what happened: what this phrase did."""
    plural: bool = False
    named: bool = False
    link: bool = False
    picture: bool = False
    naming: bool = False
    """The word before was part of the name."""
    closed: bool = False
    """The name is told: further nouns belong to what is said of it."""
    lost: bool = False
    """In a clause whose verb is not understood."""

    @property
    def blank(self) -> bool:
        told = self.attributes or self.superlatives or self.relations or self.excluded
        return not (told or self.named or self.event)

    def finish(self) -> Phrase:
        if self.tone:
            self.attributes.append(Attribute("tone", (self.tone,)))
        if self.ordinal:
            self.superlatives.append(Superlative("-x", self.ordinal))
        count = self.count
        if count is None:
            count = ALL if self.plural and not self.superlatives else 1
        attributes = self.attributes if count == 1 else _alternatives(self.attributes)
        return Phrase(
            tuple(attributes),
            tuple(self.superlatives),
            tuple(self.relations),
            tuple(self.excluded),
            " ".join(self.head),
            tuple(self.nouns),
            tuple(self.ignored),
            count,
            " ".join(self.words),
            self.event,
        )


def _may_name(token: Lexeme) -> bool:
    """Whether a word can be part of a name: a noun, a shape that is one, an unknown word."""
    if token.kind is Kind.SHAPE:
        return token.text in NOUN_SHAPES or token.text.removesuffix("s") in NOUN_SHAPES
    return token.kind in (Kind.NOUN, Kind.UNKNOWN)


def _is_dress(kind: str, inner: _Draft) -> bool:
    """ "in the blue shirt" and "in black" tell the wearer's colour."""
    if "clothes" in inner.nouns:
        return kind in ("inside", "near", "wearing")
    colours = [item.kind == "colour" for item in inner.attributes]
    told = inner.named or inner.relations or inner.superlatives or inner.excluded
    return kind in ("inside", "wearing") and bool(colours) and all(colours) and not told


def _is_participle(token: Lexeme) -> bool:
    """ "playing", "parked": what the thing does, where its name was told already."""
    return token.kind is Kind.UNKNOWN and token.text.endswith(("ing", "ed"))


_ONESELF = frozenset(
    [
        "it",
        "he",
        "she",
        "they",
        "that",
        "which",
        "who",
        "is",
        "was",
        "were",
        "been",
        "being",
        "has",
        "gets",
        "got",
    ]
)
"""Words of a clause that tell what the thing itself did."""


def _doing(token: Lexeme) -> str:
    """What a word tells to have happened, a value of `Happening`; empty where nothing."""
    if token.kind is Kind.HAPPENING:
        return token.value
    named = token.kind in (Kind.NOUN, Kind.SHAPE)
    return "" if named else DOINGS.get(token.text.split()[0], "")


def _alternatives(attributes: Sequence[Attribute]) -> list[Attribute]:
    """ "the red and blue balls": each is one or the other, not both."""
    colours = [item for item in attributes if item.kind == "colour" and not item.negated]
    if len(colours) < 2:
        return list(attributes)
    values = tuple(value for item in colours for value in item.values)
    return [Attribute("colour", values), *(item for item in attributes if item not in colours)]


class _Parser:
    """Walks the lexemes once; every method consumes at least one or returns."""

    def __init__(self, tokens: Sequence[Lexeme]) -> None:
        self._tokens = tokens
        self._at = 0
        self._telling = False
        """In a clause that tells what happened, up to its verb."""

    def sentence(self) -> tuple[Phrase, ...]:
        phrases: list[Phrase] = []
        leading: tuple[str, ...] = ()
        while self._peek() is not None and len(phrases) < MAX_PHRASES:
            draft = self._phrase(0)
            phrase = draft.finish()
            if not draft.blank:
                phrases.append(phrase)
            elif phrase.ignored:
                leading += phrase.ignored
            elif not draft.words:
                self._at += 1
        if not phrases and leading:
            return (Phrase(ignored=leading),)
        return tuple(phrases)

    def _peek(self, ahead: int = 0) -> Lexeme | None:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else None

    def _phrase(self, depth: int) -> _Draft:
        draft = _Draft()
        negated = False
        while (token := self._peek()) is not None:
            if self._ends(draft, token, depth):
                break
            if self._telling and (done := _doing(token)):
                self._at += 1
                draft.done, self._telling = done, False
                break
            self._at += 1
            draft.words.append(token.text)
            if token.kind is Kind.NOT:
                negated = True
                continue
            if draft.naming and not _may_name(token):
                draft.naming, draft.closed = False, True
            if token.kind is Kind.OWNS:
                draft = self._owned(draft)
                continue
            self._take(draft, token, negated, depth)
            if token.kind not in (Kind.ARTICLE, Kind.FILLER, Kind.LINK, Kind.TONE):
                negated = False
        return draft

    def _ends(self, draft: _Draft, token: Lexeme, depth: int) -> bool:
        """Whether `token` starts another phrase instead of going on with this one."""
        if token.kind is Kind.COMMA:
            return depth > 0 or (draft.named and self._opens_phrase(self._peek(1)))
        if token.kind not in (Kind.AND, Kind.OR):
            return False
        if not draft.named and not draft.relations:
            return self._opens_phrase(self._peek(1)) and not draft.blank
        return depth > 0 or self._opens_phrase(self._peek(1), self._peek(2), draft.link)

    @staticmethod
    def _opens_phrase(
        token: Lexeme | None, after: Lexeme | None = None, predicate: bool = False
    ) -> bool:
        if token is None:
            return True
        if token.kind in (Kind.ARTICLE, Kind.NUMBER, Kind.ALL, Kind.NOUN, Kind.UNKNOWN):
            return True
        if predicate or token.kind in (Kind.MOTION, Kind.PLACE, Kind.RELATION, Kind.LINK):
            return False
        return after is not None and after.kind in (Kind.NOUN, Kind.SHAPE, Kind.UNKNOWN)

    def _take(self, draft: _Draft, token: Lexeme, negated: bool, depth: int) -> None:
        kind = token.kind
        if kind in _ATTRIBUTES:
            self._attribute(draft, token, negated)
        elif kind in (Kind.SIDE, Kind.ORDINAL, Kind.FROM_SIDE, Kind.SUPERLATIVE):
            self._order(draft, token, negated, depth)
        elif kind is Kind.RELATION:
            self._relation(draft, token.value, negated, depth)
        elif kind is Kind.EXCEPT:
            self._except(draft, depth)
        elif kind in (Kind.NOUN, Kind.UNKNOWN):
            self._name(draft, token, negated)
        elif kind is Kind.NUMBER:
            draft.count = max(1, int(token.value))
        elif kind is Kind.ALL:
            draft.plural, draft.count = True, None
        elif kind is Kind.LINK:
            draft.link, draft.closed, draft.lost = True, False, False
        elif kind is Kind.AFTER:
            self._after(draft, token, depth)
        elif kind is Kind.HAPPENING:
            draft.event = self._event(draft, token.value, None, depth)
        elif kind is Kind.ARTICLE and draft.lost and self._peek() is not None:
            draft.lost = False
            self._relation(draft, "near", negated, depth, guessed=True)
        elif kind is Kind.FILLER and token.text == "of":
            self._of(draft, depth)

    def _after(self, draft: _Draft, token: Lexeme, depth: int) -> None:
        """ "after it was kicked", "once the blue one moves": who is what is told of, or another."""
        if depth >= MAX_DEPTH or draft.event is not None or self._telling:
            draft.ignored.append(token.text)
            return
        self._telling = True
        inner = self._phrase(depth + 1)
        self._telling = False
        draft.words.extend(inner.words)
        if not inner.done:
            draft.ignored.extend((token.text, *inner.ignored))
            return
        oneself = inner.blank or all(word in _ONESELF for word in inner.words)
        who = None if oneself else inner.finish()
        draft.event = self._event(draft, inner.done, who, depth)
        draft.closed = True

    def _event(self, draft: _Draft, kind: str, who: Phrase | None, depth: int) -> Event | None:
        """What happened, and whom it has to touch where it is that."""
        if kind != "touched":
            return Event(kind, who)
        inner = self._phrase(depth + 1) if depth < MAX_DEPTH else _Draft()
        draft.words.extend(inner.words)
        if inner.blank or who is not None:
            draft.ignored.extend((kind, *inner.ignored))
            return None
        return Event(kind, None, inner.finish())

    def _name(self, draft: _Draft, token: Lexeme, negated: bool) -> None:
        """Take a word that may name the thing: the first run of such words does."""
        draft.named = True
        if token.value == "picture" and token.kind is Kind.NOUN:
            draft.picture = True
        elif draft.lost or draft.closed or (draft.naming and _is_participle(token)):
            draft.ignored.append(token.text)
            draft.lost = draft.lost or token.kind is Kind.UNKNOWN
            draft.naming, draft.closed = False, True
        elif token.value == "thing" and token.kind is Kind.NOUN:
            draft.plural, draft.closed = draft.plural or token.plural, True
        elif negated and token.kind is Kind.NOUN:
            draft.ignored.append(f"not {token.text}")
        else:
            self._extend_name(draft, token)

    @staticmethod
    def _extend_name(draft: _Draft, token: Lexeme) -> None:
        """ "tennis player": the last noun says what it is, and how many."""
        draft.plural = token.plural or (draft.plural and not draft.naming)
        if not draft.head or draft.naming:
            draft.head.append(token.text)
        if token.kind is Kind.UNKNOWN:
            draft.ignored.append(token.text)
            draft.nouns.clear()
        else:
            draft.nouns.append(token.value)
        draft.naming = True

    @staticmethod
    def _owned(owner: _Draft) -> _Draft:
        """ "the kettle's spout": what comes is a part of what was named."""
        return _Draft(relations=[Relation("part", owner.finish())], words=owner.words)

    def _of(self, draft: _Draft, depth: int) -> None:
        """ "the spout of the kettle" is a part; "a piece of furniture" is furniture, and "a bunch
        of bananas" bananas."""
        following = self._peek()
        if draft.head and draft.head[-1] in MEASURES and following is not None:
            draft.ignored.remove(draft.head[-1])
            draft.head.clear()
            draft.nouns.clear()
            draft.closed = draft.plural = False
            return
        if draft.closed and not draft.head:
            draft.closed = False
        elif draft.head and following is not None and following.kind is Kind.ARTICLE:
            draft.lost = False
            self._relation(draft, "part", False, depth)

    def _attribute(self, draft: _Draft, token: Lexeme, negated: bool) -> None:
        name = _ATTRIBUTES[token.kind]
        if token.kind is Kind.TONE:
            draft.tone = token.value
            return
        tone = draft.tone if token.kind is Kind.COLOUR else ""
        if tone:
            draft.tone = ""
        if token.kind is Kind.SHAPE and _may_name(token):
            if draft.lost or draft.closed:
                draft.ignored.append(token.text)
                return
            draft.named = draft.naming = True
            draft.head.append(token.text)
            draft.plural = draft.plural or token.plural
        before = self._tokens[self._at - 2] if self._at >= 2 else None
        last = draft.attributes[-1] if draft.attributes else None
        if before is not None and before.kind is Kind.OR and last and last.kind == name:
            draft.attributes[-1] = Attribute(
                name, (*last.values, token.value), last.negated, last.tone, last.relative
            )
            return
        relative = token.kind is Kind.SIZE or (token.kind is Kind.PLACE and not draft.named)
        draft.attributes.append(Attribute(name, (token.value,), negated, tone, relative))

    def _order(self, draft: _Draft, token: Lexeme, negated: bool, depth: int) -> None:
        if token.kind is Kind.ORDINAL:
            draft.ordinal = int(token.value)
        elif token.kind is Kind.SIDE:
            relative = not draft.named
            draft.attributes.append(Attribute("place", (token.value,), negated, relative=relative))
            following = self._peek()
            if token.text.endswith(" hand") and (following is None or not _may_name(following)):
                self._name(draft, Lexeme(Kind.UNKNOWN, "hand", "hand"), False)
        elif token.kind is Kind.FROM_SIDE:
            axis = {"left": "-x", "right": "+x", "top": "-y", "bottom": "+y"}[token.value]
            draft.superlatives.append(Superlative(axis, draft.ordinal or 1))
            draft.ordinal = 0
        elif self._nearest_to_something(draft, token):
            self._relation(draft, "nearest", negated, depth)
        else:
            axis = token.value
            if negated:
                draft.attributes.append(Attribute("order", (axis,), negated=True))
                return
            draft.superlatives.append(Superlative(axis, draft.ordinal or 1))
            draft.ordinal = 0

    def _nearest_to_something(self, draft: _Draft, token: Lexeme) -> bool:
        following = self._peek()
        return (
            token.text in ("nearest", "closest")
            and draft.named
            and following is not None
            and following.kind is Kind.ARTICLE
        )

    def _relation(
        self, draft: _Draft, kind: str, negated: bool, depth: int, guessed: bool = False
    ) -> None:
        if depth >= MAX_DEPTH or self._peek() is None:
            draft.ignored.append(kind)
            return
        inner = self._phrase(depth + 1)
        draft.words.extend(inner.words)
        if inner.picture:
            self._place_in_picture(draft, kind, inner, negated)
        elif _is_dress(kind, inner):
            draft.attributes.extend(
                replace(item, negated=item.negated != negated)
                for item in inner.attributes
                if item.kind == "colour"
            )
        elif inner.blank:
            draft.ignored.extend((kind, *inner.ignored))
        else:
            other, second = inner.finish(), self._second(draft, kind, inner, depth)
            draft.relations.append(Relation(kind, other, negated, guessed, second))
        draft.named = draft.closed = True

    def _second(self, draft: _Draft, kind: str, first: _Draft, depth: int) -> Phrase | None:
        """ "between the cup and the plate" has two sides, "between the two cups" both in one."""
        token = self._peek()
        several = first.count is not None and first.count > 1
        if kind != "between" or several or token is None or token.kind is not Kind.AND:
            return None
        if self._peek(1) is None:
            return None
        self._at += 1
        inner = self._phrase(depth + 1)
        draft.words.extend((token.text, *inner.words))
        return None if inner.blank else inner.finish()

    @staticmethod
    def _place_in_picture(draft: _Draft, kind: str, inner: _Draft, negated: bool) -> None:
        """ "on the left of the picture" is a place; "in the picture" says nothing."""
        sides = {"left": "left", "right": "right", "above": "top", "below": "bottom"}
        places = [item for item in inner.attributes if item.kind == "place"]
        if kind in sides:
            draft.attributes.append(Attribute("place", (sides[kind],), negated))
        draft.attributes.extend(
            Attribute("place", item.values, negated or item.negated) for item in places
        )

    def _except(self, draft: _Draft, depth: int) -> None:
        if depth < MAX_DEPTH and self._peek() is not None:
            inner = self._phrase(depth + 1)
            draft.words.extend(inner.words)
            if not inner.blank:
                draft.excluded.append(inner.finish())
