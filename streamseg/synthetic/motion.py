"""Where things are at a time: paths of objects, the camera, the light. Pure functions of time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Track = NDArray[np.float64]
"""(N, 2) positions x, y in pixels."""


class Path(Protocol):
    """A way through the world."""

    def at(self, t_s: ArrayLike) -> Track:
        """Positions (N, 2) at N times in seconds."""


@dataclass(frozen=True, slots=True)
class Still:
    """Stays where it is."""

    x: float
    y: float

    def at(self, t_s: ArrayLike) -> Track:
        return np.tile([self.x, self.y], (np.size(t_s), 1))


@dataclass(frozen=True, slots=True)
class Drift:
    """Moves in a straight line and turns back at the edges of `bounds` (x0, y0, x1, y1)."""

    x: float
    y: float
    vx: float
    vy: float
    bounds: tuple[float, float, float, float]

    def at(self, t_s: ArrayLike) -> Track:
        t = np.atleast_1d(np.asarray(t_s, np.float64))
        x0, y0, x1, y1 = self.bounds
        x = _reflected(self.x + self.vx * t, x0, x1)
        y = _reflected(self.y + self.vy * t, y0, y1)
        return np.stack([x, y], axis=1)


@dataclass(frozen=True, slots=True)
class Orbit:
    """Goes round an ellipse about (x, y), once in `period_s`."""

    x: float
    y: float
    rx: float
    ry: float
    period_s: float
    phase_rad: float

    def at(self, t_s: ArrayLike) -> Track:
        t = np.atleast_1d(np.asarray(t_s, np.float64))
        angle = self.phase_rad + 2.0 * math.pi * t / self.period_s
        return np.stack(
            [self.x + self.rx * np.cos(angle), self.y + self.ry * np.sin(angle)], axis=1
        )


@dataclass(frozen=True, slots=True)
class Waypoints:
    """Passes (t_s, x, y) one after another in straight lines; rests before the first and after
    the last. Used to leave the picture and to come back."""

    points: tuple[tuple[float, float, float], ...]

    def at(self, t_s: ArrayLike) -> Track:
        t = np.atleast_1d(np.asarray(t_s, np.float64))
        times, xs, ys = np.asarray(self.points).T
        return np.stack([np.interp(t, times, xs), np.interp(t, times, ys)], axis=1)


@dataclass(frozen=True, slots=True)
class Loop:
    """Another path's first `period_s`, again and again."""

    path: Path
    period_s: float

    def at(self, t_s: ArrayLike) -> Track:
        return self.path.at(np.mod(np.atleast_1d(np.asarray(t_s, np.float64)), self.period_s))


@dataclass(frozen=True, slots=True)
class Later:
    """Another path that begins at `start_s`."""

    path: Path
    start_s: float

    def at(self, t_s: ArrayLike) -> Track:
        return self.path.at(np.atleast_1d(np.asarray(t_s, np.float64)) - self.start_s)


def _reflected(value: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    span = max(high - low, 1e-6)
    folded = np.mod(value - low, 2.0 * span)
    return np.asarray(low + np.minimum(folded, 2.0 * span - folded))


@dataclass(frozen=True, slots=True)
class Growth:
    """An object's size as a share of its full one: straight from one (t_s, share) to the next."""

    points: tuple[tuple[float, float], ...] = ((0.0, 1.0),)

    def at(self, t_s: float) -> float:
        times, shares = zip(*self.points, strict=True)
        return float(np.interp(t_s, times, shares))


FULL = Growth()
"""Stays as large as it is."""


@dataclass(frozen=True, slots=True)
class Turn:
    """An object's angle: turns steadily, or rocks to and fro."""

    start_rad: float = 0.0
    rate_rad_s: float = 0.0
    rock_rad: float = 0.0
    rock_period_s: float = 3.0

    def at(self, t_s: float) -> float:
        rock = self.rock_rad * math.sin(2.0 * math.pi * t_s / self.rock_period_s)
        return self.start_rad + self.rate_rad_s * t_s + rock


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera that sways, shakes and zooms about the middle of the picture.

    Attributes:
        sway_px: Amplitude of the slow motion, x and y.
        period_s: Of the slow motion, x and y.
        shake_px: Amplitude of the tremble of a hand.
        zoom: Amplitude of the slow change of scale, 0.1 for 0.9 to 1.1.
        phase_rad: Where the motion begins; 0 at the middle, at full speed.
    """

    sway_px: tuple[float, float] = (0.0, 0.0)
    period_s: tuple[float, float] = (9.0, 7.0)
    shake_px: float = 0.0
    zoom: float = 0.0
    phase_rad: float = 0.0

    @property
    def reach_px(self) -> float:
        """How far from the middle the picture may be moved, at most."""
        return max(self.sway_px) + 2.0 * self.shake_px

    @property
    def still(self) -> bool:
        return self.reach_px == 0.0 and self.zoom == 0.0

    def at(self, t_s: float) -> tuple[float, float, float]:
        """Scale, and the shift x, y in pixels that follows it."""
        w = 2.0 * math.pi * t_s
        shift = [
            amplitude * math.sin(w / period + self.phase_rad)
            for amplitude, period in zip(self.sway_px, self.period_s, strict=True)
        ]
        shift[0] += self.shake_px * (math.sin(w * 2.3) + math.sin(w * 3.7 + 1.0))
        shift[1] += self.shake_px * (math.sin(w * 2.9 + 2.0) + math.sin(w * 3.1))
        return 1.0 + self.zoom * math.sin(w / 8.0 + self.phase_rad), shift[0], shift[1]


@dataclass(frozen=True, slots=True)
class Light:
    """Brightness over time: slow waves, and a lamp switched at times.

    Attributes:
        swing: Amplitude of the waves, 0.15 for 0.85 to 1.15.
        period_s: Of the waves.
        warmth: Amplitude of the change from cool to warm.
        switch_s: Every so often the lamp goes on or off; 0 for never.
        switch_gain: Brightness while it is off.
    """

    swing: float = 0.0
    period_s: float = 5.0
    warmth: float = 0.0
    switch_s: float = 0.0
    switch_gain: float = 0.7

    def at(self, t_s: float) -> tuple[float, float, float]:
        """Gains of red, green and blue."""
        wave = math.sin(2.0 * math.pi * t_s / self.period_s)
        gain = 1.0 + self.swing * wave
        if self.switch_s and int(t_s / self.switch_s) % 2:
            gain *= self.switch_gain
        warm = self.warmth * math.sin(2.0 * math.pi * t_s / (1.7 * self.period_s))
        return gain * (1.0 + warm), gain, gain * (1.0 - warm)
