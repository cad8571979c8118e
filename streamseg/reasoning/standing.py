"""Which sentences mean another thing as things happen, by what rule, and who may be meant next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from streamseg.reasoning import resolve
from streamseg.reasoning.scoring import Scores, View
from streamseg.reasoning.words.phrases import ALL, Phrase
from streamseg.referents import Happening, Measure, Standing

MOST_CAST = 5
"""Things that may be meant next, each carried along unseen: at some 2 ms a frame on a CPU."""
_MEASURES = {
    "x": Measure.X,
    "y": Measure.Y,
    "size": Measure.SIZE,
    "speed": Measure.SPEED,
    "near": Measure.NEAR,
    "centre": Measure.CENTRE,
    "tall": Measure.TALL,
    "wide": Measure.WIDE,
}
_REACH = 0.05
"""Who holds a thing touches it, or nearly: in picture widths between their boxes."""
_RIVALS = 0.6
"""Who answers to the rest of the sentence less, against the best, is no rival."""


@dataclass(frozen=True, eq=False)
class Cast:
    """Who is meant now by a sentence whose answer shifts, and who may be next.

    Attributes:
        meant, rivals, anchors: Candidate numbers.
        scores: (N,) how well each candidate answers to the sentence but for the comparison.
        anchored: (N,) the same of the anchor's phrase.
        reasons: What was done, a line each.
    """

    standing: Standing
    meant: tuple[int, ...]
    rivals: tuple[int, ...]
    anchors: tuple[int, ...]
    scores: Scores
    anchored: Scores
    reasons: tuple[str, ...]


def rule(phrases: Sequence[Phrase]) -> Standing | None:
    """By what those meant are chosen on every frame anew; None where the answer stays.

    Superlatives, "nearest to" and "holds", and what comes after something happened. "The left ball"
    names a ball by where it is now, and goes on naming it.
    """
    if len(phrases) != 1:
        return None
    phrase = phrases[0]
    count = max(1, phrase.count)
    if phrase.event is not None:
        return Standing(
            after=Happening(phrase.event.kind),
            by_anchor=phrase.event.who is not None,
            count=MOST_CAST if phrase.count == ALL else count,
        )
    if len(phrase.superlatives) == 1:
        order = phrase.superlatives[0]
        measure = _MEASURES.get(order.axis[1:])
        if measure is None:
            return None
        return Standing(measure, order.axis[0] == "+", order.rank, count)
    told = [each for each in phrase.relations if not (each.negated or each.guessed)]
    if len(phrase.relations) == 1 and told and told[0].kind in ("nearest", "holds"):
        reach = _REACH if told[0].kind == "holds" else None
        return Standing(Measure.GAP, most=False, count=count, reach=reach)
    return None


def cast(view: View, phrase: Phrase, standing: Standing, limit: int) -> Cast | None:
    """Choose by the rule on one picture; None where the sentence's other side is not there."""
    compared = phrase.superlatives[0].axis if phrase.superlatives else ""
    other = _other_side(phrase)
    relations = () if standing.measure is Measure.GAP else phrase.relations
    plain = replace(phrase, superlatives=(), relations=relations, event=None, count=ALL)
    found = resolve.resolve(view, plain, len(view))
    anchored = found.scores
    anchors: tuple[int, ...] = ()
    reasons = [*found.reasons]
    if other is not None:
        beside = resolve.resolve(view, other, 1)
        reasons.append(f"the other is: {other}")
        if not beside.chosen:
            return None
        anchors, anchored = tuple(beside.chosen), beside.scores
    best = max((float(found.scores[k]) for k in found.chosen), default=0.0)
    able = [k for k in found.chosen if found.scores[k] >= _RIVALS * best and k not in anchors]
    if standing.after is not None:
        most = standing.count if standing.by_anchor else MOST_CAST
        rivals = able[: min(most, limit)]
        reasons.append("nobody is meant before it happens")
        return Cast(standing, (), tuple(rivals), anchors, found.scores, anchored, tuple(reasons))
    if anchors:
        ordered = sorted(able, key=resolve.distance_from(view, anchors[0]))
    else:
        ordered = sorted(able, key=resolve.along(view, compared))
    first = standing.rank - 1
    meant = tuple(ordered[first : first + standing.count])[:limit]
    rivals = [k for k in ordered if k not in meant][: min(MOST_CAST, limit - len(meant))]
    return Cast(standing, meant, tuple(rivals), anchors, found.scores, anchored, tuple(reasons))


def _other_side(phrase: Phrase) -> Phrase | None:
    """What the sentence compares with, or what has to act or be touched."""
    if phrase.event is not None:
        return phrase.event.who or phrase.event.other
    told = [each for each in phrase.relations if each.kind in ("nearest", "holds")]
    return told[0].other if told and not phrase.superlatives else None
