"""Chooses who is in a scene, where they stand and how they move, so that sentences can be told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from streamseg.synthetic.motion import Camera, Drift, Light, Orbit, Path, Still, Turn, Waypoints
from streamseg.synthetic.sentences.words import COLOURS, SHAPE_NOUNS, alike_colours
from streamseg.synthetic.shapes import reach
from streamseg.synthetic.sprites import Look, Sprite
from streamseg.synthetic.stage import SceneObject
from streamseg.types import Image

CLEAR_S = 1.2
"""Nobody covers anybody, and nobody leaves, before this."""
_PLANNED_S = 7.0
"""How far ahead paths are kept clear where nobody may cross; later they may."""
_ATTEMPTS = 200
_RADII = {"small": (17.0, 21.0), "medium": (29.0, 34.0), "large": (46.0, 54.0)}


@dataclass(frozen=True, slots=True)
class Rules:
    """What a level allows; lengths in pixels of a 640×360 picture.

    Attributes:
        rank: 0 easy, 1 medium, 2 hard.
        count: Fewest and most objects.
        grounds: Names of `backgrounds.BACKGROUNDS`.
        shapes, materials, sizes: What is drawn from; `sizes` with their shares.
        speeds: px/s of slow and of fast ones, (low, high) each.
        motions: Shares of "still", "slow", "fast", "circling", "leaving".
        crossing: Objects may cover one another after `CLEAR_S`.
        close_colours: Colours that people might confuse may meet.
        noise: Deviation of the sensor's noise.
    """

    rank: int
    count: tuple[int, int]
    grounds: tuple[str, ...]
    shapes: tuple[str, ...]
    materials: tuple[str, ...]
    sizes: tuple[float, float, float]
    speeds: tuple[tuple[float, float], tuple[float, float]]
    motions: tuple[float, float, float, float, float]
    crossing: bool
    close_colours: bool
    noise: float


_NAMED = tuple(shape for shape, nouns in SHAPE_NOUNS.items() if nouns)

RULES: dict[str, Rules] = {
    "easy": Rules(
        rank=0,
        count=(3, 4),
        grounds=("plaster", "cloth", "tiles"),
        shapes=("disc", "square", "triangle", "star", "ellipse"),
        materials=("plain", "plain", "speckled"),
        sizes=(0.15, 0.45, 0.4),
        speeds=((40.0, 55.0), (80.0, 110.0)),
        motions=(0.4, 0.35, 0.15, 0.1, 0.0),
        crossing=False,
        close_colours=False,
        noise=2.0,
    ),
    "medium": Rules(
        rank=1,
        count=(4, 5),
        grounds=("plaster", "cloth", "tiles", "wood", "sand", "grass"),
        shapes=_NAMED,
        materials=("plain", "plain", "speckled", "striped", "dotted"),
        sizes=(0.25, 0.45, 0.3),
        speeds=((44.0, 64.0), (110.0, 150.0)),
        motions=(0.3, 0.3, 0.2, 0.12, 0.08),
        crossing=True,
        close_colours=False,
        noise=4.0,
    ),
    "hard": Rules(
        rank=2,
        count=(6, 8),
        grounds=("wood", "sand", "grass", "landscape", "tiles"),
        shapes=tuple(SHAPE_NOUNS),
        materials=("plain", "speckled", "striped", "dotted", "checked"),
        sizes=(0.4, 0.4, 0.2),
        speeds=((60.0, 90.0), (150.0, 220.0)),
        motions=(0.2, 0.3, 0.25, 0.15, 0.1),
        crossing=True,
        close_colours=True,
        noise=7.0,
    ),
}


@dataclass(frozen=True, slots=True)
class Part:
    """An object before it has a place: what it is and how it shall move."""

    shape: str
    colour: str
    material: str
    size: str
    motion: str


def palette(rules: Rules, hidden: Sequence[str], rng: np.random.Generator, count: int) -> list[str]:
    """Colours for a scene: none of `hidden`, none alike unless the rules allow it."""
    chosen: list[str] = []
    names = list(COLOURS)
    for k in rng.permutation(len(names)):
        name = names[k]
        if name in hidden:
            continue
        if rules.close_colours or not any(alike_colours(name, other) for other in chosen):
            chosen.append(name)
        if len(chosen) == count:
            break
    return chosen


def parts(rules: Rules, hidden: Sequence[str], rng: np.random.Generator) -> list[Part]:
    """Draw a cast in which colours and shapes recur, so that one word is seldom enough."""
    count = int(rng.integers(rules.count[0], rules.count[1] + 1))
    colours = palette(rules, hidden, rng, 2 + count // 3)
    kinds = [str(s) for s in rng.permutation(list(rules.shapes))][: 2 + count // 4]
    cast: list[Part] = []
    for k in range(count):
        shape = kinds[0] if k < 2 else kinds[int(rng.integers(len(kinds)))]
        # The first two share a shape, the first and the third a colour.
        colour = colours[(0, 1, 0)[k]] if k < 3 else colours[int(rng.integers(len(colours)))]
        size = str(rng.choice(list(_RADII), p=rules.sizes))
        motion = str(rng.choice(MOTIONS, p=rules.motions))
        cast.append(Part(shape, colour, str(rng.choice(rules.materials)), size, motion))
    return cast


MOTIONS = ("still", "slow", "fast", "circling", "leaving")


class Director:
    """Places parts in a picture of a given size, one after another, keeping them clear."""

    def __init__(
        self,
        size: tuple[int, int],
        rules: Rules,
        camera: Camera,
        rng: np.random.Generator,
        fills: Sequence[Image] = (),
        first_id: int = 1,
    ) -> None:
        """Args:
        fills: Pictures to fill objects with now and then, in place of a material.
        """
        self._next_id = first_id
        self._size = size
        self._unit = min(size[0] / 640.0, size[1] / 360.0)
        self._rules = rules
        self._camera = camera
        self._rng = rng
        self._fills = fills
        self._placed: list[SceneObject] = []

    def place(self, part: Part) -> SceneObject | None:
        """Give a part a place where it is clear of those before; None when there is no room."""
        rng = self._rng
        low, high = _RADII[part.size]
        radius = float(rng.uniform(low, high)) * self._unit
        look = Look(part.shape, part.colour, part.material, radius, int(rng.integers(2**31)))
        found = self._find(part.motion, look)
        if found is None:
            return None
        motion, path = found
        part = replace(part, motion=motion)
        fill = None
        if self._fills and rng.random() < 0.5:
            fill = self._fills[int(rng.integers(len(self._fills)))]
        item = SceneObject(
            self._next_id, look, Sprite(look, fill), part.size, motion, path, self._turn(part)
        )
        self._add(item)
        return item

    def place_again(self, item: SceneObject, motion: str) -> SceneObject | None:
        """Give an object of another stage a place here, under its old id."""
        found = self._find(motion, item.look)
        if found is None:
            return None
        moved = replace(item, motion=found[0], path=found[1])
        self._add(moved)
        return moved

    def _add(self, item: SceneObject) -> None:
        self._placed.append(item)
        self._next_id = max(self._next_id, item.id + 1)

    def _find(self, motion: str, look: Look) -> tuple[str, Path] | None:
        """A motion (the one asked for, as long as there is hope) and a clear path."""
        bound = look.radius_px * reach(look.shape)
        for attempt in range(_ATTEMPTS):
            chosen = motion if attempt < _ATTEMPTS // 2 or motion == "leaving" else "still"
            path = self._path(chosen, bound)
            if self._is_clear(path, bound, leaves=chosen == "leaving"):
                return chosen, path
        return None

    def _turn(self, part: Part) -> Turn:
        rng = self._rng
        start = float(rng.uniform(-0.3, 0.3))
        if part.motion == "still" or self._rules.rank == 0:
            return Turn(start)
        if part.shape in ("disc", "star", "ring", "blob") and rng.random() < 0.5:
            return Turn(start, rate_rad_s=float(rng.choice([-1, 1]) * rng.uniform(0.4, 1.4)))
        rock = float(rng.uniform(0.05, 0.25))
        return Turn(start, rock_rad=rock, rock_period_s=float(rng.uniform(2, 4)))

    def _path(self, motion: str, bound: float) -> Path:
        rng, unit = self._rng, self._unit
        width, height = self._size
        edge = bound + self._camera.reach_px + 4.0 + self._camera.zoom * width / 2
        low, high = (edge, edge), (width - edge, height - edge)
        x = float(rng.uniform(low[0], max(high[0], low[0] + 1)))
        y = float(rng.uniform(low[1], max(high[1], low[1] + 1)))
        if motion == "still":
            return Still(x, y)
        if motion == "circling":
            r = float(rng.uniform(30, 60)) * unit
            period = float(rng.uniform(2.6, 4.5)) * (1 if rng.random() < 0.5 else -1)
            return Orbit(x, y, r, r * 0.7, period, float(rng.uniform(0, 2 * math.pi)))
        if motion == "leaving":
            return excursion((x, y), self._size, bound + self._camera.reach_px + 12 * unit, rng)
        speed = float(rng.uniform(*self._rules.speeds[motion == "fast"])) * unit
        vx, vy = _heading(speed, rng)
        return Drift(x, y, vx, vy, (*low, max(high[0], low[0] + 1), max(high[1], low[1] + 1)))

    def _is_clear(self, path: Path, bound: float, leaves: bool) -> bool:
        """In full view in the first second, and clear of the others for as long as is asked."""
        times = np.arange(0.0, _PLANNED_S, 0.1)
        early = times <= CLEAR_S
        track = path.at(times)
        edge = bound + self._camera.reach_px + self._camera.zoom * max(self._size) / 2
        inside = (track >= edge) & (track <= np.asarray(self._size) - edge)
        if not inside[early].all():
            return False
        # One that comes back must not come to rest on top of another.
        until = early if self._rules.crossing and not leaves else np.ones_like(early)
        for other in self._placed:
            gap = np.hypot(*(track - other.path.at(times)).T)
            apart = bound + other.radius_px * reach(other.shape) + 8.0 * self._unit
            if bool((gap[until] < apart).any()):
                return False
        return True


def _heading(speed: float, rng: np.random.Generator) -> tuple[float, float]:
    """Mostly along an axis, so that "moves left" can be said of it."""
    angle = float(rng.choice([0.0, math.pi, math.pi, 0.0, math.pi / 2, -math.pi / 2]))
    angle += float(rng.uniform(-0.35, 0.35))
    return speed * math.cos(angle), speed * math.sin(angle)


def excursion(
    start: tuple[float, float], size: tuple[int, int], bound: float, rng: np.random.Generator
) -> Waypoints:
    """Stay for a while, leave the picture, stay away for 1 to 3 s, come back elsewhere."""
    x, y = start
    width, height = size
    unit = min(width / 640.0, height / 360.0)
    right = x > width / 2
    outside = width + bound if right else -bound
    leave = CLEAR_S + float(rng.uniform(0.1, 0.3))
    gone = leave + abs(outside - x) / (float(rng.uniform(260, 340)) * unit)
    back = gone + float(rng.uniform(1.0, 3.0))
    y_back = float(np.clip(y + rng.uniform(-40, 40) * unit, bound, height - bound))
    x_back = float(np.clip(x + rng.uniform(-60, 60) * unit, bound, width - bound))
    home = back + abs(outside - x_back) / (240.0 * unit)
    away = ((0.0, x, y), (leave, x, y), (gone, outside, y), (back, outside, y_back))
    return Waypoints((*away, (home, x_back, y_back)))


def camera(rules: Rules, unit: float, rng: np.random.Generator) -> Camera:
    """Fixed on easy, slowly swaying on medium, held in a hand on hard."""
    if rules.rank == 0:
        return Camera()
    reach_px = (8.0, 18.0)[rules.rank - 1] * unit
    return Camera(
        sway_px=(float(rng.uniform(0.5, 1.0)) * reach_px, float(rng.uniform(0.3, 0.6)) * reach_px),
        period_s=(float(rng.uniform(6, 10)), float(rng.uniform(5, 9))),
        shake_px=0.8 * unit if rules.rank == 2 else 0.0,
        zoom=0.03 if rules.rank == 2 else 0.0,
        phase_rad=float(rng.uniform(0, 2 * math.pi)),
    )


def light(rules: Rules, rng: np.random.Generator) -> Light:
    """Steady on easy, breathing on medium, changing colour and switched on hard."""
    if rules.rank == 0:
        return Light()
    swing = float(rng.uniform(0.04, 0.10)) * rules.rank
    if rules.rank == 1:
        return Light(swing, float(rng.uniform(3, 6)))
    switch = float(rng.uniform(1.5, 3.0)) if rng.random() < 0.4 else 0.0
    return Light(swing, float(rng.uniform(2, 5)), 0.06, switch, float(rng.uniform(0.65, 0.8)))
