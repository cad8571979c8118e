"""The embedded reasoner: attributes in the sentence against regions in the picture, no weights."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from streamseg.reasoning import GroundingRequest, resolve
from streamseg.reasoning.scoring import View
from streamseg.reasoning.seen import candidates
from streamseg.reasoning.seen.candidates import Candidate
from streamseg.reasoning.seen.colour import NAMES, kin_of
from streamseg.reasoning.seen.picture import observe
from streamseg.reasoning.seen.pointing import negative_point, positive_point
from streamseg.reasoning.words import grammar
from streamseg.reasoning.words.grammar import Phrase
from streamseg.types import Box, Grounding, GroundingMode, Target


class AttributeReasoner:
    """Grounds what can be said by colour, size, place, motion, shape and relations.

    Deterministic; keeps nothing between requests.
    """

    def __init__(self, max_targets: int = 16) -> None:
        """Args:
        max_targets: Most objects in an answer.
        """
        self._max_targets = max_targets

    def ground(self, request: GroundingRequest) -> Grounding:
        """Point at what the text means on the target frame; no targets when there is nothing.

        The reasoning names what was looked for, what was found and why it was chosen, in at most
        `request.token_budget` words; in FAST mode it is one line.
        """
        started = time.perf_counter()
        phrases = grammar.parse(request.text)
        picture = observe(request.target, request.segment)
        view = View(picture, candidates.find(picture, _colours_in(phrases)))
        lines = [f"{len(view)} regions stand out."]
        chosen: dict[int, float] = {}
        for phrase in phrases:
            result = resolve.resolve(view, phrase, self._max_targets)
            lines += result.reasons
            for k in result.chosen:
                chosen[k] = max(chosen.get(k, 0.0), float(result.scores[k]))
        order = sorted(chosen, key=lambda k: -chosen[k])[: self._max_targets]
        lines += [_why(view, k, chosen[k]) for k in order] or ["no such object here"]
        targets = tuple(_target(view, k, chosen[k]) for k in order)
        if request.mode is GroundingMode.FAST:
            lines = ["; ".join(_described(view, k) for k in order) or "no such object here"]
        reasoning, tokens = _cut(lines, request.token_budget)
        return Grounding(targets, reasoning, tokens, time.perf_counter() - started)


def _colours_in(phrases: Sequence[Phrase]) -> frozenset[str]:
    """Names that the colours asked for may take; none as soon as one phrase asks for no colour."""
    names: set[str] = set()
    for phrase in phrases:
        inner = (*(relation.other for relation in phrase.relations), *phrase.excluded)
        words = [
            word
            for item in phrase.attributes
            if item.kind == "colour" and not item.negated
            for word in item.values
        ]
        if not words or (inner and not _colours_in(inner)):
            return frozenset()
        names |= {name for word in words for name in kin_of(word)} | _colours_in(inner)
    return frozenset(names)


def _target(view: View, k: int, score: float) -> Target:
    picture, item = view.picture, view.candidates[k]
    sx, sy = picture.scale
    box: Box = (item.x0 * sx, item.y0 * sy, item.x1 * sx, item.y1 * sy)
    positive = positive_point(item)
    negative = negative_point(picture, item)
    return Target(
        box=box,
        positive=(((positive[0] + 0.5) * sx, (positive[1] + 0.5) * sy),),
        negative=()
        if negative is None
        else (((negative[0] + 0.5) * sx, (negative[1] + 0.5) * sy),),
        score=min(1.0, score),
        label=_kind(view.candidates[k]),
    )


def _kind(item: Candidate) -> str:
    """What stays true of it while it moves."""
    return f"{NAMES[int(np.argmax(item.names))]} object"


def _described(view: View, k: int) -> str:
    item = view.candidates[k]
    moving = ", moving" if view.motion_known and view.speeds[k] > 0.024 else ""
    return f"{_kind(item)} at {_place(view, item)}{moving}"


def _place(view: View, item: Candidate) -> str:
    x, y = item.centre[0] / view.picture.shape[1], item.centre[1] / view.picture.shape[0]
    column = "left" if x < 0.37 else "right" if x > 0.63 else "centre"
    row = "top" if y < 0.37 else "bottom" if y > 0.63 else "middle"
    return "the middle" if (row, column) == ("middle", "centre") else f"{row} {column}"


def _why(view: View, k: int, score: float) -> str:
    return f"chose #{k + 1}, a {_described(view, k)}, with score {score:.2f}"


def _cut(lines: Sequence[str], budget: int) -> tuple[str, int]:
    """Keep whole lines from the end, where the answer is, as far as the budget goes."""
    kept: list[str] = []
    words = 0
    for line in reversed(lines):
        count = len(line.split())
        if words + count > budget:
            if not kept:
                kept.append(" ".join(line.split()[:budget]))
                words = budget
            break
        kept.append(line)
        words += count
    return "\n".join(reversed(kept)), words
