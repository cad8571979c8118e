"""Who is meant at which time, where that changes: read off the paths, sixty times a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from streamseg.synthetic.motion import Camera
from streamseg.synthetic.stage import SceneObject

Spans = tuple[tuple[float, tuple[int, ...]], ...]
"""(start in seconds, ids ascending), the first at 0; each holds until the next."""
Values = Callable[[float], Sequence[float | None]]
"""Of each member at a time; None for one that is not in the picture."""

_STEP_S = 1.0 / 60.0
LONGEST_S = 10.0
"""Sentences of scenes are true to this; what comes later is as it was last."""


def spans(meant: Callable[[float], tuple[int, ...]], until_s: float = LONGEST_S) -> Spans:
    """Sample who is meant from the beginning on."""
    found: list[tuple[float, tuple[int, ...]]] = []
    for step in range(round(until_s / _STEP_S)):
        ids = meant(step * _STEP_S)
        if not found or ids != found[-1][1]:
            found.append((step * _STEP_S, ids))
    return tuple(found)


def at(held: Spans, t_s: float) -> tuple[int, ...]:
    """Who is meant at a time."""
    return next((ids for start_s, ids in reversed(held) if start_s <= t_s + 1e-9), ())


def leader(members: Sequence[SceneObject], values: Values) -> Callable[[float], tuple[int, ...]]:
    """The member with the largest value among those in the picture; nobody where none is."""

    def meant(t_s: float) -> tuple[int, ...]:
        pairs = zip(members, values(t_s), strict=True)
        there = [(value, item.id) for item, value in pairs if value is not None]
        return (max(there)[1],) if there else ()

    return meant


def along(
    members: Sequence[SceneObject], axis: int, sign: float, camera: Camera, size: tuple[int, int]
) -> Values:
    """How far each lies along an axis (0: x, 1: y) of the picture."""

    def values(t_s: float) -> list[float | None]:
        seen = (on_screen(item, camera, size, t_s) for item in members)
        return [None if place is None else sign * float(place[axis]) for place in seen]

    return values


def closeness(
    members: Sequence[SceneObject], anchor: SceneObject, camera: Camera, size: tuple[int, int]
) -> Values:
    """How near each lies to another, middle to middle."""

    def values(t_s: float) -> list[float | None]:
        middle = on_screen(anchor, camera, size, t_s)
        seen = (on_screen(item, camera, size, t_s) for item in members)
        return [
            None if place is None or middle is None else -float(np.hypot(*(place - middle)))
            for place in seen
        ]

    return values


def on_screen(
    item: SceneObject, camera: Camera, size: tuple[int, int], t_s: float
) -> NDArray[np.float64] | None:
    """Where an object's centre is seen, x and y in pixels; None where it is out of the picture."""
    zoom, dx, dy = camera.at(t_s)
    middle = np.asarray(size) / 2.0
    place = zoom * (item.path.at(t_s)[0] - middle) + middle + (dx, dy)
    inside = bool((place >= 0.0).all() and (place < np.asarray(size)).all())
    return np.asarray(place) if inside else None
