"""Checks what a caller asks of a run by hand: counts, rates, boxes and points; knows no run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np

from streamseg.errors import UsageError
from streamseg.types import Box, Point, Target


def checked_count(count: object, name: str) -> int | None:
    """A whole number from 0 on, or None for no limit.

    Raises:
        UsageError: It is none.
    """
    if count is None:
        return None
    if isinstance(count, int | np.integer) and not isinstance(count, bool) and int(count) >= 0:
        return int(count)
    raise UsageError(f"{name}: expected a whole number from 0 on or None, got {count!r:.60}")


def checked_fps(fps: object) -> float | None:
    """Pictures a second, or None where they are not known.

    Raises:
        UsageError: It is no finite number above 0.
    """
    if fps is None or (_is_number(fps) and cast(float, fps) > 0):
        return cast(float | None, fps)
    raise UsageError(f"fps: expected a rate above 0 or None, got {fps!r:.60}")


def checked_target(
    box: object, positive: Sequence[object], negative: Sequence[object], label: object
) -> Target:
    """What a click or another program points at, in pixels of the source.

    Raises:
        UsageError: The box is no four finite numbers that hold an area, or a point no two.
    """
    corners = _numbers(box, 4)
    if corners is None or not (corners[0] < corners[2] and corners[1] < corners[3]):
        raise UsageError(
            "box: expected (x0, y0, x1, y1) in pixels, finite, with x0 < x1 and y0 < y1, got "
            f"{box!r:.60}"
        )
    if not isinstance(label, str):
        raise UsageError(f"label: expected text, got {label!r:.60}")
    ons = _points(positive, "positive")
    return Target(cast(Box, corners), ons, _points(negative, "negative"), label=label)


def _points(points: object, name: str) -> tuple[Point, ...]:
    whole = isinstance(points, list | tuple | np.ndarray)
    found = [_numbers(point, 2) for point in cast(Sequence[object], points)] if whole else [None]
    if None in found:
        raise UsageError(
            f"{name}: expected a list of points (x, y) in pixels, finite, got {points!r:.60}"
        )
    return tuple(cast(Point, point) for point in found)


def _numbers(values: object, count: int) -> tuple[float, ...] | None:
    """So many finite numbers; None for anything else."""
    if not isinstance(values, list | tuple | np.ndarray) or len(values) != count:
        return None
    return tuple(float(value) for value in values) if all(map(_is_number, values)) else None


def _is_number(value: object) -> bool:
    kinds = int | float | np.integer | np.floating
    return isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
