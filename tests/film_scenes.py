"""A small video with known masks, for the tests of whole videos."""

from __future__ import annotations

import numpy as np
from scenery import scenery

from streamseg.types import Image, Mask

WIDTH, HEIGHT = 192, 128
SIDE = 36


def video(frames: int, *, second: bool = False, hidden_from: int | None = None) -> list[Image]:
    """A red square that crosses a blue-grey ground; `second`: another one; it is gone from frame
    `hidden_from` on."""
    ground = ground_of()
    shown = []
    for at in range(frames):
        image = ground.copy()
        if hidden_from is None or at < hidden_from:
            image[truth(at)] = (215, 25, 30)
        if second:
            image[second_truth(at)] = (215, 25, 30)
        shown.append(image)
    return shown


def truth(at: int) -> Mask:
    """Where the red square is on a frame."""
    return _square(20 + at, 14)


def second_truth(at: int) -> Mask:
    """Where the second one is."""
    return _square(140 - at, 80)


def ground_of(seed: int = 5) -> Image:
    picture = scenery(seed, WIDTH, HEIGHT).astype(np.float32)
    grey = picture.mean(axis=2, keepdims=True)
    cool = 0.25 * picture + 0.75 * grey * np.array([0.75, 0.95, 1.1], np.float32)
    return np.clip(cool, 0, 255).astype(np.uint8)


def overlap(found: Mask, true: Mask) -> float:
    """Intersection over union; 1 where both are empty."""
    union = np.count_nonzero(found | true)
    return float(np.count_nonzero(found & true) / union) if union else 1.0


def _square(x: int, y: int) -> Mask:
    mask: Mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[y : y + SIDE, x : x + SIDE] = True
    return mask
