"""Scenes in which who is meant changes as things happen, with sentences and their truth over time.

Four by turns of the seed: a race in which places change, things that grow and shrink, a ball that
is kicked, and a small thing that is handed from one to the next (ORVOS, arXiv 2604.11411).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from streamseg.synthetic import backgrounds, casting
from streamseg.synthetic.casting import RULES
from streamseg.synthetic.motion import FULL, Camera, Growth, Path, Still, Turn, Waypoints
from streamseg.synthetic.plays import Clip, Play, Setting
from streamseg.synthetic.sentences import expressions, spans
from streamseg.synthetic.sentences.expressions import Expression, ExpressionKind
from streamseg.synthetic.sentences.spans import Spans
from streamseg.synthetic.sentences.words import SHAPE_NOUNS
from streamseg.synthetic.sprites import Look, Sprite
from streamseg.synthetic.stage import SceneObject

LENGTH_S = 8.0
_RULES = RULES["medium"]
_SHAPES = ("disc", "square", "star", "triangle")
_CHANGES = 3
_REACH = 0.05
"""Who holds a thing is so near to it, in widths between their outlines' boxes."""


@dataclass(frozen=True)
class _Act:
    """What happens, and what can be said of it."""

    objects: tuple[SceneObject, ...]
    told: tuple[tuple[str, ExpressionKind, Spans], ...]


def shifts(setting: Setting) -> Play:
    """One of the four, on a textured ground; the camera sways in every other one."""
    rng = setting.rng
    turn = int(rng.integers(2**31))
    sways = bool(rng.integers(2))
    camera = Camera()
    if sways:
        camera = Camera(sway_px=(8.0 * setting.unit, 4.0 * setting.unit), phase_rad=turn % 6)
    ground = str(rng.choice(_RULES.grounds))
    stage = setting.stage(_RULES, camera, ground)
    act = _ACTS[turn % len(_ACTS)](_Troupe(setting, camera, ground))
    told = [
        Expression(
            text,
            kind,
            spans.at(held, 0.0),
            expressions.rate(kind, _RULES.rank, act.objects, camera, setting.size),
            held,
        )
        for text, kind, held in act.told
    ]
    return Clip(stage, act.objects, act.objects, told)


