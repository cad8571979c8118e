"""What one object looks like: an outline, filled and lit. Knows no place and no time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.synthetic import shapes
from streamseg.synthetic.sentences.words import COLOURS
from streamseg.types import Image

MATERIALS = ("plain", "striped", "dotted", "speckled", "checked")

_LIGHT = np.asarray([-0.46, -0.62, 0.63])
_LIGHT_STEPS = 24
_SHADOW_BLUR = 0.16


@dataclass(frozen=True, slots=True)
class Look:
    """An object's appearance, drawn the same way from the same `seed`.

    Attributes:
        shape: A key of `words.SHAPE_NOUNS`.
        colour: A key of `words.COLOURS`.
        material: One of `MATERIALS`; its second tone is a shade of the same colour.
        radius_px: Of the circle that the shape's size is counted by.
        seed: Draws the blob's outline, the material and small changes of colour.
    """

    shape: str
    colour: str
    material: str
    radius_px: float
    seed: int


class Sprite:
    """A look, drawn once, and lit anew as it turns.

    Attributes:
        side: Its pictures are (side, side).
        shadow: (side + 2 · pad, …) uint8, a soft darkness to fall on the ground.
        pad: How far the shadow reaches past the sprite, in pixels.
        area_px: Pixels that it covers by more than half.
    """

    def __init__(self, look: Look, fill: Image | None = None) -> None:
        """Draw `look`, filled with `fill` (any size) in place of its material when given."""
        rng = np.random.default_rng(look.seed)
        self._alpha = shapes.coverage(look.shape, look.radius_px, rng)
        self.side = int(self._alpha.shape[0])
        self.area_px = int(np.count_nonzero(self._alpha >= 128))
        self._albedo = (
            _fitted(fill, self.side) if fill is not None else _paint(look, self.side, rng)
        )
        self._normals = _normals(self._alpha, look)
        self._gloss = 0.55 if look.material == "plain" else 0.3
        self._lit: dict[int, NDArray[np.uint8]] = {}
        self.pad = math.ceil(look.radius_px * _SHADOW_BLUR * 3)
        padded = cv2.copyMakeBorder(self._alpha, *(self.pad,) * 4, cv2.BORDER_CONSTANT, value=0)
        blurred = cv2.GaussianBlur(padded, (0, 0), look.radius_px * _SHADOW_BLUR + 0.5)
        self.shadow = np.asarray(blurred // 2, np.uint8)

    def lit(self, angle_rad: float) -> NDArray[np.uint8]:
        """Return (side, side, 4) uint8: colour times coverage, and coverage.

        The picture is in the sprite's own frame; the light stands still while the sprite turns,
        in steps of 15 degrees.
        """
        step = round(angle_rad * _LIGHT_STEPS / (2.0 * math.pi)) % _LIGHT_STEPS
        if step not in self._lit:
            self._lit[step] = self._light(2.0 * math.pi * step / _LIGHT_STEPS)
        return self._lit[step]

    def _light(self, angle_rad: float) -> NDArray[np.uint8]:
        c, s = math.cos(angle_rad), math.sin(angle_rad)
        light = np.asarray(
            [c * _LIGHT[0] + s * _LIGHT[1], c * _LIGHT[1] - s * _LIGHT[0], _LIGHT[2]]
        )
        half = light + np.asarray([0.0, 0.0, 1.0])
        half /= np.linalg.norm(half)
        diffuse = 0.60 + 0.52 * (self._normals @ light)
        shine = self._gloss * np.clip(self._normals @ half, 0.0, 1.0) ** 40
        colour = self._albedo * np.clip(diffuse, 0.45, 1.2)[..., None] + 255.0 * shine[..., None]
        cover = self._alpha[..., None] / 255.0
        premultiplied = np.clip(colour, 0, 255) * cover
        return np.dstack([premultiplied, self._alpha]).round().astype(np.uint8)


def _normals(alpha: NDArray[np.uint8], look: Look) -> NDArray[np.float64]:
    """(S, S, 3) unit normals of a dome (a ball) or of a flat top with a round bevel."""
    inside = np.pad((alpha >= 128).astype(np.uint8), 1)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    bevel = look.radius_px * {"disc": 1.0, "ellipse": 0.76, "ring": 0.26}.get(look.shape, 0.34)
    rise = np.clip(depth / bevel, 0.0, 1.0)
    height = bevel * np.sqrt(np.clip(1.0 - (1.0 - rise) ** 2, 0.0, 1.0))
    height = cv2.GaussianBlur(height, (0, 0), max(0.8, look.radius_px * 0.05))
    dy, dx = np.gradient(height.astype(np.float64))
    normals = np.dstack([-dx, -dy, np.ones_like(dx)])
    return np.asarray(normals / np.linalg.norm(normals, axis=2, keepdims=True))


def _paint(look: Look, side: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(S, S, 3) colours before light, 0 to 255."""
    base = np.asarray(COLOURS[look.colour], np.float64) * rng.uniform(0.95, 1.04)
    base = np.clip(base + rng.uniform(-5, 5, 3), 0, 255)
    lighter = base + 0.2 * (255.0 - base)
    darker = base * 0.62
    second = lighter if base.mean() < 70 else darker
    share = _pattern(look, side, rng)[..., None]
    return np.asarray(base * (1.0 - share) + second * share)


def _pattern(look: Look, side: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(S, S) share of the second tone, 0 to 1."""
    y, x = (np.mgrid[:side, :side] - side // 2) / look.radius_px
    angle = rng.uniform(0, math.pi)
    u = x * math.cos(angle) + y * math.sin(angle)
    v = y * math.cos(angle) - x * math.sin(angle)
    pitch = rng.uniform(0.42, 0.62)
    sharp = look.radius_px * pitch / 3.0
    if look.material == "striped":
        return _edge(np.sin(2 * math.pi * u / pitch), sharp)
    if look.material == "checked":
        return _edge(np.sin(math.pi * u / pitch) * np.sin(math.pi * v / pitch) * 2.0, sharp)
    if look.material == "dotted":
        du, dv = u / pitch % 1.0 - 0.5, v / pitch % 1.0 - 0.5
        return _edge((0.3 - np.hypot(du, dv)) * 4.0, sharp)
    if look.material == "speckled":
        grain = cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), look.radius_px * 0.05)
        return _edge(grain / grain.std() - 0.4, 1.5) * 0.8
    return np.zeros((side, side))


def _edge(signed: NDArray[np.float64], sharpness: float) -> NDArray[np.float64]:
    return np.asarray(np.clip(0.5 + signed * max(sharpness, 1.0) * 0.5, 0.0, 1.0))


def _fitted(fill: Image, side: int) -> NDArray[np.float64]:
    return np.asarray(cv2.resize(fill, (side, side), interpolation=cv2.INTER_AREA), np.float64)
