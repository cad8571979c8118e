"""Sentences about a scene with their right answers: written only where no reader could disagree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from streamseg.synthetic.motion import Camera
from streamseg.synthetic.sentences import spans
from streamseg.synthetic.sentences.spans import Spans
from streamseg.synthetic.sentences.words import (
    COLOURS,
    SHAPE_NOUNS,
    alike_colours,
    alike_shapes,
    plural,
)
from streamseg.synthetic.stage import SceneObject
from streamseg.types import Difficulty

WINDOW_S = 1.0
"""Every sentence is true, with its margins, throughout the first second of its scene. Its answer
is the objects, whatever they do later; save where the words compare ("the leftmost ball"): who is
meant then is who leads at the time."""

_AREA_RATIO = 1.5
_PLACE_MARGIN = 0.07
_RELATION_MARGIN = 0.08
_MIDDLE_REACH = 0.11
_NEAR_RATIO = 0.6
_MOVING_PX_S = 36.0
_STILL_PX_S = 3.0
_SPEED_RATIO = 1.6


class ExpressionKind(StrEnum):
    """What a reader must do to find the answer."""

    PLAIN = "plain"
    SUPERLATIVE = "superlative"
    POSITION = "position"
    RELATIONAL = "relational"
    PLURAL = "plural"
    NEGATION = "negation"
    TEMPORAL = "temporal"
    MATERIAL = "material"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Expression:
    """A sentence and its right answer.

    Attributes:
        object_ids: Ascending; none for "absent". Those meant at the beginning, where it changes.
        difficulty: By construction, from the scene's level and the kind of sentence.
        spans: Who is meant from when on, where that changes; empty where it does not.
    """

    text: str
    kind: ExpressionKind
    object_ids: tuple[int, ...]
    difficulty: Difficulty
    spans: Spans = ()

    def at(self, t_s: float) -> tuple[int, ...]:
        """Who is meant at a time of the scene, ids ascending."""
        return spans.at(self.spans, t_s) if self.spans else self.object_ids


@dataclass(frozen=True, slots=True, eq=False)
class _Facts:
    """What can be seen of one object in the first second, lengths in units of 1/640 width.

    `centres` (N, 2) as seen through the camera; `steps` (N - 1, 2) its own velocity in units/s.
    """

    item: SceneObject
    centres: NDArray[np.float64]
    steps: NDArray[np.float64]
    area: float

    @property
    def speed(self) -> float:
        return float(np.hypot(*self.steps.T).mean())


@dataclass(frozen=True, slots=True)
class _Phrase:
    """A noun phrase, and those it names."""

    singular: str
    plural: str
    members: tuple[_Facts, ...]


@dataclass(frozen=True, slots=True)
class _Lead:
    """How some lead the others: along an axis, or in nearness to an anchor."""

    members: tuple[_Facts, ...]
    axis: int = 0
    sign: float = 1.0
    anchor: _Facts | None = None

    def spans(self, camera: Camera, size: tuple[int, int]) -> Spans:
        """Who leads at which time; empty where it is one for all of it."""
        items = [each.item for each in self.members]
        values = (
            spans.along(items, self.axis, self.sign, camera, size)
            if self.anchor is None
            else spans.closeness(items, self.anchor.item, camera, size)
        )
        found = spans.spans(spans.leader(items, values))
        return found if len(found) > 1 else ()


@dataclass(frozen=True, slots=True)
class _Told:
    """A sentence and those it names; with how they lead, where another may come to."""

    text: str
    kind: ExpressionKind
    found: tuple[_Facts, ...]
    leads: _Lead | None = None

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(sorted(each.item.id for each in self.found))


Found = Iterator[_Told]


def write(
    objects: Sequence[SceneObject],
    camera: Camera,
    size: tuple[int, int],
    level: int,
    rng: np.random.Generator,
    per_kind: int = 2,
    about: int | None = None,
) -> tuple[Expression, ...]:
    """Write up to `per_kind` sentences of each kind about what the first second shows.

    Args:
        objects: All in full view throughout the first second.
        level: 0 easy, 1 medium, 2 hard.
        about: Only sentences whose answer is this id, and "absent" ones.
    """
    facts = _observe(objects, camera, size)
    phrases = _phrases(facts, rng)
    kinds: dict[ExpressionKind, list[_Told]] = {}
    for told in _all(facts, phrases, size, camera, level, rng):
        if about is None or told.ids in ((), (about,)):
            kinds.setdefault(told.kind, []).append(told)
    chosen: list[Expression] = []
    for kind in ExpressionKind:
        rated = _difficulty(kind, level, facts, camera)
        for told in _pick(kinds.get(kind, []), per_kind, rng):
            held = told.leads.spans(camera, size) if told.leads is not None else ()
            chosen.append(Expression(told.text, kind, told.ids, rated, held))
    return tuple(chosen)


def rate(
    kind: ExpressionKind,
    level: int,
    objects: Sequence[SceneObject],
    camera: Camera,
    size: tuple[int, int],
) -> Difficulty:
    """How hard a sentence of a kind is by construction, in such a scene."""
    return _difficulty(kind, level, _observe(objects, camera, size), camera)


def _pick(found: list[_Told], count: int, rng: np.random.Generator) -> list[_Told]:
    """Up to `count` at random, about different objects as far as there are any."""
    order = [found[k] for k in rng.permutation(len(found))]
    fresh: list[_Told] = []
    rest: list[_Told] = []
    for each in order:
        seen = {told.ids for told in fresh}
        (rest if each.ids in seen else fresh).append(each)
    return (fresh + rest)[:count]


def _observe(objects: Sequence[SceneObject], camera: Camera, size: tuple[int, int]) -> list[_Facts]:
    unit = size[0] / 640.0
    times = np.linspace(0.0, WINDOW_S, 6)
    views = np.asarray([camera.at(float(t)) for t in times])
    middle = np.asarray(size) / 2.0
    facts = []
    for item in objects:
        track = item.path.at(times)
        seen = views[:, :1] * (track - middle) + middle + views[:, 1:]
        steps = np.diff(track, axis=0) / (times[1] - times[0])
        facts.append(_Facts(item, seen / unit, steps / unit, item.sprite.area_px / unit**2))
    return facts


def _phrases(facts: Sequence[_Facts], rng: np.random.Generator) -> list[_Phrase]:
    """Every noun phrase that names somebody: "object", "ball", "red object", "red ball"."""
    thing = str(rng.choice(["object", "thing"]))
    found = [_Phrase(thing, plural(thing), tuple(facts))]
    for colour in dict.fromkeys(each.item.colour for each in facts):
        members = tuple(each for each in facts if each.item.colour == colour)
        found.append(_Phrase(f"{colour} {thing}", f"{colour} {plural(thing)}", members))
    for shape, nouns in SHAPE_NOUNS.items():
        members = tuple(each for each in facts if each.item.shape == shape)
        if not members or not nouns:
            continue
        noun = str(rng.choice(nouns))
        found.append(_Phrase(noun, plural(noun), members))
        for colour in dict.fromkeys(each.item.colour for each in members):
            both = tuple(each for each in members if each.item.colour == colour)
            found.append(_Phrase(f"{colour} {noun}", f"{colour} {plural(noun)}", both))
    return found


def _all(
    facts: Sequence[_Facts],
    phrases: Sequence[_Phrase],
    size: tuple[int, int],
    camera: Camera,
    level: int,
    rng: np.random.Generator,
) -> Found:
    height = 640.0 * size[1] / size[0]
    for phrase in phrases:
        yield from _plain(phrase)
        yield from _superlatives(phrase)
        yield from _positions(phrase, height)
        yield from _plurals(phrase, len(facts))
        yield from _negations(phrase)
        yield from _movements(phrase, camera, 640.0 / size[0])
        yield from _materials(phrase)
        for other in phrases:
            yield from _relations(phrase, other)
    yield from _absences(facts, level, rng)


def _plain(phrase: _Phrase) -> Found:
    if len(phrase.members) == 1:
        yield _Told(f"the {phrase.singular}", ExpressionKind.PLAIN, phrase.members)


def _superlatives(phrase: _Phrase) -> Found:
    if len(phrase.members) < 2:
        return
    ordered = sorted(phrase.members, key=lambda each: each.area)
    reach = [each.item.sprite.side for each in ordered]
    words = ("large", "small") if len(ordered) == 2 else ()
    if ordered[-1].area >= _AREA_RATIO * ordered[-2].area and reach[-1] == max(reach):
        for word in ("largest", "biggest", *words[:1]):
            yield _Told(f"the {word} {phrase.singular}", ExpressionKind.SUPERLATIVE, (ordered[-1],))
    if ordered[1].area >= _AREA_RATIO * ordered[0].area and reach[0] == min(reach):
        for word in ("smallest", *words[1:]):
            yield _Told(f"the {word} {phrase.singular}", ExpressionKind.SUPERLATIVE, (ordered[0],))


def _positions(phrase: _Phrase, height: float) -> Found:
    if len(phrase.members) < 2:
        return
    for axis, sign, words in (
        (0, -1.0, ("the leftmost {}", "the {} furthest to the left")),
        (0, 1.0, ("the rightmost {}", "the {} furthest to the right")),
        (1, -1.0, ("the topmost {}", "the highest {}")),
        (1, 1.0, ("the lowest {}", "the bottommost {}")),
    ):
        first = _extreme(phrase.members, axis, sign)
        if first is not None:
            for word in words:
                text = word.format(phrase.singular)
                leads = _Lead(phrase.members, axis, sign)
                yield _Told(text, ExpressionKind.POSITION, (first,), leads)
    middle = np.asarray([320.0, height / 2.0])
    away = [np.hypot(*(each.centres - middle).T) for each in phrase.members]
    near = [
        each for each, d in zip(phrase.members, away, strict=True) if d.max() < _MIDDLE_REACH * 640
    ]
    far = sum(bool(d.min() > 2.0 * _MIDDLE_REACH * 640) for d in away)
    if len(near) == 1 and far == len(phrase.members) - 1:
        yield _Told(f"the {phrase.singular} in the middle", ExpressionKind.POSITION, tuple(near))


def _extreme(members: Sequence[_Facts], axis: int, sign: float) -> _Facts | None:
    """The one that leads along an axis at every moment by the margin."""
    ordered = sorted(members, key=lambda each: -sign * each.centres[0, axis])
    first, rest = ordered[0], ordered[1:]
    lead = min((sign * (first.centres - each.centres)[:, axis]).min() for each in rest)
    return first if lead >= _PLACE_MARGIN * 640.0 else None


_RELATIONS: tuple[tuple[int, float, tuple[str, ...]], ...] = (
    (0, -1.0, ("left of", "to the left of")),
    (0, 1.0, ("right of", "to the right of")),
    (1, -1.0, ("above",)),
    (1, 1.0, ("below", "under")),
)


def _relations(phrase: _Phrase, other: _Phrase) -> Found:
    """ "the ball left of the blue square": several balls, one blue square."""
    if len(other.members) != 1:
        return
    anchor = other.members[0]
    rivals = [each for each in phrase.members if each is not anchor]
    if len(rivals) < 2:
        return
    for axis, sign, words in _RELATIONS:
        verdicts = [_beside(each, anchor, axis, sign) for each in rivals]
        if None not in verdicts and sum(map(bool, verdicts)) == 1:
            for word in words:
                text = f"the {phrase.singular} {word} the {other.singular}"
                yield _Told(text, ExpressionKind.RELATIONAL, (rivals[verdicts.index(True)],))
    gaps = [np.hypot(*(each.centres - anchor.centres).T) for each in rivals]
    near = int(np.argmin([gap.max() for gap in gaps]))
    others = [gap.min() for k, gap in enumerate(gaps) if k != near]
    if gaps[near].max() <= _NEAR_RATIO * min(others) and gaps[near].max() < 200.0:
        for word in ("near", "next to", "closest to"):
            text = f"the {phrase.singular} {word} the {other.singular}"
            leads = _Lead(tuple(rivals), anchor=anchor) if word == "closest to" else None
            yield _Told(text, ExpressionKind.RELATIONAL, (rivals[near],), leads)


def _beside(each: _Facts, anchor: _Facts, axis: int, sign: float) -> bool | None:
    """Whether it lies on that side, at every moment; None where one might disagree."""
    gap = each.centres - anchor.centres
    along, across = sign * gap[:, axis], np.abs(gap[:, 1 - axis])
    if bool((along >= _RELATION_MARGIN * 640.0).all() and (across <= 1.2 * along).all()):
        return True
    return False if bool((along <= -0.02 * 640.0).all()) else None


def _plurals(phrase: _Phrase, total: int) -> Found:
    if 2 <= len(phrase.members) < total:
        for text in (
            f"all {phrase.plural}",
            f"all the {phrase.plural}",
            f"the {phrase.plural}",
            f"every {phrase.singular}",
        ):
            yield _Told(text, ExpressionKind.PLURAL, phrase.members)


def _negations(phrase: _Phrase) -> Found:
    """ "the square that is not red": the others of its kind all are."""
    if len(phrase.members) < 2 or phrase.singular.split()[0] in COLOURS:
        return
    for colour in dict.fromkeys(each.item.colour for each in phrase.members):
        rest = tuple(each for each in phrase.members if each.item.colour != colour)
        if len(rest) == 1 and not alike_colours(rest[0].item.colour, colour):
            for word in ("that is not", "which is not", "that isn't"):
                text = f"the {phrase.singular} {word} {colour}"
                yield _Told(text, ExpressionKind.NEGATION, rest)


_DIRECTIONS: tuple[tuple[int, float, str], ...] = (
    (0, -1.0, "left"),
    (0, 1.0, "right"),
    (1, -1.0, "up"),
    (1, 1.0, "down"),
)


def _movements(phrase: _Phrase, camera: Camera, unit: float) -> Found:
    if len(phrase.members) < 2:
        return
    shake = _camera_speed(camera) * unit
    for axis, sign, word in _DIRECTIONS:
        verdicts = [_heads(each, axis, sign, shake) for each in phrase.members]
        if None not in verdicts and sum(map(bool, verdicts)) == 1:
            chosen = (phrase.members[verdicts.index(True)],)
            for verb in (f"that moves {word}", f"moving {word}", f"moving to the {word}"):
                if word in ("left", "right") or "to the" not in verb:
                    yield _Told(f"the {phrase.singular} {verb}", ExpressionKind.TEMPORAL, chosen)
    yield from _speeds(phrase, shake)


def _speeds(phrase: _Phrase, shake: float) -> Found:
    ordered = sorted(phrase.members, key=lambda each: each.speed)
    moving = [each for each in ordered if each.speed >= _MOVING_PX_S + 2.0 * shake]
    still = [each for each in ordered if each.speed <= _STILL_PX_S]
    if len(moving) + len(still) == len(ordered):
        if len(moving) == 1:
            yield _Told(f"the moving {phrase.singular}", ExpressionKind.TEMPORAL, tuple(moving))
            yield _Told(f"the {phrase.singular} that moves", ExpressionKind.TEMPORAL, tuple(moving))
        if len(still) == 1:
            yield _Told(f"the still {phrase.singular}", ExpressionKind.TEMPORAL, tuple(still))
            text = f"the {phrase.singular} that does not move"
            yield _Told(text, ExpressionKind.TEMPORAL, tuple(still))
    first, second = ordered[-1], ordered[-2]
    if first.speed >= _MOVING_PX_S + shake and first.speed >= _SPEED_RATIO * second.speed + shake:
        yield _Told(f"the fastest {phrase.singular}", ExpressionKind.TEMPORAL, (first,))


def _camera_speed(camera: Camera) -> float:
    """An upper bound of how fast the camera moves the picture, in pixels a second."""
    sway = [2.0 * np.pi * a / p for a, p in zip(camera.sway_px, camera.period_s, strict=True)]
    return float(max(sway))


def _heads(each: _Facts, axis: int, sign: float, shake: float) -> bool | None:
    """Whether it moves that way, at every moment; None where one might disagree."""
    along, across = sign * each.steps[:, axis], np.abs(each.steps[:, 1 - axis])
    if bool((along >= _MOVING_PX_S + shake).all() and (across <= 0.5 * along).all()):
        return True
    return False if bool((along <= _STILL_PX_S).all()) else None


def _materials(phrase: _Phrase) -> Found:
    if len(phrase.members) < 2:
        return
    for material in ("striped", "dotted", "checked"):
        chosen = tuple(each for each in phrase.members if each.item.material == material)
        if len(chosen) == 1:
            yield _Told(f"the {material} {phrase.singular}", ExpressionKind.MATERIAL, chosen)


def _absences(facts: Sequence[_Facts], level: int, rng: np.random.Generator) -> Found:
    """Things that are not there; on easy and medium, nothing there could be taken for them."""
    thing = str(rng.choice(["object", "thing"]))
    for shape, names in SHAPE_NOUNS.items():
        for colour in COLOURS:
            if any(_taken_for(each.item, shape, colour, level) for each in facts):
                continue
            if names:
                text = f"the {colour} {rng.choice(names)}"
                yield _Told(text, ExpressionKind.ABSENT, ())
            elif not any(alike_colours(each.item.colour, colour) for each in facts):
                yield _Told(f"the {colour} {thing}", ExpressionKind.ABSENT, ())


def _taken_for(item: SceneObject, shape: str, colour: str, level: int) -> bool:
    if level >= 2:
        # A blob might be taken for anything.
        return item.shape in (shape, "blob") and item.colour == colour
    return alike_shapes(item.shape, shape) and alike_colours(item.colour, colour)


_LINGUISTIC = {
    ExpressionKind.PLAIN: 1.5,
    ExpressionKind.SUPERLATIVE: 3.0,
    ExpressionKind.POSITION: 3.0,
    ExpressionKind.PLURAL: 3.0,
    ExpressionKind.NEGATION: 4.5,
    ExpressionKind.RELATIONAL: 5.0,
    ExpressionKind.TEMPORAL: 4.5,
    ExpressionKind.MATERIAL: 4.0,
    ExpressionKind.ABSENT: 4.0,
}


def _difficulty(
    kind: ExpressionKind, level: int, facts: Sequence[_Facts], camera: Camera
) -> Difficulty:
    fastest = max((each.speed for each in facts), default=0.0)
    return Difficulty(
        scene_complexity=_bounded(1.0 + 0.7 * len(facts) + 1.0 * level),
        segmentation_challenge=_bounded(1.5 + 2.5 * level),
        temporal_ambiguity=_bounded(1.0 + 1.5 * level + 4.0 * (kind is ExpressionKind.TEMPORAL)),
        motion_complexity=_bounded(1.0 + fastest / 40.0 + 2.0 * (not camera.still)),
        linguistic_ambiguity=_bounded(_LINGUISTIC[kind] + 0.8 * level),
    )


def _bounded(value: float) -> float:
    return float(min(10.0, max(1.0, value)))
