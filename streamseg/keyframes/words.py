"""What a query's words give away without being parsed: colours, time, motion, relations, reasoning.

Word counts for the keyframe signals, nothing more: the grammar that finds objects is the
reasoner's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from streamseg.vocabulary import COLOUR_WORDS

NEGATION_REACH = 3
"""A colour within so many words after a negation is not looked for."""

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COLOUR_OF = {word: name for name, words in COLOUR_WORDS.items() for word in words}

NEGATIONS = _set("not no without except excluding neither nor never isn't aren't doesn't don't")
RELATIONS = _set(
    "left right above below behind front next beside besides between near nearest nearby closest "
    "closer farthest furthest farther under underneath over inside outside opposite facing towards "
    "toward around among against beneath"
)
TEMPORAL = _set(
    "before after then when while first last finally until till again begin begins start starts "
    "starting stop stops stopped now earlier later previously once since during already "
    "enter enters entered entering leave leaves leaving appear appears appeared "
    "disappear disappears disappeared came comes coming went goes arrives arrived"
)
MOTION = _set(
    "move moves moved walk walks run runs jump jumps fall falls fly flies turn turns throw throws "
    "thrown roll rolls spin spins rotate rotates drive drives chase chases swim swims dance dances "
    "fast faster fastest slow slower slowest still stationary static motionless"
)
REASONING = _set(
    "why because would could should might able used use uses useful useable usable "
    "purpose meant likely probably if what which whose how cause causes caused suitable "
    "best better need needs needed help helps responsible wins winning owner intends instead"
)
CLAUSES = _set("that who which whose whom where and or but")
NOT_MOTION = _set(
    "thing ring king string wing ceiling building clothing morning evening during something "
    "nothing anything everything painting earring railing wedding sing bring spring starting "
    "sitting standing wearing holding facing lying hanging being having missing remaining according"
)
SUPERLATIVES = _set("most least")
NOT_SUPERLATIVE = _set("rest test vest chest nest west guest forest best priest request interest")


@dataclass(frozen=True, slots=True)
class QueryWords:
    """Counts over one query; every further word leaves each count as it is or raises it."""

    words: int
    colours: tuple[str, ...]
    negations: int
    relations: int
    temporal: int
    motion: int
    reasoning: int
    superlatives: int
    clauses: int

    @property
    def needs_motion(self) -> bool:
        """It cannot be answered from one frame."""
        return self.temporal + self.motion > 0


def read(text: str) -> QueryWords:
    """Count the words of a query."""
    words = _WORD.findall(text.lower())

    def count(known: frozenset[str]) -> int:
        return sum(word in known for word in words)

    return QueryWords(
        words=len(words),
        colours=_colours(words),
        negations=count(NEGATIONS),
        relations=count(RELATIONS),
        temporal=count(TEMPORAL),
        motion=sum(word in MOTION or _is_doing(word) for word in words),
        reasoning=count(REASONING),
        superlatives=sum(word in SUPERLATIVES or _is_superlative(word) for word in words),
        clauses=count(CLAUSES) + text.count(","),
    )


def _is_doing(word: str) -> bool:
    return len(word) >= 5 and word.endswith("ing") and word not in NOT_MOTION


def _is_superlative(word: str) -> bool:
    return len(word) >= 5 and word.endswith("est") and word not in NOT_SUPERLATIVE


def _colours(words: list[str]) -> tuple[str, ...]:
    """Colours asked for, each once, in order; not those that a negation stands before."""
    found: dict[str, None] = {}
    for at, word in enumerate(words):
        negated = any(other in NEGATIONS for other in words[max(0, at - NEGATION_REACH) : at])
        if word in _COLOUR_OF and not negated:
            found[_COLOUR_OF[word]] = None
    return tuple(found)
