"""How much the picture changed since the last frame: a cut, or mere motion.

A cut replaces both what is where and the colours. Structure alone also changes behind a large
moving object, colours alone also change with the light, neither changes in a pan: so a cut is
the product of both.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.keyframes.thumbnails import Thumbnail, thumbnail
from streamseg.types import Frame

BLOCK = (12, 9)
"""Width and height, in coarse pixels, of the blocks that are looked for in the last frame."""
REACH = (8, 6)
"""How far around its old place a block is looked for: a pan of an eighth of the picture."""
_COLUMNS = (8, 20, 32, 44)
_ROWS = (4, 13, 22)

SAME, OTHER = 0.9, 0.6
"""Correlation of a block that was found again, and of one that was not."""
FLAT = 0.12
"""A block whose deviation is below this share of the picture's has no structure to correlate."""
FLAT_STEP = 0.35
"""A flat block is found again where the brightness differs by less, in deviations."""
COLOURS_REPLACED = 0.35
"""Histogram distance at which the colours count as replaced."""
NOISE = 4.0
"""Grey levels added to deviations, so that noise on a black picture is not structure."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Change:
    """What happened since the last frame, all in [0, 1].

    Attributes:
        cut: Evidence that this is another scene; compare with `trigger.scene_cut`.
        motion: How much of the picture moved, the light left aside.
    """

    cut: float
    motion: float


STILL = Change(cut=0.0, motion=0.0)


class SceneChange:
    """Compares each frame with the one before; the first frame of an epoch is no change."""

    def __init__(self) -> None:
        self._last: _Scene | None = None
        self._epoch = -1

    def __call__(self, frame: Frame) -> Change:
        """The change up to `frame`."""
        scene = _Scene.of(thumbnail(frame))
        last, self._last = self._last, scene
        if last is None or frame.epoch != self._epoch:
            self._epoch = frame.epoch
            return STILL
        motion = float(np.minimum(np.abs(scene.light_free - last.light_free), 1.0).mean())
        colours = min(1.0, _distance(scene.histogram, last.histogram) / COLOURS_REPLACED)
        # A cut needs other colours: where they stayed, structure need not be looked at.
        cut = colours * _replaced(last.light_free, scene.light_free) if colours > 0.1 else 0.0
        return Change(cut=cut, motion=motion)


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """`light_free`: (36, 64) float32 of zero mean and unit deviation. `histogram`: sums to 2."""

    light_free: Floats
    histogram: Floats

    @staticmethod
    def of(small: Thumbnail) -> _Scene:
        grey = small.coarse.astype(np.float32)
        light_free = (grey - grey.mean()) / (grey.std() + NOISE)
        return _Scene(light_free, _histogram(small, light_free))


def _histogram(small: Thumbnail, light_free: Floats) -> Floats:
    """Colour opponents in 64 cells and relative brightness in 6, each part summing to 1."""
    r, g, b = (small.rgb[::2, ::2, channel].astype(np.int16) for channel in range(3))
    red_green = np.clip((r - g + 96) // 24, 0, 7)
    yellow_blue = np.clip((r + g - 2 * b + 192) // 48, 0, 7)
    chroma = np.bincount((red_green * 8 + yellow_blue).ravel(), minlength=64)
    levels = np.clip((light_free + 2.0) * 1.5, 0, 5).astype(np.intp)
    brightness = np.bincount(levels.ravel(), minlength=6)
    parts = (chroma / chroma.sum(), brightness / brightness.sum())
    return np.concatenate(parts).astype(np.float32)


def _distance(one: Floats, other: Floats) -> float:
    """The larger of both parts' distances, each 1 - histogram intersection."""
    common = np.minimum(one, other)
    return float(1.0 - min(common[:64].sum(), common[64:].sum()))


def _replaced(last: Floats, now: Floats) -> float:
    """Share of the inner blocks that are not found again near their place."""
    (width, height), (dx, dy) = BLOCK, REACH
    total = 0.0
    for y in _ROWS:
        for x in _COLUMNS:
            block = now[y : y + height, x : x + width]
            around = last[max(0, y - dy) : y + height + dy, x - dx : x + width + dx]
            total += _not_found(block, around)
    return total / (len(_ROWS) * len(_COLUMNS))


def _not_found(block: Floats, around: Floats) -> float:
    if block.std() < FLAT:
        steps = np.abs(cv2.blur(around, BLOCK) - block.mean())
        return float(steps.min() > FLAT_STEP)
    best = float(cv2.matchTemplate(around, block, cv2.TM_CCOEFF_NORMED).max())
    return min(max((SAME - best) / (SAME - OTHER), 0.0), 1.0)
