"""Colours for ids and states: told apart at a glance, the same on every frame and every run."""

from __future__ import annotations

import colorsys
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from streamseg.types import TrackState

Colour = tuple[int, int, int]
"""Red, green, blue in [0, 255]."""

GOLDEN_RATIO = 0.618033988749895
_FIRST_HUE = 0.87

STATE_COLOURS: dict[TrackState, Colour] = {
    TrackState.SEARCHING: (120, 144, 168),
    TrackState.TRACKING: (64, 200, 120),
    TrackState.UNCERTAIN: (245, 184, 61),
    TrackState.LOST: (232, 84, 84),
}


@lru_cache(maxsize=1024)
def colour_of(track_id: int) -> Colour:
    """A bright colour for an id: each next hue is a golden-ratio step around the wheel."""
    hue = (_FIRST_HUE + GOLDEN_RATIO * (track_id - 1)) % 1.0
    red, green, blue = colorsys.hls_to_rgb(hue, 0.58, 0.92)
    return round(red * 255), round(green * 255), round(blue * 255)


@lru_cache(maxsize=1)
def davis_palette() -> NDArray[np.uint8]:
    """(256, 3) uint8 RGB: DAVIS's and PASCAL VOC's, each id's bits spread over the channels."""
    ids = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for level in range(8):
        for channel in range(3):
            bit = (ids >> (3 * level + channel)) & 1
            palette[:, channel] |= (bit << (7 - level)).astype(np.uint8)
    return palette
