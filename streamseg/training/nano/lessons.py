"""What the language stage learns from: a few sentences about a picture, each with its reasons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamseg.training.groundings.reasons import Length, answer, thinking
from streamseg.training.groundings.samples import Sentence, View
from streamseg.training.nano import words
from streamseg.training.nano.pictures import scale_of

KINDS = {
    "plain": 1.2,
    "superlative": 1.0,
    "position": 1.0,
    "plural": 1.0,
    "negation": 1.0,
    "relational": 1.6,
    "absent": 1.0,
    "material": 0.6,
}
"""How often each kind is taken, of those that a picture has: relations are what is hard."""
_LENGTHS = (Length.NONE, Length.BRIEF, Length.MIDDLE, Length.FULL)
_SHARES = (0.2, 0.3, 0.25, 0.25)
"""How often each length is thought."""
_MARKED = 0.6
"""How often the prompt says how long to think."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """Tokens of a sentence and what is to be written to it, and from which of them on it is."""

    tokens: tuple[int, ...]
    begin: int


def lesson(view: View, sentence: Sentence, length: Length, marked: bool = True) -> Lesson:
    """One sentence's lesson, behind a picture.

    Args:
        marked: The prompt says how long to think.
    """
    told = words.encode(words.prompt(sentence.text, length if marked else None))
    scale = scale_of(view)
    given = answer(view.meant(sentence), scale)
    if length is Length.NONE:
        told += words.encode("<answer>")
        written = f"{given}</answer>{words.END}"
    else:
        reasons = thinking(view, sentence, length, scale)
        written = f"<think> {reasons}</think><answer>{given}</answer>{words.END}"
    return Lesson((*told, *words.encode(written)), len(told))


def lessons(
    view: View, count: int, random: np.random.Generator, only: Length | None = None
) -> list[Lesson]:
    """Lessons about one picture, of kinds and lengths drawn by lot.

    Args:
        only: The length of all of them, which their prompts then ask for.
    """
    by_kind: dict[str, list[Sentence]] = {}
    for sentence in view.sentences:
        by_kind.setdefault(sentence.kind, []).append(sentence)
    kinds = list(by_kind)
    chances = np.asarray([KINDS.get(kind, 0.0) for kind in kinds])
    made = []
    for kind in random.choice(len(kinds), count, p=chances / chances.sum()):
        those = by_kind[kinds[kind]]
        sentence = those[random.integers(len(those))]
        length = only or _LENGTHS[random.choice(len(_LENGTHS), p=_SHARES)]
        marked = only is not None or bool(random.random() < _MARKED)
        made.append(lesson(view, sentence, length, marked))
    return made
