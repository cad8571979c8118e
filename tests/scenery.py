"""Procedural pictures for the keyframe tests."""

from __future__ import annotations

import cv2
import numpy as np

from streamseg.types import Frame, Image


def scenery(seed: int, width: int = 640, height: int = 360) -> Image:
    """A textured scene with a palette of its own: soft blobs and hard-edged boxes."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 60 + 2, width // 60 + 2, 3)).astype(np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    tint = rng.integers(0, 256, 3)
    picture = (0.5 * picture + 0.5 * tint).astype(np.uint8)
    for _ in range(width // 30):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        w, h = (int(side) for side in rng.integers(20, 120, 2))
        shade = tuple(int(value) for value in 0.4 * rng.integers(0, 256, 3) + 0.6 * tint)
        cv2.rectangle(picture, (x, y), (x + w, y + h), shade, -1)
    return np.asarray(picture, np.uint8)


def frame(image: Image, index: int = 0, epoch: int = 0, fps: int = 25) -> Frame:
    """A frame with its time from its index."""
    image = np.ascontiguousarray(image)
    return Frame(index=index, pts_ns=index * 1_000_000_000 // fps, epoch=epoch, image=image)


def with_patch(image: Image, colour: tuple[int, int, int], x: int, y: int, side: int) -> Image:
    """A copy with a square of one colour."""
    image = image.copy()
    image[y : y + side, x : x + side] = colour
    return image


def plain(colour: tuple[int, int, int], width: int = 320, height: int = 180) -> Image:
    """One colour all over."""
    return np.full((height, width, 3), colour, np.uint8)
