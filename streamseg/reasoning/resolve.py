"""From a phrase and scored candidates to those meant: filters, then relations, then order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streamseg.reasoning import scoring
from streamseg.reasoning.scoring import Scores, View, rise
from streamseg.reasoning.words.phrases import ALL, Attribute, Phrase, Relation, Superlative
from streamseg.reasoning.words.senses import decides

ACCEPT = 0.3
"""A candidate below this does not answer to the phrase."""
_LEAST_PATTERN = 0.2
"""The most patterned of all is not striped when its stripes are fainter than this."""
_PERHAPS = 0.6
"""What a relation told by a verb that is not understood leaves to those that do not fit it."""
_PLACE_OF_SIDE = {"left": "-x", "right": "+x", "top": "-y", "bottom": "+y"}


@dataclass(eq=False)
class Resolution:
    """Who is meant by a phrase.

    Attributes:
        chosen: Candidate numbers, best first.
        scores: (N,) how well each candidate answers to the whole phrase.
        reasons: What was done, a line each.
        compared: Where a comparison chose among those that answer, how far the next one stays
            behind in it, in [0, 1]; None where none did.
    """

    chosen: list[int]
    scores: Scores
    reasons: list[str] = field(default_factory=list)
    compared: float | None = None

    def lead(self, k: int) -> float:
        """In [0, 1]: how far the best candidate not chosen stays behind this one."""
        if self.compared is not None:  # "the largest ball": the other balls are balls as well
            return self.compared
        rest = np.delete(self.scores, self.chosen)
        best = float(rest.max(initial=0.0))
        return max(0.0, 1.0 - best / max(float(self.scores[k]), 1e-6))


def resolve(view: View, phrase: Phrase, limit: int) -> Resolution:
    """Find who is meant; nobody when none answers to every part of the phrase."""
    reasons = [f"looking for: {phrase}"]
    if phrase.ignored:
        words = ", ".join(repr(word) for word in phrase.ignored)
        reasons.append(f"not understood, ignored: {words}")
    scores = _filtered(view, phrase, reasons)
    for relation in phrase.relations:
        scores = scores * _relation(view, relation, scores, limit, reasons)
    for other in phrase.excluded:
        taken = resolve(view, other, len(view))
        scores[taken.scores >= ACCEPT] = 0.0
        reasons.append(f"left out: {_listed(taken.chosen)} as {other}")
    # Among those that answer, what is more of an object is more likely meant.
    order = np.argsort(-scores * np.sqrt(view.prominence), kind="stable")
    able = [k for k in order.tolist() if scores[k] >= ACCEPT]
    reasons.append(f"{len(able)} answer to it: {_listed(able)}" if able else "none answers to it")
    chosen, compared = _choose(view, phrase, scores, able, limit, reasons)
    return Resolution(chosen, scores, reasons, compared)


def _filtered(view: View, phrase: Phrase, reasons: list[str]) -> Scores:
    """The product of the attributes, of what objects look like, and of what the noun says."""
    scores = _prior(view, phrase)
    colours = [item for item in phrase.attributes if item.kind == "colour" and not item.negated]
    # Patterns last: they are told by comparing those that answer to all else.
    for attribute in sorted(phrase.attributes, key=lambda item: item.kind == "texture"):
        if _is_comparison(attribute, phrase):
            continue
        found = scoring.answers_to(view, attribute, max(1, len(colours)))
        if found is not None and attribute.kind == "texture" and not attribute.negated:
            best = float(found[scores >= ACCEPT].max(initial=0.0))
            found = np.minimum(found / max(best, _LEAST_PATTERN), 1.0)
        if found is None:
            reasons.append(f"no measure for {attribute}, ignored")
            continue
        scores = scores * view.eased(phrase, attribute, found)
        reasons.append(f"{attribute}: {int((found >= 0.5).sum())} of {len(view)}")
    return scores * view.named(phrase)


def _prior(view: View, phrase: Phrase) -> Scores:
    """Objects stand out; what has the colour asked for needs to less than a guess does."""
    asked = (item for item in phrase.attributes if item.kind == "colour" and not item.negated)
    colours = [word for item in asked for word in item.values]
    if colours and len(view):
        least = view.least_objectness(colours)
        return (0.1 + 0.9 * rise(view.objectness - least, 0.0, 0.03)) * view.closed
    return rise(view.objectness, 0.28, 0.05)


def _is_comparison(attribute: Attribute, phrase: Phrase) -> bool:
    """ "the left ball", "the big ball": chosen by comparing balls, when one is asked for."""
    if not attribute.relative or attribute.negated or phrase.count == ALL:
        return False
    return attribute.kind == "size" or attribute.values[0] in _PLACE_OF_SIDE


def _comparisons(view: View, phrase: Phrase) -> tuple[Superlative, ...]:
    """Superlatives, told or implied: of two children in the left half, the one "on the left" is
    the one further left, where the noun tells which things are compared."""
    implied = []
    for attribute in phrase.attributes:
        side = _PLACE_OF_SIDE.get(attribute.values[0]) if attribute.kind == "place" else None
        if attribute.kind == "motion" and attribute.values[0] in ("fast", "slow"):
            implied.append(Superlative("+speed" if attribute.values[0] == "fast" else "-speed"))
        elif _is_comparison(attribute, phrase) and attribute.kind == "size":
            if attribute.values[0] != "medium":
                implied.append(Superlative("+size" if attribute.values[0] == "big" else "-size"))
        elif side and (_is_comparison(attribute, phrase) or _tells_apart(view, phrase, attribute)):
            implied.append(Superlative(side))
    return (*implied, *phrase.superlatives)


def _tells_apart(view: View, phrase: Phrase, attribute: Attribute) -> bool:
    """Whether a place that is told after the noun ("on the left") chooses among several."""
    return not attribute.negated and phrase.count != ALL and view.tells(phrase)


def _choose(
    view: View, phrase: Phrase, scores: Scores, able: list[int], limit: int, reasons: list[str]
) -> tuple[list[int], float | None]:
    """Those meant, and how far the next one stays behind where they were compared."""
    compared: float | None = None
    count = limit if phrase.count == ALL else min(phrase.count, limit)
    chosen = able
    if chosen and (orders := _comparisons(view, phrase)):
        # Only those about as good as the best may compete: a speck is no "smallest ball".
        best = float(scores[able].max())
        chosen = [k for k in able if scores[k] >= 0.6 * best]
        for order in orders:
            chosen = sorted(chosen, key=along(view, order.axis))[order.rank - 1 :]
            reasons.append(f"{order}: order {_listed(chosen)}")
            if 0 < count < len(chosen):
                values = _values(view, order.axis)
                compared = _apart(order.axis, values(chosen[count - 1]), values(chosen[count]))
    if phrase.count == ALL:
        chosen = [k for k in chosen if scores[k] >= 0.5 * float(scores[able].max())]
    return chosen[:count], compared


_CLEAR = {"x": 0.08, "y": 0.08, "near": 0.08, "centre": 0.08, "light": 10.0}
"""Differences along an axis that nobody would call a tie: in widths, or in lightness ..."""
_CLEAR_RATIO = 0.3
"""... and by how much smaller one must be than another in all that is told in ratios."""


def _apart(axis: str, one: float, other: float) -> float:
    """How clearly two values along an axis differ, in [0, 1]; 0 for a tie."""
    name = axis[1:]
    if name in _CLEAR:
        return min(1.0, abs(one - other) / _CLEAR[name])
    less, more = sorted((abs(one), abs(other)))
    return min(1.0, (1.0 - less / max(more, 1e-9)) / _CLEAR_RATIO)


def along(view: View, axis: str) -> Callable[[int], float]:
    """A sort key: the first along an axis such as "+size" comes first."""
    sign = -1.0 if axis[0] == "+" else 1.0
    value = _values(view, axis)
    return lambda k: sign * float(value(k))


def distance_from(view: View, anchor: int) -> Callable[[int], float]:
    """A sort key: the nearest to a candidate comes first."""
    gaps = np.hypot(*(view.centres - view.centres[anchor]).T)
    return lambda k: float(gaps[k])


def _values(view: View, axis: str) -> Callable[[int], float]:
    """What candidates are compared by along an axis, such as "+size"."""
    width = view.picture.shape[1]
    values: dict[str, Callable[[int], float]] = {
        "size": lambda k: view.areas[k],
        "x": lambda k: view.centres[k, 0],
        "y": lambda k: view.centres[k, 1],
        "speed": lambda k: view.speeds[k],
        "near": lambda k: view.candidates[k].y1 / width + 2.0 * np.sqrt(view.areas[k]),
        "centre": lambda k: float(np.hypot(*(view.centres[k] - _middle(view)))),
        "light": lambda k: view.lightness[k],
        "tall": lambda k: view.candidates[k].y1 - view.candidates[k].y0,
        "wide": lambda k: view.candidates[k].x1 - view.candidates[k].x0,
        "long": lambda k: view.shapes[k].elongation,
        "round": lambda k: view.shapes[k].ellipse / view.shapes[k].elongation,
        "late": lambda k: view.speeds[k],
    }
    return values[axis[1:]]


def _middle(view: View) -> NDArray[np.float64]:
    height, width = view.picture.shape
    return np.asarray([0.5, 0.5 * height / width])


def _relation(
    view: View, relation: Relation, scores: Scores, limit: int, reasons: list[str]
) -> Scores:
    """How every candidate stands to the relation's other side; zero for all when it has none, one
    when what the other is cannot be told."""
    known = [other for other in relation.others if decides(other, view)]
    untold = (other.text for other in relation.others if other not in known)
    reasons.extend(f"{relation.kind}: what {text!r} is cannot be told, ignored" for text in untold)
    if not known:
        return np.ones(len(view))
    found = [resolve(view, other, limit).chosen for other in known]
    for other, chosen in zip(known, found, strict=True):
        reasons.append(f"{relation.kind}: the other is {_listed(chosen)}, {other}")
    if not all(found):
        return np.full(len(view), 1.0 if relation.negated or relation.guessed else 0.0)
    anchors = list(dict.fromkeys(_sides(found)))
    if relation.kind == "between" and len(anchors) >= 2:
        held = _between(view, anchors)
    else:
        stands = [_stands(view, relation.kind, anchor, scores) for anchor in anchors]
        held = np.max(stands, axis=0)
    if relation.negated:
        held = 1.0 - held
    elif relation.guessed:
        held = _PERHAPS + (1.0 - _PERHAPS) * held
    held[anchors] = 0.0
    return np.asarray(held)


def _sides(found: Sequence[Sequence[int]]) -> list[int]:
    """Those that a relation is to: all of one phrase, or the best of each of two, another one
    where both mean the same first."""
    if len(found) == 1:
        return list(found[0])
    first = found[0][0]
    return [first, next((k for k in found[1] if k != first), found[1][0])]


def _stands(view: View, kind: str, anchor: int, scores: Scores) -> Scores:
    gap = view.centres - view.centres[anchor]
    distance = np.hypot(gap[:, 0], gap[:, 1])
    if kind in ("left", "right", "above", "below"):
        sign = -1.0 if kind in ("left", "above") else 1.0
        axis = 0 if kind in ("left", "right") else 1
        along, across = sign * gap[:, axis], np.abs(gap[:, 1 - axis])
        straight = 1.0 - rise(across / np.maximum(along, 1e-3), 1.7, 0.3)
        return np.asarray(rise(along, 0.02, 0.006) * (0.4 + 0.6 * straight))
    if kind in ("far", "farthest"):
        rivals = _rivals(distance, scores, anchor)
        return np.asarray((distance / max(float(rivals.max(initial=0.0)), 1e-6)).clip(0, 1) ** 2)
    if kind in ("inside", "on", "part"):
        return np.asarray([_contained(view, k, anchor, kind) for k in range(len(view))])
    if kind in ("bigger", "smaller", "faster", "slower"):
        values = view.areas if kind in ("bigger", "smaller") else view.speeds + 1e-3
        ratio = np.log(values / max(float(values[anchor]), 1e-9))
        return rise(ratio if kind in ("bigger", "faster") else -ratio, 0.1, 0.05)
    if kind == "same colour":
        return rise(np.minimum(view.names, view.names[anchor]).sum(axis=1), 0.5, 0.06)
    if kind == "same shape":
        return np.asarray([_alike(view, k, anchor) for k in range(len(view))])
    if kind == "towards":
        heading = view.velocities / np.maximum(view.speeds, 1e-6)[:, None]
        way = -gap / np.maximum(distance, 1e-6)[:, None]
        moving = rise(view.speeds, 0.024, 0.003)
        return np.asarray(moving * rise((heading * way).sum(axis=1), 0.8, 0.05))
    # near, nearest, behind, front, held, holds: the closer the better, and not across the picture.
    rivals = _rivals(distance, scores, anchor)
    closest = max(float(rivals.min(initial=np.inf)), 1e-6)
    reach = 1.0 if kind == "nearest" else 1.0 - rise(distance, 0.45, 0.03)
    return np.asarray(np.minimum(closest / np.maximum(distance, 1e-6), 1.0) ** 2 * reach)


def _rivals(distance: Scores, scores: Scores, anchor: int) -> Scores:
    able = scores >= ACCEPT
    able[anchor] = False
    return np.asarray(distance[able])


def _contained(view: View, k: int, anchor: int, kind: str) -> float:
    """Share of one box that lies in the other's; "on" also counts what stands on its upper part."""
    a, b = view.candidates[k], view.candidates[anchor]
    lift = (b.y1 - b.y0) // 3 if kind == "on" else 0
    width = max(0, min(a.x1, b.x1) - max(a.x0, b.x0))
    height = max(0, min(a.y1, b.y1) - max(a.y0, b.y0 - lift))
    share = width * height / ((a.x1 - a.x0) * (a.y1 - a.y0))
    return float(rise(share, 0.6, 0.08)) if a.area < b.area or kind == "on" else 0.0


def _alike(view: View, k: int, anchor: int) -> float:
    one, two = view.shapes[k], view.shapes[anchor]
    gap = max(
        abs(one.ellipse - two.ellipse),
        abs(one.rectangle - two.rectangle),
        abs(one.solidity - two.solidity),
        abs(one.hole - two.hole),
        abs(one.triangle - two.triangle),
        0.3 * abs(one.elongation - two.elongation),
    )
    return float(1.0 - rise(gap, 0.12, 0.02))


def _between(view: View, anchors: Sequence[int]) -> Scores:
    one, two = view.centres[anchors[0]], view.centres[anchors[1]]
    way = two - one
    length = max(float(way @ way), 1e-9)
    share = ((view.centres - one) @ way) / length
    off = np.hypot(*(view.centres - one - share[:, None] * way).T) / np.sqrt(length)
    inside = rise(share, 0.1, 0.04) * (1.0 - rise(share, 0.9, 0.04))
    return np.asarray(inside * (1.0 - rise(off, 0.5, 0.08)))


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(f"#{number + 1}" for number in numbers[:6])
    return (shown + (" …" if len(numbers) > 6 else "")) or "nobody"
