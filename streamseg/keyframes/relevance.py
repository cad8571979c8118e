"""How much a frame looks like it shows what the query names: a cheap stand-in for the video LLM.

VideoSeg-R1 (section 3.2) asks a video LLM which part of the video is relevant to the query. On a
stream that question is put many times a second, so the answer here is colour: is there a compact
patch of each colour that the query names?
"""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.keyframes import words
from streamseg.keyframes.thumbnails import thumbnail
from streamseg.types import Frame

UNKNOWN = 0.5
"""Relevance of every frame to a query that names no colour."""
FULL_SHARE = 0.004
"""A patch of this share of the picture is there beyond doubt; a smaller one is in proportion."""

# OpenCV's HSV: hue in [0, 180), saturation and value in [0, 255]; each colour is a union of boxes
# (hue from, to, saturation from, to, value from, to), hue wrapping around at 180.
_HSV_BOXES: dict[str, tuple[tuple[int, int, int, int, int, int], ...]] = {
    "red": ((170, 8, 100, 255, 55, 255),),
    "orange": ((7, 20, 120, 255, 110, 255),),
    "yellow": ((20, 35, 80, 255, 100, 255),),
    "green": ((35, 86, 60, 255, 40, 255),),
    "cyan": ((80, 99, 60, 255, 60, 255),),
    "blue": ((95, 130, 70, 255, 40, 255),),
    "purple": ((125, 158, 50, 255, 40, 255),),
    "pink": ((145, 172, 40, 255, 110, 255), (160, 8, 40, 140, 170, 255)),
    "white": ((0, 179, 0, 45, 185, 255),),
    "black": ((0, 179, 0, 255, 0, 50),),
    "gray": ((0, 179, 0, 45, 50, 185),),
    "silver": ((0, 179, 0, 45, 90, 235),),
    "brown": ((5, 20, 60, 255, 35, 160),),
    "gold": ((14, 30, 90, 255, 90, 255),),
    "beige": ((8, 30, 20, 95, 140, 255),),
}


class TextRelevance:
    """Relevance of frames to one query, in [0, 1].

    For each colour named: does its largest patch count (against FULL_SHARE), is the colour
    gathered there rather than strewn about, and is it rare in the picture? The mean over colours.
    """

    def __init__(self, query_text: str) -> None:
        self._tables = [_table(name) for name in words.read(query_text).colours]

    @property
    def visual(self) -> bool:
        """False when the query names no colour: every frame is UNKNOWN then."""
        return bool(self._tables)

    def __call__(self, frame: Frame) -> float:
        """The frame's relevance."""
        if not self._tables:
            return UNKNOWN
        codes = thumbnail(frame).codes
        return sum(_presence(table[codes]) for table in self._tables) / len(self._tables)


def _presence(matches: NDArray[np.uint8]) -> float:
    """How well an (h, w) uint8 picture of matching pixels, 0 or 1, shows one thing."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(matches, connectivity=4)
    areas = stats[1:, cv2.CC_STAT_AREA]
    if areas.size == 0:
        return 0.0
    largest, total = float(areas.max()), float(areas.sum())
    share = total / matches.size
    presence = min(1.0, largest / matches.size / FULL_SHARE)
    return presence * math.sqrt(largest / total) * (1.0 - share)


@cache
def _table(name: str) -> NDArray[np.uint8]:
    """(32768,) uint8: 1 for the 5-bit colour codes that bear the name."""
    levels = (np.arange(32, dtype=np.uint8) << 3) | 4
    rgb = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)
    hsv = cv2.cvtColor(rgb.reshape(1, -1, 3), cv2.COLOR_RGB2HSV)[0].astype(np.int16)
    hue, saturation, value = hsv[:, 0], hsv[:, 1], hsv[:, 2]
    table = np.zeros(len(hsv), bool)
    for h0, h1, s0, s1, v0, v1 in _HSV_BOXES[name]:
        in_hue = (hue >= h0) & (hue <= h1) if h0 <= h1 else (hue >= h0) | (hue <= h1)
        in_rest = (saturation >= s0) & (saturation <= s1) & (value >= v0) & (value <= v1)
        table |= in_hue & in_rest
    return table.astype(np.uint8)
