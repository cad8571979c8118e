"""A stream without end in constant memory: visitors pass, and a hero comes and goes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from streamseg.synthetic.motion import Later, Loop, Waypoints
from streamseg.synthetic.sentences.expressions import Expression
from streamseg.synthetic.shapes import reach
from streamseg.synthetic.stage import SceneObject, Stage
from streamseg.types import Image, Labels

_VISITS_S = (5.3, 6.7, 8.1, 9.7)
"""How long each of the lanes keeps a visitor; no two in step."""
_HERO_S = 14.0
_LAST_ID = 60_000


class Endless:
    """Any moment of it is a pure function of the time: nothing is remembered."""

    def __init__(
        self,
        stage: Stage,
        hero: SceneObject,
        pool: Sequence[SceneObject],
        told: Sequence[Expression],
        size: tuple[int, int],
        seed: int,
    ) -> None:
        """Args:
        hero: Starts where its path says.
        pool: Looks that visitors come in; their paths and ids are not used.
        """
        self.expressions = tuple(told)
        self._stage = stage
        self._size = size
        self._seed = seed
        self._pool = tuple(pool)
        self._hero = replace(hero, path=self._hero_path(hero), motion="leaving")

    @property
    def objects(self) -> tuple[SceneObject, ...]:
        """The hero: the first visitor comes after some 2 s."""
        return (self._hero,)

    def draw(self, t_s: float, index: int) -> tuple[Image, Labels]:
        return self._stage.draw((self._hero, *self._visitors(t_s)), t_s, index)

    def _hero_path(self, hero: SceneObject) -> Loop:
        """Rest, wander, leave for 2 s, come back, every 14 s."""
        x, y = (float(v) for v in hero.path.at(0.0)[0])
        width, _ = self._size
        bound = hero.radius_px * reach(hero.shape) * 1.5
        near = width - x if x > width / 2 else -x
        outside = x + near + math.copysign(bound, near)
        aside = float(np.clip(x - near * 0.4, bound, width - bound))
        points = ((0.0, x, y), (1.5, x, y), (4.5, aside, y), (7.5, x, y))
        return Loop(
            Waypoints((*points, (9.0, outside, y), (11.0, outside, y), (12.5, x, y))), _HERO_S
        )

    def _visitors(self, t_s: float) -> list[SceneObject]:
        present = []
        for lane, visit_s in enumerate(_VISITS_S):
            # Each lane starts a quarter of a visit before the last: never all at once.
            turn = int(t_s / visit_s + lane / len(_VISITS_S))
            start_s = (turn - lane / len(_VISITS_S)) * visit_s
            if start_s > 0.0:
                present.append(self._visitor(lane, turn, start_s, visit_s))
        return present

    def _visitor(self, lane: int, turn: int, start_s: float, visit_s: float) -> SceneObject:
        """Who passes on a lane for the turn-th time: across the picture and out again."""
        rng = np.random.default_rng([self._seed, lane, turn])
        look = self._pool[int(rng.integers(len(self._pool)))]
        width, height = self._size
        bound = look.radius_px * reach(look.shape) * 1.5
        sides = (-bound, width + bound) if rng.random() < 0.5 else (width + bound, -bound)
        ys = rng.uniform(bound, height - bound, 2)
        points = ((0.0, sides[0], float(ys[0])), (visit_s * 0.9, sides[1], float(ys[1])))
        number = 2 + (turn * len(_VISITS_S) + lane) % _LAST_ID
        return replace(look, id=number, path=Later(Waypoints(points), start_s), motion="slow")
