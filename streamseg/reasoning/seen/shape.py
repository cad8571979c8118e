"""What a region's outline looks like: fits of simple figures, and the words they answer to."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.types import Mask

_ENLARGE = 3
_RAYS = 72


@dataclass(frozen=True, slots=True)
class Shape:
    """How well simple figures fit the filled outline, all in [0, 1] but the ratios.

    Attributes:
        ellipse: IoU with the ellipse of the same second moments.
        rectangle: Share of the smallest rectangle around it that it fills.
        triangle: Share of the smallest triangle around it that it fills.
        solidity: Share of its convex hull that it fills.
        hole: Share of the filled outline that is a hole.
        elongation: Long over short axis, at least 1.
        upright: Height over width of the upright box.
        arms: Peaks of the outline's distance from its centre.
    """

    ellipse: float
    rectangle: float
    triangle: float
    solidity: float
    hole: float
    elongation: float
    upright: float
    arms: int


def describe(mask: Mask) -> Shape:
    """Measure a cropped mask (h, w) bool with at least one pixel."""
    height, width = mask.shape
    padded = np.pad(mask.astype(np.uint8) * 255, 2)
    big = cv2.resize(padded, None, fx=_ENLARGE, fy=_ENLARGE, interpolation=cv2.INTER_CUBIC)
    solid = (cv2.GaussianBlur(big, (0, 0), 1.5) > 127).astype(np.uint8)
    # Whiskers (a seam in the ground, a bit of shadow) are no part of the shape.
    brush = 1 + 2 * round(0.04 * _ENLARGE * math.sqrt(float(np.count_nonzero(mask))))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (brush, brush))
    opened = np.asarray(cv2.morphologyEx(solid, cv2.MORPH_OPEN, disc), np.uint8)
    solid = opened if opened.any() else solid
    contours, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return Shape(0, 0, 0, 0, 0, max(height, width) / min(height, width), height / width, 0)
    contour = np.asarray(max(contours, key=cv2.contourArea), np.int32)
    filled = np.zeros_like(solid)
    cv2.drawContours(filled, [contour], -1, 1, cv2.FILLED)
    area = float(filled.sum())
    hull = float(cv2.contourArea(cv2.convexHull(contour))) + 1.0
    (_, (side_a, side_b), _) = cv2.minAreaRect(contour)
    triangle, _ = cv2.minEnclosingTriangle(contour.astype(np.float32))
    ellipse, elongation, centre = _moment_ellipse(filled)
    return Shape(
        ellipse=ellipse,
        rectangle=min(area / ((side_a + 1.0) * (side_b + 1.0)), 1.0),
        triangle=min(area / (float(triangle) + 1.0), 1.0),
        solidity=min(area / hull, 1.0),
        hole=1.0 - float((filled & solid).sum()) / area,
        elongation=elongation,
        upright=height / width,
        arms=_arms(contour, centre),
    )


def _moment_ellipse(filled: NDArray[np.uint8]) -> tuple[float, float, tuple[float, float]]:
    moments = cv2.moments(filled, binaryImage=True)
    area = moments["m00"]
    centre = (moments["m10"] / area, moments["m01"] / area)
    xx, yy, xy = (moments[key] / area for key in ("mu20", "mu02", "mu11"))
    spread = math.sqrt(max((xx - yy) ** 2 / 4 + xy**2, 0.0))
    long_axis = 2.0 * math.sqrt(max((xx + yy) / 2 + spread, 1e-6))
    short_axis = 2.0 * math.sqrt(max((xx + yy) / 2 - spread, 1e-6))
    angle = 0.5 * math.degrees(math.atan2(2 * xy, xx - yy))
    drawn = np.zeros_like(filled)
    cv2.ellipse(drawn, (centre, (2 * long_axis, 2 * short_axis), angle), 1, cv2.FILLED)
    union = float((filled | drawn).sum())
    return float((filled & drawn).sum()) / union, long_axis / short_axis, centre


def _arms(contour: NDArray[np.int32], centre: tuple[float, float]) -> int:
    points = contour.reshape(-1, 2) - np.asarray(centre)
    angle = np.arctan2(points[:, 1], points[:, 0])
    ray = ((angle + math.pi) / (2 * math.pi) * _RAYS).astype(int) % _RAYS
    reach = np.zeros(_RAYS)
    np.maximum.at(reach, ray, np.hypot(points[:, 0], points[:, 1]))
    smooth = (np.roll(reach, 1) + 2 * reach + np.roll(reach, -1)) / 4
    window = np.stack([np.roll(smooth, k) for k in range(-4, 5)])
    peaks = (smooth >= window.max(axis=0)) & (smooth > 1.12 * window.min(axis=0))
    return int(np.count_nonzero(peaks & ~np.roll(peaks, 1)))


def _rise(value: float, middle: float, width: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-40.0, min(40.0, (value - middle) / width))))


def answers_to(shape: Shape, word: str) -> float | None:
    """Membership in [0, 1] in a canonical shape word of the lexicon; None without a measure."""
    whole = 1.0 - _rise(shape.hole, 0.12, 0.02)
    squat = 1.0 - _rise(shape.elongation, 1.33, 0.05)
    oval = _rise(shape.ellipse, 0.89, 0.012)
    boxy = _rise(shape.rectangle, 0.81, 0.012) * (1.0 - _rise(shape.ellipse, 0.90, 0.01))
    jagged = 1.0 - _rise(shape.solidity, 0.86, 0.015)
    three = _rise(shape.triangle, 0.73, 0.015) * (1.0 - _rise(shape.rectangle, 0.72, 0.02))
    measures = {
        "round": oval * squat * whole,
        "ellipse": oval * (1.0 - squat) * whole,
        "square": boxy * squat * whole,
        "rectangle": boxy * whole * (0.3 + 0.7 * (1.0 - squat)),
        "triangle": three * whole,
        "star": jagged * _rise(shape.solidity, 0.38, 0.03) * (1.0 if 4 <= shape.arms <= 8 else 0.2),
        "ring": _rise(shape.hole, 0.16, 0.02) * _rise(shape.solidity, 0.85, 0.02),
        "cross": jagged * (1.0 if shape.arms == 4 else 0.1),
        "diamond": boxy * squat * whole,
        "pentagon": oval * 0.5 * whole,
        "hexagon": oval * 0.5 * whole,
        "blob": whole * (1.0 - oval) * (1.0 - boxy) * (1.0 - three) * (1.0 - jagged),
        "long": _rise(shape.elongation, 1.8, 0.15),
        "thin": _rise(shape.elongation, 2.2, 0.2),
        "tall": _rise(shape.upright, 1.35, 0.1),
        "wide": _rise(1.0 / shape.upright, 1.35, 0.1),
    }
    return measures.get(word)
