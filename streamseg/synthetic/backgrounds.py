"""Grounds for the objects to move on: wood, tiles, plaster, grass, sand, cloth, a landscape."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.types import Image

Field = NDArray[np.float64]
"""(H, W) values."""


def clouds(height: int, width: int, scale_px: float, rng: np.random.Generator) -> Field:
    """Fractal noise of mean 0 and deviation 1; its largest waves are `scale_px` long."""
    total = np.zeros((height, width))
    weight = 1.0
    while scale_px >= 1.5:
        grid = rng.standard_normal(
            (math.ceil(height / scale_px) + 3, math.ceil(width / scale_px) + 3)
        )
        big = (math.ceil(grid.shape[1] * scale_px), math.ceil(grid.shape[0] * scale_px))
        total += weight * cv2.resize(grid, big, interpolation=cv2.INTER_CUBIC)[:height, :width]
        weight *= 0.55
        scale_px /= 2.0
    total -= total.mean()
    return np.asarray(total / max(float(total.std()), 1e-9))


def _mix(low: tuple[int, int, int], high: tuple[int, int, int], share: Field) -> Field:
    a, b = np.asarray(low, np.float64), np.asarray(high, np.float64)
    return np.asarray(a + (b - a) * np.clip(share, 0.0, 1.0)[..., None])


def _plaster(h: int, w: int, unit: float, rng: np.random.Generator) -> Field:
    tones = [
        ((186, 180, 170), (214, 209, 200)),
        ((150, 160, 170), (182, 190, 198)),
        ((158, 154, 146), (192, 188, 180)),
        ((118, 124, 130), (148, 154, 160)),
    ]
    low, high = tones[rng.integers(len(tones))]
    share = 0.5 + 0.16 * clouds(h, w, 180 * unit, rng) + 0.10 * clouds(h, w, 6 * unit, rng)
    return _mix(low, high, share)


def _wood(h: int, w: int, unit: float, rng: np.random.Generator) -> Field:
    plank = max(8, round(rng.uniform(52, 74) * unit))
    rows = np.arange(h) // plank
    tone = rng.normal(0.0, 0.13, rows.max() + 1)[rows][:, None]
    grain = cv2.resize(
        clouds(h, max(w // 14, 8), 20 * unit, rng), (w, h), interpolation=cv2.INTER_LINEAR
    )
    wide = cv2.resize(
        clouds(h, max(w // 6, 8), 60 * unit, rng), (w, h), interpolation=cv2.INTER_LINEAR
    )
    wave = np.sin(wide * 5.0 + np.arange(h)[:, None] / (2.6 * unit))
    image = _mix((128, 96, 66), (186, 152, 114), 0.5 + tone + 0.10 * grain + 0.07 * wave)
    image[np.arange(h) % plank < max(1, round(1.4 * unit))] *= 0.55
    for row in range(int(rows.max()) + 1):
        for seam in rng.integers(0, w, 2):
            image[row * plank : (row + 1) * plank, seam : seam + max(1, round(1.3 * unit))] *= 0.6
    return image


def _tiles(h: int, w: int, unit: float, rng: np.random.Generator) -> Field:
    pairs = [
        ((96, 116, 134), (132, 150, 166)),
        ((150, 140, 126), (186, 176, 162)),
        ((120, 134, 124), (156, 168, 158)),
    ]
    low, high = pairs[rng.integers(len(pairs))]
    side = max(10, round(rng.uniform(58, 92) * unit))
    y, x = np.arange(h)[:, None], np.arange(w)[None, :]
    tone = rng.uniform(-0.22, 0.22, (h // side + 1, w // side + 1))[y // side, x // side]
    image = _mix(low, high, 0.5 + tone + 0.09 * clouds(h, w, 40 * unit, rng))
    grout = max(1.0, 1.6 * unit)
    edge = np.minimum(np.minimum(x % side, side - x % side), np.minimum(y % side, side - y % side))
    image *= np.where(edge < grout, 0.62, np.where(edge < 2.2 * grout, 1.07, 1.0))[..., None]
    return image


def _grass(h: int, w: int, unit: float, rng: np.random.Generator) -> Field:
    blades = cv2.resize(
        rng.standard_normal((max(h // 5, 8), w)), (w, h), interpolation=cv2.INTER_CUBIC
    )
    blades = cv2.GaussianBlur(blades, (0, 0), 0.6 + 0.5 * unit)
    share = 0.45 + 0.16 * clouds(h, w, 110 * unit, rng) + 0.22 * blades / blades.std()
    return _mix((58, 82, 40), (124, 146, 78), share)


def _sand(h: int, w: int, unit: float, rng: np.random.Generator) -> Field:
    bend = clouds(h, w, 160 * unit, rng)
    ripple = np.sin((np.arange(h)[:, None] * 1.0 / (7.0 * unit)) + 2.4 * bend)
    grain = rng.standard_normal((h, w))
    share = 0.5 + 0.12 * bend + 0.16 * ripple + 0.08 * grain
    return _mix((168, 148, 116), (214, 196, 164), share)


def _cloth(h: int, w: int, unit: float, rng: np.random.Generator) -> Field:
    pairs = [
        ((70, 78, 96), (104, 112, 130)),
        ((110, 92, 96), (146, 128, 130)),
        ((92, 104, 98), (126, 138, 132)),
    ]
    low, high = pairs[rng.integers(len(pairs))]
    pitch = 5.0 * unit
    y, x = np.arange(h)[:, None], np.arange(w)[None, :]
    over = ((x // pitch).astype(int) + (y // pitch).astype(int)) % 2
    thread = np.where(
        over, np.sin(math.pi * (x % pitch) / pitch), np.sin(math.pi * (y % pitch) / pitch)
    )
    folds = clouds(h, w, 240 * unit, rng)
    return _mix(low, high, 0.25 + 0.3 * thread + 0.2 * folds + 0.05 * rng.standard_normal((h, w)))


def _landscape(h: int, w: int, unit: float, rng: np.random.Generator) -> Field:
    y = np.arange(h)[:, None] / h
    sky = _mix((104, 150, 200), (206, 220, 230), np.broadcast_to(y / 0.6, (h, w)))
    cloud = np.clip(clouds(h, w, 150 * unit, rng) * 0.6 - 0.25 + 0.4 * (0.4 - y), 0.0, 0.85)
    image = sky + (np.asarray([240.0, 240, 242]) - sky) * cloud[..., None]
    for level, low, high in (
        (0.50, (104, 124, 128), (130, 148, 150)),
        (0.60, (78, 102, 84), (106, 128, 100)),
        (0.72, (92, 116, 62), (136, 152, 92)),
    ):
        x = np.arange(w) / (w * rng.uniform(0.8, 1.2))
        ridge = (
            level
            + 0.05 * np.sin(5 * x + rng.uniform(0, 6))
            + 0.025 * np.sin(13 * x + rng.uniform(0, 6))
        )
        ground = _mix(low, high, 0.5 + 0.2 * clouds(h, w, 40 * unit, rng))
        share = np.clip((y - ridge[None, :]) * h / 1.5 + 0.5, 0.0, 1.0)[..., None]
        image = image * (1.0 - share) + ground * share
    return np.asarray(image)


_PAINTERS: dict[str, Callable[[int, int, float, np.random.Generator], Field]] = {
    "plaster": _plaster,
    "cloth": _cloth,
    "tiles": _tiles,
    "sand": _sand,
    "wood": _wood,
    "grass": _grass,
    "landscape": _landscape,
}

BACKGROUNDS = tuple(_PAINTERS)
"""Names of the grounds, plain ones first."""

HIDDEN_COLOURS: dict[str, tuple[str, ...]] = {
    "plaster": ("gray", "white"),
    "cloth": ("gray", "black"),
    "tiles": ("gray", "white"),
    "sand": ("brown", "white", "gray", "yellow", "orange"),
    "wood": ("brown", "orange", "gray"),
    "grass": ("green", "brown", "black", "yellow", "gray"),
    "landscape": ("green", "gray", "white", "blue", "cyan", "brown"),
}
"""Colours that would be lost on a ground: not given to objects on it."""


def paint(name: str, height: int, width: int, unit: float, rng: np.random.Generator) -> Image:
    """Paint a ground.

    Args:
        name: One of `BACKGROUNDS`.
        unit: Pixels per pixel of a 640×360 picture, so that textures scale with the picture.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    image = _PAINTERS[name](height, width, unit, rng)
    y = np.linspace(-1.0, 1.0, height)[:, None]
    x = np.linspace(-1.0, 1.0, width)[None, :]
    pool_of_light = 1.07 - 0.22 * ((x + 0.25) ** 2 + (y + 0.3) ** 2) / 2.0
    return np.clip(image * pool_of_light[..., None], 0, 255).astype(np.uint8)
