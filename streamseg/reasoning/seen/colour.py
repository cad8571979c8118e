"""Names for colours that hold under shading: soft memberships in eleven basic terms and two more.

The terms are those of Berlin and Kay's basic colour terms, with cyan and beige added; memberships
are smooth functions of CIELAB hue, chroma over lightness, and lightness, tabulated once.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.types import Image

FloatArray = NDArray[np.float32]

NAMES = (
    "red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink",
    "brown", "beige", "white", "gray", "black",
)  # fmt: skip
INDEX = {name: i for i, name in enumerate(NAMES)}

_HUE_CENTRES = {  # degrees in CIELAB: from, to, the soft edge on either side
    "red": (14.0, 46.0),
    "orange": (48.0, 78.0),
    "yellow": (80.0, 109.0),
    "green": (113.0, 176.0),
    "cyan": (180.0, 227.0),
    "blue": (233.0, 306.0),
    "purple": (308.0, 334.0),
    "pink": (336.0, 372.0),
}
_SOFT_EDGE_DEG = 7.0

_KIN: dict[str, dict[str, float]] = {
    "red": {"red": 1.0, "pink": 0.3, "orange": 0.3, "brown": 0.15},
    "orange": {"orange": 1.0, "red": 0.25, "yellow": 0.3, "brown": 0.4, "beige": 0.2},
    "yellow": {"yellow": 1.0, "orange": 0.35, "beige": 0.3, "green": 0.15, "brown": 0.15},
    "green": {"green": 1.0, "cyan": 0.25, "yellow": 0.15},
    "cyan": {"cyan": 1.0, "green": 0.3, "blue": 0.3},
    "blue": {"blue": 1.0, "cyan": 0.35, "purple": 0.25},
    "purple": {"purple": 1.0, "blue": 0.3, "pink": 0.4},
    "pink": {"pink": 1.0, "purple": 0.4, "red": 0.3, "beige": 0.1},
    "brown": {"brown": 1.0, "orange": 0.4, "beige": 0.4, "red": 0.15, "black": 0.1},
    "beige": {"beige": 1.0, "brown": 0.4, "white": 0.3, "orange": 0.25, "yellow": 0.15},
    "gold": {"yellow": 1.0, "orange": 0.8, "brown": 0.5, "beige": 0.4},
    "silver": {"gray": 1.0, "white": 0.8, "black": 0.3},
    "white": {"white": 1.0, "gray": 0.25, "beige": 0.2},
    "gray": {"gray": 1.0, "white": 0.35, "black": 0.35},
    "black": {"black": 1.0, "gray": 0.3},
    "colourful": dict.fromkeys(NAMES[:8], 1.0),
}
"""For a colour word, how far each name answers to it: nobody draws the border in the same place."""


FAMILIES: tuple[tuple[str, ...], ...] = (
    *((name,) for name in NAMES),
    ("orange", "brown"),
    ("orange", "red"),
    ("orange", "yellow"),
    ("yellow", "brown", "beige"),
    ("brown", "black"),
    ("pink", "purple"),
    ("blue", "purple"),
    ("cyan", "blue"),
    ("green", "cyan"),
    ("white", "gray"),
    ("white", "beige"),
    ("white", "pink"),
    ("gray", "black"),
    ("white", "gray", "black"),
)
"""Names that one object's lit and shaded parts, or its two tones, may have."""


def _kinship() -> FloatArray:
    """(13, 13): a name counts also as the names that stand with it in a family."""
    near = np.eye(len(NAMES), dtype=np.float32)
    for family in FAMILIES:
        for one in family:
            for other in family:
                near[INDEX[one], INDEX[other]] = max(near[INDEX[one], INDEX[other]], 0.7)
    return near


KINSHIP = _kinship()
"""(13, 13) float32: how far each name may be another's lit or shaded side."""


def lightness(rgb: Image) -> FloatArray:
    """CIELAB as (..., 3) float32: L in [0, 100], a and b about zero; `rgb` (H, W, 3) uint8."""
    return np.asarray(cv2.cvtColor(rgb.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB), np.float32)


def name_shares(rgb: Image) -> NDArray[np.uint8]:
    """Membership of every pixel in every name of `NAMES`.

    Args:
        rgb: (H, W, 3) uint8.

    Returns:
        (H, W, 13) uint8, adding up to about 255 at each pixel.
    """
    fine = rgb >> 3
    index = (
        (fine[..., 0].astype(np.uint16) << 10)
        | (fine[..., 1].astype(np.uint16) << 5)
        | fine[..., 2]
    )
    shares: NDArray[np.uint8] = _table()[index]
    return shares


