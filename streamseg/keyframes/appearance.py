"""How hard a picture and a mask look, in plain numbers; what they mean is for others to say."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.keyframes.thumbnails import SIDE, Thumbnail
from streamseg.types import Labels, Mask

RING = np.ones((3, 3), np.uint8)
RING_WIDTH = 3
"""Thumbnail pixels around an object that count as its surroundings."""


@dataclass(frozen=True, slots=True)
class SceneLook:
    """How full a picture is.

    Attributes:
        edges: Share of thumbnail pixels on an edge, in [0, 1].
        colours: Entropy of its colours, 0 for one colour to 1 for all alike.
    """

    edges: float = 0.0
    colours: float = 0.0


@dataclass(frozen=True, slots=True)
class ObjectLook:
    """How an object stands out.

    Attributes:
        area: Its share of the picture.
        contrast: Distance of its mean colour from its surroundings', 0 to 1.
        compactness: 1 for a disc, near 0 for lace.
    """

    area: float
    contrast: float
    compactness: float


def scene_look(small: Thumbnail) -> SceneLook:
    """Measure a picture."""
    edges = cv2.Canny(small.grey, 60, 120)
    # The two highest bits of each channel: 64 colours.
    coarse = (small.codes >> 9 & 0o60) | (small.codes >> 6 & 0o14) | (small.codes >> 3 & 0o3)
    shares = np.bincount(coarse.ravel(), minlength=64) / coarse.size
    shares = shares[shares > 0]
    entropy = float(-(shares * np.log2(shares)).sum()) / 6.0
    return SceneLook(edges=cv2.countNonZero(edges) / edges.size, colours=entropy)


def shrink_labels(labels: Labels) -> Labels:
    """Every n-th label, so that the longest side is that of a thumbnail or a little more."""
    step = max(1, max(labels.shape) // SIDE)
    return labels[::step, ::step]


def object_look(small: Thumbnail, mask: Mask) -> ObjectLook | None:
    """Measure an object by its (h, w) bool mask at any size; None when it has no pixels."""
    height, width = small.grey.shape
    inside = mask.astype(np.uint8)
    if inside.shape != (height, width):
        inside = _as_mask(cv2.resize(inside, (width, height), interpolation=cv2.INTER_NEAREST))
    area = cv2.countNonZero(inside)
    if area == 0:
        return None
    around = _as_mask(cv2.dilate(inside, RING, iterations=RING_WIDTH)) - inside
    contrast = 1.0
    if cv2.countNonZero(around):
        difference = np.subtract(
            cv2.mean(small.rgb, inside)[:3], cv2.mean(small.rgb, around)[:3], dtype=np.float64
        )
        contrast = float(np.linalg.norm(difference)) / (255.0 * 3.0**0.5)
    return ObjectLook(area / inside.size, contrast, _compactness(inside, area))


def _compactness(inside: NDArray[np.uint8], area: int) -> float:
    """4 pi area / perimeter squared, over all of its pieces."""
    outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    perimeter = sum(cv2.arcLength(outline, True) for outline in outlines)
    return min(1.0, 4.0 * np.pi * area / max(perimeter, 1.0) ** 2)


def _as_mask(picture: object) -> NDArray[np.uint8]:
    return np.asarray(picture, np.uint8)
