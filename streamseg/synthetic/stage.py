"""Draws a moment of a scene: picture and exact masks. Knows nothing of names and sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.synthetic.motion import FULL, Camera, Growth, Light, Path, Turn
from streamseg.synthetic.sprites import Look, Sprite
from streamseg.types import Image, Labels

_SHADOW_SHIFT = (0.16, 0.24)
_NOISE_SLACK = 64


@dataclass(frozen=True, slots=True, eq=False)
class SceneObject:
    """One object of a scene.

    Attributes:
        id: Its value in the labels, from 1.
        size: "small", "medium" or "large".
        motion: "still", "slow", "fast", "circling" or "leaving", as it was cast.
        path: Of its centre, in pixels of the picture that a resting camera sees.
        grows: How large it is drawn at a time, of its full size.
    """

    id: int
    look: Look
    sprite: Sprite
    size: str
    motion: str
    path: Path
    turn: Turn
    grows: Growth = FULL

    @property
    def shape(self) -> str:
        return self.look.shape

    @property
    def colour(self) -> str:
        return self.look.colour

    @property
    def material(self) -> str:
        return self.look.material

    @property
    def radius_px(self) -> float:
        return self.look.radius_px


class Stage:
    """A ground, a camera, a light and the noise of a sensor; objects are drawn onto it."""

    def __init__(
        self,
        ground: Image,
        size: tuple[int, int],
        camera: Camera,
        light: Light,
        noise: float,
        seed: int,
    ) -> None:
        """Args:
        ground: Larger than the picture by `margins` on each side.
        size: Width and height of the picture.
        noise: Deviation of the sensor's noise, in grey levels.
        """
        self._ground = ground
        self._size = size
        self._camera = camera
        self._light = light
        self._seed = seed
        self._noise = _noise_bank(size, noise, seed) if noise else None

    @property
    def camera(self) -> Camera:
        return self._camera

    def draw(self, objects: Sequence[SceneObject], t_s: float, index: int) -> tuple[Image, Labels]:
        """Draw `objects`, the hindmost first.

        Returns:
            (H, W, 3) uint8 RGB, and (H, W) uint16 ids: the object that covers most of the pixel.
        """
        view = self._camera.at(t_s)
        image = self._crop(view)
        labels = np.zeros(image.shape[:2], np.uint16)
        poses = [
            (item, _on_screen(item.path.at(t_s)[0], view, self._size), item.turn.at(t_s))
            for item in objects
        ]
        scales = [view[0] * item.grows.at(t_s) for item in objects]
        for (item, (x, y), angle), scale in zip(poses, scales, strict=True):
            _cast_shadow(image, item.sprite, x, y, angle, scale, item.radius_px)
        for (item, (x, y), angle), scale in zip(poses, scales, strict=True):
            _paste(image, labels, item, x, y, angle, scale)
        return self._expose(image, t_s, index), labels

    def _crop(self, view: tuple[float, float, float]) -> Image:
        width, height = self._size
        margin_x, margin_y = margins(self._size, self._camera)
        if self._camera.still:
            return self._ground[margin_y : margin_y + height, margin_x : margin_x + width].copy()
        zoom, dx, dy = view
        matrix = np.asarray(
            [
                [zoom, 0.0, dx + width / 2 - zoom * (width / 2 + margin_x)],
                [0.0, zoom, dy + height / 2 - zoom * (height / 2 + margin_y)],
            ]
        )
        return np.asarray(cv2.warpAffine(self._ground, matrix, self._size, flags=cv2.INTER_LINEAR))

    def _expose(self, image: Image, t_s: float, index: int) -> Image:
        gains = self._light.at(t_s)
        if gains != (1.0, 1.0, 1.0):
            ramp = np.arange(256)[:, None] * np.asarray(gains)
            image = np.asarray(
                cv2.LUT(image, np.clip(ramp, 0, 255).astype(np.uint8)[None]), np.uint8
            )
        if self._noise is not None:
            width, height = self._size
            x, y = np.random.default_rng([self._seed, index]).integers(0, _NOISE_SLACK, 2)
            cv2.add(image, self._noise[y : y + height, x : x + width], dst=image, dtype=cv2.CV_8U)
        return image


def margins(size: tuple[int, int], camera: Camera) -> tuple[int, int]:
    """How much larger than the picture a ground must be on each side, x and y, in pixels."""
    if camera.still:
        return 0, 0
    least = 1.0 - camera.zoom
    width, height = (math.ceil((s / 2 + camera.reach_px) / least - s / 2) + 2 for s in size)
    return width, height


def _noise_bank(size: tuple[int, int], deviation: float, seed: int) -> NDArray[np.int8]:
    rng = np.random.default_rng([seed, 7])
    shape = (size[1] + _NOISE_SLACK, size[0] + _NOISE_SLACK, 3)
    bank = rng.standard_normal(shape, dtype=np.float32) * deviation
    return np.clip(np.round(bank), -127, 127).astype(np.int8)


def _on_screen(
    place: NDArray[np.float64], view: tuple[float, float, float], size: tuple[int, int]
) -> tuple[float, float]:
    zoom, dx, dy = view
    x = zoom * (place[0] - size[0] / 2) + size[0] / 2 + dx
    y = zoom * (place[1] - size[1] / 2) + size[1] / 2 + dy
    return float(x), float(y)


@dataclass(frozen=True, slots=True)
class _Patch:
    """The part of the picture that a sprite falls on, and the way there."""

    rows: slice
    columns: slice
    matrix: NDArray[np.float64]

    @property
    def size(self) -> tuple[int, int]:
        return self.columns.stop - self.columns.start, self.rows.stop - self.rows.start


def _patch(
    picture: tuple[int, int], side: int, x: float, y: float, angle: float, zoom: float
) -> _Patch | None:
    """Where a (side, side) sprite centred on (x, y) falls in a (H, W) picture; None for outside."""
    half = side // 2
    reach = half * zoom + 1.0
    x0, x1 = max(0, math.floor(x - reach)), min(picture[1], math.ceil(x + reach) + 1)
    y0, y1 = max(0, math.floor(y - reach)), min(picture[0], math.ceil(y + reach) + 1)
    if x0 >= x1 or y0 >= y1:
        return None
    c, s = zoom * math.cos(angle), zoom * math.sin(angle)
    matrix = np.asarray(
        [[c, -s, x - x0 - c * half + s * half], [s, c, y - y0 - s * half - c * half]]
    )
    return _Patch(slice(y0, y1), slice(x0, x1), matrix)


def _cast_shadow(
    image: Image, sprite: Sprite, x: float, y: float, angle: float, zoom: float, radius: float
) -> None:
    x, y = x + _SHADOW_SHIFT[0] * radius * zoom, y + _SHADOW_SHIFT[1] * radius * zoom
    patch = _patch(image.shape[:2], sprite.shadow.shape[0], x, y, angle, zoom)
    if patch is None:
        return
    shade = cv2.warpAffine(sprite.shadow, patch.matrix, patch.size, flags=cv2.INTER_LINEAR)
    light = cv2.cvtColor(255 - shade, cv2.COLOR_GRAY2RGB)
    region = image[patch.rows, patch.columns]
    cv2.multiply(region, light, dst=region, scale=1.0 / 255.0)


def _paste(
    image: Image, labels: Labels, item: SceneObject, x: float, y: float, angle: float, zoom: float
) -> None:
    patch = _patch(labels.shape, item.sprite.side, x, y, angle, zoom)
    if patch is None:
        return
    lit = cv2.warpAffine(item.sprite.lit(angle), patch.matrix, patch.size, flags=cv2.INTER_LINEAR)
    alpha = np.ascontiguousarray(lit[..., 3])
    behind = cv2.cvtColor(255 - alpha, cv2.COLOR_GRAY2RGB)
    region = image[patch.rows, patch.columns]
    cv2.multiply(region, behind, dst=region, scale=1.0 / 255.0)
    cv2.add(region, cv2.cvtColor(lit, cv2.COLOR_BGRA2BGR), dst=region)
    labels[patch.rows, patch.columns][alpha >= 128] = item.id