def word_weights(word: str) -> FloatArray:
    """(13,) float32: how far each name of `NAMES` answers to a colour word."""
    weights = np.zeros(len(NAMES), np.float32)
    for name, weight in _KIN[word].items():
        weights[INDEX[name]] = weight
    return weights


def kin_of(word: str) -> frozenset[str]:
    """The names that clearly answer to a colour word."""
    return frozenset(name for name, weight in _KIN[word].items() if weight >= 0.35)


@cache
def _table() -> NDArray[np.uint8]:
    levels = np.arange(32, dtype=np.uint8) * 8 + 4
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)
    lab = lightness(grid.reshape(1, -1, 3)).reshape(-1, 3)
    shares = _memberships(lab)
    return np.rint(shares * 255).astype(np.uint8)


def _memberships(lab: FloatArray) -> FloatArray:
    light = lab[:, 0]
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    hue = np.asarray(np.degrees(np.arctan2(lab[:, 2], lab[:, 1])) % 360.0, np.float32)
    saturation = chroma / (light + 12.0)
    # Slate and steel are gray to most people: cool hues need more saturation to count.
    least = 0.19 + 0.08 * _within(hue, 190.0, 300.0)
    coloured = _rise((saturation - least) / 0.035, 0.0, 1.0) * _rise(
        chroma - 5.0 * (1.0 - _rise(light, 30.0, 4.0)), 8.0, 1.5
    )
    shares = np.zeros((len(lab), len(NAMES)), np.float32)
    for name, (start, stop) in _HUE_CENTRES.items():
        shares[:, INDEX[name]] = _within(hue, start, stop)
    shares /= shares.sum(axis=1, keepdims=True) + 1e-6
    _split_by_lightness(shares, light, chroma, hue)
    shares *= coloured[:, None]
    grey = 1.0 - coloured
    dark, pale = 1.0 - _rise(light, 25.0, 3.0), _rise(light, 74.0, 3.0)
    shares[:, INDEX["white"]] += grey * pale
    shares[:, INDEX["black"]] += grey * dark
    shares[:, INDEX["gray"]] += grey * (1.0 - dark) * (1.0 - pale)
    very_dark = 1.0 - _rise(light + 0.25 * chroma, 14.0, 1.5)
    shares *= (1.0 - very_dark)[:, None]
    shares[:, INDEX["black"]] += very_dark
    total: FloatArray = shares / shares.sum(axis=1, keepdims=True)
    return total


def _split_by_lightness(
    shares: FloatArray, light: FloatArray, chroma: FloatArray, hue: FloatArray
) -> None:
    """Names that differ from their hue's by lightness: brown, beige, pale pink, deep purple."""
    earthy = _within(hue, 46.0, 83.0)
    dim = earthy * (1.0 - _rise(light + 0.25 * chroma, 66.0, 4.0))
    pale = _within(hue, 50.0, 104.0) * _rise(light, 66.0, 4.0) * (1.0 - _rise(chroma, 34.0, 4.0))
    _move(shares, ("orange", "yellow"), "brown", dim)
    _move(shares, ("orange", "yellow", "brown"), "beige", pale)
    pastel = _rise(light, 66.0, 4.0) * (1.0 - _rise(chroma, 52.0, 6.0))
    _move(shares, ("red",), "pink", pastel)
    _move(shares, ("purple",), "pink", _rise(light, 56.0, 4.0) * _within(hue, 322.0, 372.0))
    _move(shares, ("pink",), "purple", (1.0 - _rise(light, 40.0, 4.0)) * _within(hue, 300.0, 350.0))


def _move(shares: FloatArray, sources: tuple[str, ...], sink: str, amount: FloatArray) -> None:
    for source in sources:
        part = shares[:, INDEX[source]] * amount
        shares[:, INDEX[source]] -= part
        shares[:, INDEX[sink]] += part


def _rise(value: NDArray[np.floating[Any]], middle: float, width: float) -> FloatArray:
    """A smooth step from 0 to 1 about `middle`."""
    steps = np.clip((value - middle) / width, -40, 40)
    return np.asarray(1.0 / (1.0 + np.exp(-steps)), np.float32)


def _within(hue: FloatArray, start: float, stop: float) -> FloatArray:
    """1 inside a hue sector, falling smoothly outside; angles in degrees, wrapping at 360."""
    centre, half = (start + stop) / 2, (stop - start) / 2
    distance = np.abs((hue - centre + 180.0) % 360.0 - 180.0)
    return 1.0 - _rise(distance, half + 1.5, _SOFT_EDGE_DEG / 4)
