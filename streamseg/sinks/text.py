"""Anti-aliased text for small pictures, each string rasterised once; knows nothing of results."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.sinks.palette import Colour
from streamseg.types import Image

Coverage = NDArray[np.uint8]
"""(h, w) uint8: how much of each pixel the glyphs cover, 255 = all."""

_CACHED = 256
_SUPERSAMPLED = 3
_HERSHEY_HEIGHT = 22.0
"""Pixels from the top of "A" to the baseline in Hershey's simplex font at scale 1."""


class TextPainter:
    """Renders strings at a size in pixels, and remembers the last few hundred.

    OpenCV 5 brings a TrueType font with most of the world's letters; before it, OpenCV's stroke
    font is drawn large and scaled down, and what is not ASCII shows as "?".
    """

    def __init__(self, truetype: bool | None = None) -> None:
        self._font: Any = None
        if truetype if truetype is not None else hasattr(cv2, "FontFace"):
            self._font = cv2.FontFace("sans")
        self._cache: OrderedDict[tuple[str, int, bool], Coverage] = OrderedDict()

    def coverage(self, text: str, size_px: int, bold: bool = False) -> Coverage:
        """The string's picture; every one of the same size is equally high."""
        key = (text, size_px, bold)
        found = self._cache.get(key)
        if found is not None:
            self._cache.move_to_end(key)
            return found
        made = self._truetype(*key) if self._font is not None else self._hershey(*key)
        self._cache[key] = made
        if len(self._cache) > _CACHED:
            self._cache.popitem(last=False)
        return made

    def fitted(self, text: str, size_px: int, width_px: int, bold: bool = False) -> Coverage:
        """As `coverage`, with the end of the string cut to "..." where it is wider than allowed."""
        text = text[: max(4, width_px)]
        whole = self.coverage(text, size_px, bold)
        if whole.shape[1] <= width_px:
            return whole
        low, high = 0, len(text)
        while low + 1 < high:
            middle = (low + high) // 2
            if self.coverage(_cut(text, middle), size_px, bold).shape[1] <= width_px:
                low = middle
            else:
                high = middle
        return self.coverage(_cut(text, low), size_px, bold)

    def _truetype(self, text: str, size_px: int, bold: bool) -> Coverage:
        weight = 700 if bold else 500
        x, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), self._font, size_px, weight)
        ascent, descent = size_px, round(0.28 * size_px)
        canvas = np.zeros((ascent + descent, max(1, x + width + 1)), np.uint8)
        cv2.putText(canvas, text, (0, ascent), (255,), self._font, size_px, weight)
        return canvas

    def _hershey(self, text: str, size_px: int, bold: bool) -> Coverage:
        text = text.encode("ascii", "replace").decode("ascii")
        scale = 0.72 * size_px * _SUPERSAMPLED / _HERSHEY_HEIGHT
        stroke = max(1, round(_SUPERSAMPLED * size_px * (0.13 if bold else 0.095)))
        (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, stroke)
        width = max(1, -(-width // _SUPERSAMPLED) + 1)
        ascent, descent = size_px, round(0.28 * size_px)
        large = np.zeros(
            ((ascent + descent) * _SUPERSAMPLED, width * _SUPERSAMPLED), dtype=np.uint8
        )
        origin = (0, ascent * _SUPERSAMPLED)
        cv2.putText(
            large, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, (255,), stroke, cv2.LINE_AA
        )
        size = (width, ascent + descent)
        return np.asarray(cv2.resize(large, size, interpolation=cv2.INTER_AREA), np.uint8)


def _cut(text: str, length: int) -> str:
    return text[:length].rstrip() + "…"


def blit(canvas: Image, coverage: Coverage, x: int, y: int, colour: Colour) -> None:
    """Blend the string onto `canvas` in place, its top left corner at (x, y), clipped."""
    height, width = canvas.shape[:2]
    x0, y0 = max(0, x), max(0, y)
    x1, y1 = min(width, x + coverage.shape[1]), min(height, y + coverage.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    alpha = coverage[y0 - y : y1 - y, x0 - x : x1 - x, None].astype(np.uint16)
    place = canvas[y0:y1, x0:x1]
    ink = np.asarray(colour, np.uint16)
    place[...] = (place * (255 - alpha) + ink * alpha + 127) // 255


def shade(canvas: Image, x0: int, y0: int, x1: int, y1: int, keep: float = 0.35) -> None:
    """Darken a rectangle in place, as a backing for text; `keep` of the light stays."""
    height, width = canvas.shape[:2]
    place = canvas[max(0, y0) : min(height, y1), max(0, x0) : min(width, x1)]
    if place.size:
        cv2.convertScaleAbs(place, dst=place, alpha=keep, beta=6)
