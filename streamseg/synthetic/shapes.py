"""Outlines of the objects as anti-aliased coverage; knows nothing of colour."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

_SUPERSAMPLE = 8

Outline = NDArray[np.float64]
"""(N, 2) vertices of a closed polygon; a radius of 1 around the origin."""


def coverage(shape: str, radius_px: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a shape centred in a square picture.

    Args:
        radius_px: Of the circle that the shape's size is counted by; a star reaches past it.
        rng: Draws the outline of a blob; the other shapes do not use it.

    Returns:
        (S, S) uint8, 255 where the shape covers the pixel fully; S is odd, with a clear border.
    """
    half = math.ceil(radius_px * _REACH[shape]) + 3
    side = 2 * half + 1
    canvas = np.zeros((side * _SUPERSAMPLE, side * _SUPERSAMPLE), np.uint8)
    for outline, value in _outlines(shape, rng):
        # Pixel centres lie at whole numbers, so the middle of the middle pixel is `half`.
        vertices = (outline * radius_px + half + 0.5) * _SUPERSAMPLE - 0.5
        fixed_point = np.round(vertices * 16).astype(np.int32)
        cv2.fillPoly(canvas, [fixed_point], value, cv2.LINE_8, 4)
    small = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


_REACH = {
    "disc": 1.0,
    "square": 1.3,
    "triangle": 1.4,
    "star": 1.35,
    "ring": 1.1,
    "ellipse": 1.4,
    "blob": 1.4,
}


def reach(shape: str) -> float:
    """How far from its centre a shape may reach, in radii."""
    return _REACH[shape]


def _outlines(shape: str, rng: np.random.Generator) -> list[tuple[Outline, int]]:
    if shape == "disc":
        return [(_ellipse(1.0, 1.0), 255)]
    if shape == "ellipse":
        return [(_ellipse(1.35, 0.76), 255)]
    if shape == "ring":
        return [(_ellipse(1.1, 1.1), 255), (_ellipse(0.6, 0.6), 0)]
    if shape == "square":
        return [(_rounded(_polygon([1.26] * 4, math.pi / 4)), 255)]
    if shape == "triangle":
        return [(_rounded(_polygon([1.36] * 3, -math.pi / 2)), 255)]
    if shape == "star":
        return [(_rounded(_polygon([1.34, 0.62] * 5, -math.pi / 2), 0.04), 255)]
    return [(_blob(rng), 255)]


def _ellipse(a: float, b: float) -> Outline:
    angles = np.linspace(0.0, 2.0 * math.pi, 96, endpoint=False)
    return np.stack([a * np.cos(angles), b * np.sin(angles)], axis=1)


def _polygon(radii: list[float], first_angle: float) -> Outline:
    angles = first_angle + 2.0 * math.pi * np.arange(len(radii)) / len(radii)
    return np.asarray(
        np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.asarray(radii)[:, None]
    )


def _rounded(corners: Outline, radius: float = 0.12) -> Outline:
    """Replace each corner by a short quadratic curve, as a moulded toy has it."""
    points: list[NDArray[np.float64]] = []
    for before, corner, after in zip(
        np.roll(corners, 1, 0), corners, np.roll(corners, -1, 0), strict=True
    ):
        start = corner + _towards(corner, before) * radius
        end = corner + _towards(corner, after) * radius
        s = np.linspace(0.0, 1.0, 6)[:, None]
        points.append((1 - s) ** 2 * start + 2 * s * (1 - s) * corner + s**2 * end)
    return np.concatenate(points)


def _towards(origin: Outline, goal: Outline) -> Outline:
    step = goal - origin
    return np.asarray(step / np.linalg.norm(step))


def _blob(rng: np.random.Generator) -> Outline:
    angles = np.linspace(0.0, 2.0 * math.pi, 96, endpoint=False)
    radius = np.ones_like(angles)
    # Hardly any of the fifth wave, or it would pass for a star.
    for wave, most in ((2, 0.15), (3, 0.13), (5, 0.04)):
        height = rng.uniform(0.5, 1.0) * most
        radius += height * np.cos(wave * angles + rng.uniform(0, 2 * math.pi))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius[:, None]
