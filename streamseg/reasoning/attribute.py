"""The embedded reasoner: attributes in the sentence against regions in the picture, no weights."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from streamseg.reasoning import GroundingRequest, doubts, resolve, standing
from streamseg.reasoning.scoring import View
from streamseg.reasoning.seen import candidates
from streamseg.reasoning.seen.candidates import Candidate
from streamseg.reasoning.seen.colour import kin_of
from streamseg.reasoning.seen.picture import observe
from streamseg.reasoning.seen.pointing import bay_points, negative_point, positive_point
from streamseg.reasoning.standing import Cast
from streamseg.reasoning.words import grammar, senses
from streamseg.reasoning.words.phrases import Phrase
from streamseg.types import Box, Grounding, GroundingMode, Target, WordSense

CANNOT_TELL = "cannot tell: the words that are understood do not say which thing is meant"


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
        view = View(picture, candidates.find(picture, colours_in(phrases)))
        answer = answer_from(view, phrases, request, self._max_targets)
        return replace(answer, seconds=time.perf_counter() - started)


def answer_from(
    view: View, phrases: Sequence[Phrase], request: GroundingRequest, max_targets: int
) -> Grounding:
    """Choose among a picture's candidates and say why; "cannot tell" where words do not decide.

    Args:
        view: The candidates, and what is known of nouns.
        max_targets: Most objects in an answer.
    """
    words = senses.read(phrases, view.sense)
    deciding = [phrase for phrase in phrases if senses.decides(phrase, view)]
    if deciding and (rule := standing.rule(phrases)) is not None:
        return _shifting(view, standing.cast(view, phrases[0], rule, max_targets), request, words)
    lines = [f"{len(view)} regions stand out."]
    if told := doubts.in_words(words):
        lines.append(told)
    chosen: dict[int, float] = {}
    leads: dict[int, float] = {}
    for phrase in deciding:
        result = resolve.resolve(view, phrase, max_targets)
        lines += result.reasons
        for k in result.chosen:
            chosen[k] = max(chosen.get(k, 0.0), float(result.scores[k]))
            leads[k] = max(leads.get(k, 0.0), result.lead(k))
    order = sorted(chosen, key=lambda k: -chosen[k])[:max_targets]
    nothing = "no such object here" if deciding else CANNOT_TELL
    lines += [_why(view, k, chosen[k]) for k in order] or [nothing]
    if request.mode is GroundingMode.FAST:
        lines = ["; ".join(_described(view, k) for k in order) or nothing]
    reasoning, tokens = _cut(lines, request.token_budget)
    targets = tuple(_target(view, k, chosen[k], leads[k]) for k in order)
    return Grounding(targets, reasoning, tokens, words=words, cannot_tell=not deciding)


def _shifting(
    view: View, cast: Cast | None, request: GroundingRequest, words: tuple[WordSense, ...]
) -> Grounding:
    """The answer where who is meant may change: those meant now, and who may be next."""
    if cast is None:
        reasoning, tokens = _cut(["no such object here"], request.token_budget)
        return Grounding((), reasoning, tokens, words=words)
    lines = [f"{len(view)} regions stand out.", *cast.reasons]
    lines += [_why(view, k, float(cast.scores[k])) for k in cast.meant]
    lines += [f"may be meant: {_described(view, k)}" for k in cast.rivals]
    if not (cast.meant or cast.rivals):
        lines.append("no such object here")
    if request.mode is GroundingMode.FAST:
        lines = ["; ".join(lines[-(len(cast.meant) + len(cast.rivals)) or -1 :])]
    reasoning, tokens = _cut(lines, request.token_budget)
    targets, rivals = (
        tuple(_target(view, k, float(cast.scores[k]), 1.0) for k in group)
        for group in (cast.meant, cast.rivals)
    )
    anchors = tuple(_target(view, k, float(cast.anchored[k]), 1.0) for k in cast.anchors)
    return Grounding(
        targets,
        reasoning,
        tokens,
        words=words,
        cast=rivals,
        anchors=anchors,
        standing=cast.standing,
    )


def colours_in(phrases: Sequence[Phrase]) -> frozenset[str]:
    """Names that the colours asked for may take; none as soon as one phrase asks for no colour."""
    names: set[str] = set()
    for phrase in phrases:
        others = (other for relation in phrase.relations for other in relation.others)
        inner = (*others, *phrase.excluded, *phrase.bystanders)
        words = [
            word
            for item in phrase.attributes
            if item.kind == "colour" and not item.negated
            for word in item.values
        ]
        if not words or (inner and not colours_in(inner)):
            return frozenset()
        names |= {name for word in words for name in kin_of(word)} | colours_in(inner)
    return frozenset(names)


def _target(view: View, k: int, score: float, lead: float) -> Target:
    picture, item = view.picture, view.candidates[k]
    sx, sy = picture.scale
    box: Box = (item.x0 * sx, item.y0 * sy, item.x1 * sx, item.y1 * sy)
    points = view.points(k)
    inside = positive_point(item) if points else None
    off = (negative_point(picture, item), *bay_points(picture, item)) if points else ()
    return Target(
        box=box,
        positive=() if inside is None else (((inside[0] + 0.5) * sx, (inside[1] + 0.5) * sy),),
        negative=tuple(((x + 0.5) * sx, (y + 0.5) * sy) for x, y in filter(None, off)),
        score=min(1.0, score),
        label=view.label(k),
        lead=lead,
    )


def _described(view: View, k: int) -> str:
    item = view.candidates[k]
    moving = ", moving" if view.motion_known and view.speeds[k] > 0.024 else ""
    return f"{view.label(k)} at {_place(view, item)}{moving}"


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
