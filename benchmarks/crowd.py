"""A synthetic clip of many small objects, for the cost and the masks of tracking them at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamseg.synthetic import Expression, Scene, SceneObject
from streamseg.synthetic.backgrounds import paint
from streamseg.synthetic.motion import Camera, Drift, Light, Turn
from streamseg.synthetic.sentences.words import COLOURS, SHAPE_NOUNS
from streamseg.synthetic.sprites import MATERIALS, Look, Sprite
from streamseg.synthetic.stage import Stage
from streamseg.types import Image, Labels

_RADII = (0.04, 0.075)
"""Least and greatest, in heights of the picture."""
_SPEEDS = (0.05, 0.3)
"""Likewise, in heights per second."""


class _Crowd:
    """Objects that drift over a ground, turn back at its edges and pass over each other."""

    expressions: tuple[Expression, ...] = ()

    def __init__(self, size: tuple[int, int], count: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        ground = paint("plaster", size[1], size[0], size[1] / 360, rng)
        self._stage = Stage(ground, size, Camera(), Light(), 2.0, seed)
        self.objects: Sequence[SceneObject] = [
            _member(at, place, size, rng) for at, place in enumerate(_places(size, count))
        ]

    def draw(self, t_s: float, index: int) -> tuple[Image, Labels]:
        return self._stage.draw(self.objects, t_s, index)


def crowd(size: tuple[int, int], count: int = 16, seed: int = 0, frames: int = 60) -> Scene:
    """Many small objects, all apart and all to be seen on the first frame.

    Args:
        size: Width and height in pixels.
        count: Of objects.
        seed: Draws looks and ways.
        frames: At 30 a second.
    """
    return Scene("crowd", _Crowd(size, count, seed), size, 30.0, frames)


def _places(size: tuple[int, int], count: int) -> list[tuple[float, float]]:
    """Centres on a grid of about square meshes."""
    rows = max(1, round((count * size[1] / size[0]) ** 0.5))
    columns = -(-count // rows)
    return [
        ((at % columns + 0.5) * size[0] / columns, (at // columns + 0.5) * size[1] / rows)
        for at in range(count)
    ]


def _member(
    at: int, place: tuple[float, float], size: tuple[int, int], rng: np.random.Generator
) -> SceneObject:
    """One of the crowd: neighbours differ in shape and colour."""
    shapes = [shape for shape, nouns in SHAPE_NOUNS.items() if nouns]
    colours = list(COLOURS)
    radius = size[1] * rng.uniform(*_RADII)
    look = Look(
        shapes[at % len(shapes)],
        colours[5 * at % len(colours)],
        MATERIALS[int(rng.integers(len(MATERIALS)))],
        radius,
        int(rng.integers(1 << 31)),
    )
    angle, speed = rng.uniform(0, 2 * np.pi), size[1] * rng.uniform(*_SPEEDS)
    bounds = (radius, radius, size[0] - radius, size[1] - radius)
    path = Drift(*place, speed * np.cos(angle), speed * np.sin(angle), bounds)
    turn = Turn(rate_rad_s=rng.uniform(-1, 1))
    return SceneObject(at + 1, look, Sprite(look), "small", "slow", path, turn)