class _Troupe:
    """Makes objects of one shape in colours that nobody confuses, and one that is unlike them."""

    def __init__(self, setting: Setting, camera: Camera, ground: str) -> None:
        self.rng, self.unit, self.size = setting.rng, setting.unit, setting.size
        self.camera = camera
        hidden = backgrounds.HIDDEN_COLOURS[ground]
        self._colours = casting.palette(_RULES, hidden, self.rng, 5)
        kinds = [_SHAPES[k] for k in self.rng.permutation(len(_SHAPES))]
        self._shape, self._other = kinds[0], kinds[1]
        self._made = 0

    @property
    def noun(self) -> str:
        return str(self.rng.choice(SHAPE_NOUNS[self._shape]))

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Of shares of the picture, pixels."""
        return x * self.size[0], y * self.size[1]

    def make(
        self, path: Path, radius: float, grows: Growth | None = None, unlike: bool = False
    ) -> SceneObject:
        """Args:
        radius: In pixels of a 640×360 picture.
        unlike: Of the other shape.
        """
        shape = self._other if unlike else self._shape
        colour = self._colours[self._made % len(self._colours)]
        look = Look(shape, colour, "plain", radius * self.unit, int(self.rng.integers(2**31)))
        self._made += 1
        turn = Turn(float(self.rng.uniform(-0.2, 0.2)))
        sprite = Sprite(look, None)
        return SceneObject(self._made, look, sprite, "medium", "slow", path, turn, grows or FULL)

    def name(self, item: SceneObject) -> str:
        """The only one of its colour and shape."""
        return f"{item.colour} {self.rng.choice(SHAPE_NOUNS[item.shape])}"

    def orders(self, count: int, changes: int) -> list[list[int]]:
        """Places of `count` from time to time; who is first, and last, is another each time."""
        rows = [self.rng.permutation(count).tolist()]
        while len(rows) < changes + 1:
            row = self.rng.permutation(count).tolist()
            changed = all(row.index(k) != rows[-1].index(k) for k in (0, count - 1))
            if changed:
                rows.append(row)
        return [list(map(int, row)) for row in rows]

    def times(self, changes: int) -> list[tuple[float, float]]:
        """When each change begins and ends, evenly over the scene."""
        each = LENGTH_S / (changes + 1)
        return [
            (each * (k + 1) - 0.35 * each, each * (k + 1) + 0.35 * each) for k in range(changes)
        ]


def _schedule(
    values: Sequence[float], times: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """(t_s, value): each held, then gone from to the next within its time."""
    points = [(0.0, values[0])]
    for (start, end), old, new in zip(times, values, values[1:], strict=False):
        points += [(start, old), (end, new)]
    return points


def _race(troupe: _Troupe) -> _Act:
    """Three in lanes of their own overtake one another."""
    count, rows, times = 3, troupe.orders(3, _CHANGES), troupe.times(_CHANGES)
    slots = (0.2, 0.5, 0.8)
    runners = []
    for lane in range(count):
        y = troupe.place(0.0, 0.22 + 0.28 * lane)[1]
        xs = [slots[row[lane]] * troupe.size[0] for row in rows]
        way = tuple((t, x, y) for t, x in _schedule(xs, times))
        runners.append(troupe.make(Waypoints(way), 26.0))
    noun, told = troupe.noun, []
    for sign, words in (
        (1.0, ("the rightmost {}", "the {} furthest to the right")),
        (-1.0, ("the leftmost {}", "the {} furthest to the left")),
    ):
        values = spans.along(runners, 0, sign, troupe.camera, troupe.size)
        text = str(troupe.rng.choice(words)).format(noun)
        held = spans.spans(spans.leader(runners, values), LENGTH_S)
        told.append((text, ExpressionKind.POSITION, held))
    return _Act(tuple(runners), tuple(told))


def _growth(troupe: _Troupe) -> _Act:
    """Three that stay where they are grow and shrink."""
    rows, times = troupe.orders(3, _CHANGES), troupe.times(_CHANGES)
    shares = (0.5, 0.72, 1.0)
    things = []
    for k in range(3):
        x, y = troupe.place(0.2 + 0.3 * k, float(troupe.rng.uniform(0.35, 0.65)))
        grows = Growth(tuple(_schedule([shares[row[k]] for row in rows], times)))
        things.append(troupe.make(Still(x, y), 54.0, grows))
    noun, told = troupe.noun, []
    for sign, words in ((1.0, ("largest", "biggest")), (-1.0, ("smallest",))):
        held = spans.spans(spans.leader(things, _sizes(things, sign)), LENGTH_S)
        text = f"the {troupe.rng.choice(words)} {noun}"
        told.append((text, ExpressionKind.SUPERLATIVE, held))
    return _Act(tuple(things), tuple(told))


def _sizes(things: Sequence[SceneObject], sign: float) -> spans.Values:
    return lambda t_s: [sign * item.grows.at(t_s) * item.radius_px for item in things]


def _kick(troupe: _Troupe) -> _Act:
    """Three rest; after a while one of them rolls off, a good way and to rest again."""
    start = float(troupe.rng.uniform(2.0, 3.5))
    seconds = float(troupe.rng.uniform(1.5, 2.5))
    kicked = int(troupe.rng.integers(3))
    things = []
    for k in range(3):
        x, y = troupe.place(0.2 + 0.3 * k, 0.3 if k == kicked else 0.7)
        if k == kicked:
            far = troupe.place(0.85 if x < troupe.size[0] / 2 else 0.15, 0.3)[0]
            way = ((0.0, x, y), (start, x, y), (start + seconds, far, y))
            things.append(troupe.make(Waypoints(way), 28.0))
        else:
            things.append(troupe.make(Still(x, y), 28.0))
    hero = things[kicked]
    other = troupe.make(Still(*troupe.place(0.5, 0.88)), 24.0, unlike=True)
    noun, name = troupe.noun, troupe.name(hero)
    after: Spans = ((0.0, ()), (start, (hero.id,)))
    others: Spans = ((0.0, ()), (start, (other.id,)))
    texts = (
        f"the {noun} after it was kicked",
        f"the {noun} that starts moving",
        f"the {noun} once it moves",
    )
    told = [(str(text), ExpressionKind.TEMPORAL, after) for text in texts[:2]]
    told.append(
        (f"the {troupe.name(other)} after the {name} moved", ExpressionKind.TEMPORAL, others)
    )
    return _Act((*things, other), tuple(told))


def _handing(troupe: _Troupe) -> _Act:
    """A small thing is handed from one to the next."""
    radius, small = 34.0, 13.0
    places = [troupe.place(0.18 + 0.32 * k, 0.62) for k in range(3)]
    holders = [troupe.make(Still(*place), radius) for place in places]
    rows, times = troupe.orders(3, _CHANGES), troupe.times(_CHANGES)
    # Whoever comes first in a row has it; nobody twice in a row.
    having = [row.index(0) for row in rows]
    above = (radius + small + 5.0) * troupe.unit
    spots = [(places[k][0], places[k][1] - above * 1.15) for k in having]
    xs, ys = _schedule([x for x, _ in spots], times), _schedule([y for _, y in spots], times)
    way = tuple((t, x, y) for (t, x), (_, y) in zip(xs, ys, strict=True))
    thing = troupe.make(Waypoints(way), small, unlike=True)
    noun, name = troupe.noun, troupe.name(thing)
    nearness = spans.closeness(holders, thing, troupe.camera, troupe.size)
    held = spans.spans(spans.leader(holders, nearness), LENGTH_S)
    owned = spans.spans(_holder(holders, thing, troupe.size[0]), LENGTH_S)
    return _Act(
        (*holders, thing),
        (
            (f"the {noun} closest to the {name}", ExpressionKind.RELATIONAL, held),
            (f"whoever holds the {name}", ExpressionKind.RELATIONAL, owned),
        ),
    )


def _holder(
    holders: Sequence[SceneObject], thing: SceneObject, width: int
) -> Callable[[float], tuple[int, ...]]:
    """Whoever is within reach of a thing, by boxes about their radii."""

    def meant(t_s: float) -> tuple[int, ...]:
        place = thing.path.at(t_s)[0]
        for item in holders:
            apart = np.abs(item.path.at(t_s)[0] - place) - item.radius_px - thing.radius_px
            if float(np.hypot(*np.maximum(apart, 0.0))) <= _REACH * width:
                return (item.id,)
        return ()

    return meant


_ACTS: tuple[Callable[[_Troupe], _Act], ...] = (_race, _growth, _kick, _handing)
