"""The pattern on a region at the picture's own resolution: stripes, dots, checks or none."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from streamseg.types import Image, Mask


@dataclass(frozen=True, slots=True)
class Texture:
    """Attributes, all in [0, 1]:

    contrast: Standard deviation of lightness, shading taken out, as a share of its mean.
    parallel: How far the gradients share one direction (structure tensor coherence).
    crossed: How far they share two directions at right angles.
    dark: Share of the darker of two tones.
    spots: Share of the darker or the lighter tone that lies in small round patches.
    """

    contrast: float
    parallel: float
    crossed: float
    dark: float
    spots: float


NONE = Texture(0.0, 0.0, 0.0, 0.5, 0.0)


def describe(image: Image, x0: int, y0: int, mask: Mask, scale: tuple[float, float]) -> Texture:
    """Measure the region `mask`, which lies at (x0, y0) in pixels `scale` times the image's."""
    left, top = round(x0 * scale[0]), round(y0 * scale[1])
    right = min(round((x0 + mask.shape[1]) * scale[0]), image.shape[1])
    bottom = min(round((y0 + mask.shape[0]) * scale[1]), image.shape[0])
    if right - left < 8 or bottom - top < 8:
        return NONE
    crop = image[top:bottom, left:right]
    big = cv2.resize(mask.astype(np.uint8), (right - left, bottom - top), interpolation=0)
    depth = cv2.distanceTransform(cv2.copyMakeBorder(big, 1, 1, 1, 1, 0), cv2.DIST_L2, 3)[
        1:-1, 1:-1
    ]
    inner = depth > max(2.0, 0.35 * float(depth.max()))
    if np.count_nonzero(inner) < 40:
        return NONE
    gray = cv2.GaussianBlur(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (0, 0), 1.0).astype(np.float32)
    return _measure(gray, big.astype(np.float32), inner, float(depth.max()))


def _measure(
    gray: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    inside: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    inner: Mask,
    radius: float,
) -> Texture:
    """Divide the slow shading out, then look at what is left."""
    sigma = max(4.0, 0.55 * radius)
    slow = cv2.GaussianBlur(gray * inside, (0, 0), sigma) / (
        cv2.GaussianBlur(inside, (0, 0), sigma) + 1e-3
    )
    flat = gray / (slow + 8.0)
    values = flat[inner]
    spread = float(values.std())
    gx, gy = cv2.Sobel(flat, cv2.CV_32F, 1, 0)[inner], cv2.Sobel(flat, cv2.CV_32F, 0, 1)[inner]
    energy = gx * gx + gy * gy
    turn = 2.0 * np.arctan2(gy, gx)
    total = float(energy.sum()) + 1e-6
    parallel = abs(complex((energy * np.exp(1j * turn)).sum())) / total
    crossed = abs(complex((energy * np.exp(2j * turn)).sum())) / total
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-3:
        return NONE
    levels = ((values - low) * (255.0 / (high - low))).astype(np.uint8).reshape(1, -1)
    cut, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_OTSU)
    dark = levels <= cut
    smooth = cv2.GaussianBlur(flat, (0, 0), max(0.06 * radius, 0.5))
    level = low + (high - low) * cut / 255.0
    darker = (smooth <= level) & inner
    spots = max(_spots(darker, inner), _spots(inner & ~darker, inner))
    return Texture(spread, parallel, crossed, float(dark.mean()), spots)


def _spots(tone: Mask, inner: Mask) -> float:
    """Share of a tone's pixels in small round patches, of which there are at least two."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(tone.astype(np.uint8), connectivity=4)
    area, total = stats[1:count, cv2.CC_STAT_AREA].astype(float), int(np.count_nonzero(inner))
    width, height = stats[1:count, cv2.CC_STAT_WIDTH], stats[1:count, cv2.CC_STAT_HEIGHT]
    fill = area / (width * height)
    ratio = np.maximum(width, height) / np.minimum(width, height)
    spot = (area > 0.008 * total) & (area < 0.16 * total) & (ratio < 1.45) & (fill > 0.62)
    if np.count_nonzero(spot) < 2:
        return 0.0
    return float(area[spot].sum() / max(area.sum(), 1.0))


def _rise(value: float, middle: float, width: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-40.0, min(40.0, (value - middle) / width))))


def answers_to(texture: Texture, word: str) -> float | None:
    """Membership in [0, 1] in a canonical texture word of the lexicon; None without a measure."""
    patterned = _rise(texture.contrast, 0.115, 0.01)
    halves = 1.0 - _rise(abs(texture.dark - 0.5), 0.13, 0.02)
    one_way = _rise(texture.parallel, 0.52, 0.05)
    two_ways = _rise(texture.crossed, 0.32, 0.05) * (1.0 - one_way) * halves
    spotted = 0.4 + 0.6 * _rise(texture.spots, 0.1, 0.03)
    measures = {
        "striped": patterned * one_way * (0.3 + 0.7 * halves),
        "checkered": patterned * two_ways,
        "dotted": patterned * (1.0 - one_way) * (1.0 - two_ways) * spotted,
        "plain": 1.0 - patterned,
        "textured": patterned,
    }
    return measures.get(word)
