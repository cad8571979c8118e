"""The vocabulary of the scenes: colours, shapes, sizes and the words people use for them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

Rgb = tuple[int, int, int]

COLOURS: Mapping[str, Rgb] = MappingProxyType(
    {
        "red": (208, 38, 40),
        "orange": (242, 128, 26),
        "yellow": (240, 208, 44),
        "green": (52, 160, 66),
        "cyan": (44, 196, 208),
        "blue": (40, 86, 208),
        "purple": (128, 58, 180),
        "pink": (242, 134, 184),
        "white": (240, 240, 236),
        "black": (30, 30, 34),
        "gray": (128, 128, 130),
        "brown": (122, 74, 38),
    }
)

SHAPE_NOUNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "disc": ("ball", "disc", "circle"),
        "square": ("square",),
        "triangle": ("triangle",),
        "star": ("star",),
        "ring": ("ring",),
        "ellipse": ("ellipse", "oval"),
        "blob": (),
    }
)
"""A shape's nouns; a blob has none and is only ever called an object."""

SIZES = ("small", "medium", "large")

_LIKE_COLOURS = (
    {"red", "orange"},
    {"red", "pink"},
    {"red", "brown"},
    {"red", "purple"},
    {"orange", "yellow"},
    {"orange", "brown"},
    {"yellow", "brown"},
    {"green", "cyan"},
    {"cyan", "blue"},
    {"blue", "purple"},
    {"purple", "pink"},
    {"white", "gray"},
    {"black", "gray"},
    {"black", "brown"},
    {"gray", "brown"},
)
_LIKE_SHAPES = (
    {"disc", "ellipse"},
    {"disc", "ring"},
    {"disc", "blob"},
    {"ellipse", "blob"},
    {"ellipse", "ring"},
    {"triangle", "star"},
)


def alike_colours(first: str, second: str) -> bool:
    """Whether two colour names are the same, or two people might disagree about them."""
    return first == second or {first, second} in _LIKE_COLOURS


def alike_shapes(first: str, second: str) -> bool:
    """Whether two shapes are the same, or easily taken for one another."""
    return first == second or {first, second} in _LIKE_SHAPES


def plural(noun: str) -> str:
    """The plural of any noun of ours: "discs", "boxes"."""
    return noun + ("es" if noun.endswith(("s", "x", "ch")) else "s")
