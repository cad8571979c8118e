"""What the classical propagator derives from pictures alone: working copies and optical flow.

Everything here is memoised on the frame, so a replay over the same frames pays for none of it
twice. Knows nothing of objects.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamseg.propagation.flow.appearance import Histogram, colour_index, histogram
from streamseg.propagation.flow.opencv import cv2, dot
from streamseg.types import Frame, Image

FLOW_UNIT = 32.0
"""Flow is kept as int16 in 1/32 pixel: a quarter of the bytes of two float32 fields."""
_LEVELS = 4
_LEAST_SIDE = 16
"""Smaller pictures have no flow that DIS could find."""
_STEADY_LIGHT = 0.04


class Picture:
    """A frame at working resolution, as a pyramid.

    Level 0 is the frame scaled by `scale` (no copy when that is 1); each further level halves.
    A level-l pixel (x, y) covers level-0 pixels around ((x + 0.5) 2^l - 0.5, …).

    Attributes:
        scale: Level-0 pixels per frame pixel, at most 1.
        grey: (h, w) uint8 at the flow's resolution.
        flow_scale: Flow pixels per level-0 pixel.
    """

    __slots__ = ("_colours", "_levels", "flow_scale", "grey", "scale")

    def __init__(self, image: Image, max_side: int, flow_side: int) -> None:
        height, width = image.shape[:2]
        factor = max(1, -(-max(height, width) // max_side))
        base = image if factor == 1 else _shrink(image, factor)
        self.scale = 1.0 / factor
        self._levels: list[Image] = [base]
        for _ in range(_LEVELS - 1):
            self._levels.append(_shrink(self._levels[-1], 2))
        self._colours: dict[int, tuple[NDArray[np.uint16], Histogram]] = {}
        level = 0
        while level < _LEVELS - 1 and _is_bigger(self._levels[level], flow_side):
            level += 1
        self.grey: NDArray[np.uint8] = cv2.cvtColor(self._levels[level], cv2.COLOR_RGB2GRAY)
        self.flow_scale = 0.5**level

    def level(self, index: int) -> Image:
        """(h, w, 3) uint8 RGB of one pyramid level, not to be written to."""
        return self._levels[index]

    def bins(self, level: int) -> NDArray[np.uint16]:
        """(h, w) uint16 colour bins of one level, computed once."""
        return self._coloured(level)[0]

    def colours(self, level: int) -> Histogram:
        """Histogram of one whole level, computed once."""
        return self._coloured(level)[1]

    def forget_colours(self) -> None:
        """Give back what only the search for a lost object needs; it is made anew when asked for.

        A replay's objects are seldom lost, and the ring would keep this for every frame.
        """
        self._colours = {}

    def _coloured(self, level: int) -> tuple[NDArray[np.uint16], Histogram]:
        made = self._colours  # another thread may forget them meanwhile
        if level not in made:
            _, bins = colour_index(self._levels[level])
            made[level] = (bins, histogram(bins, np.ones(bins.shape, np.float32)))
        return made[level]

    @property
    def nbytes(self) -> int:
        own = self._levels if self.scale < 1 else self._levels[1:]
        extra = sum(bins.nbytes + colours.nbytes for bins, colours in tuple(self._colours.values()))
        return int(sum(level.nbytes for level in own) + self.grey.nbytes + extra)


class FlowPair:
    """Optical flow from one picture back to an earlier one.

    Attributes:
        backward: (h, w, 2) int16, where each pixel was, in 1/32 flow pixels.
        trust: (h, w) uint8, 255 where the forward flow leads back to the same place, 0 where
            it leads elsewhere: occlusion, or a flow that is wrong.
        gain: By how much the light has changed in red, green and blue; None when it has not.
    """

    __slots__ = ("backward", "gain", "trust")

    def __init__(
        self,
        backward: NDArray[np.int16],
        trust: NDArray[np.uint8],
        gain: tuple[float, float, float] | None,
    ) -> None:
        self.backward = backward
        self.trust = trust
        self.gain = gain

    @property
    def nbytes(self) -> int:
        return int(self.backward.nbytes + self.trust.nbytes)


def picture(frame: Frame, max_side: int, flow_side: int) -> Picture:
    """The frame's memoised `Picture`."""
    return frame.memo(
        ("picture", max_side, flow_side), lambda: Picture(frame.image, max_side, flow_side)
    )


class FlowEngine:
    """Computes flow between pictures (DIS: Kroeger et al., ECCV 2016). Not thread-safe."""

    def __init__(self) -> None:
        self._fine = _dis(finest_scale=1)
        self._coarse = _dis(finest_scale=2)
        self._grid: NDArray[np.float32] = np.zeros((0, 0, 2), np.float32)

    def between(self, earlier: Picture, later: Picture) -> FlowPair:
        """Flow of the whole picture, kept as the way back and its trust.

        The forward flow only checks the backward one: a third of the time buys enough of it.
        """
        gain = light_change(earlier, later)
        if min(later.grey.shape) < _LEAST_SIDE:
            still = np.zeros((*later.grey.shape, 2), np.int16)
            return FlowPair(still, np.full(later.grey.shape, 128, np.uint8), gain)
        backward: NDArray[np.float32] = self._fine.calc(later.grey, earlier.grey, None)
        forward: NDArray[np.float32] = self._coarse.calc(earlier.grey, later.grey, None)
        trust = self._agreement(backward, forward)
        return FlowPair(cv2.multiply(backward, FLOW_UNIT, dtype=cv2.CV_16S), trust, gain)

    def _agreement(
        self, backward: NDArray[np.float32], forward: NDArray[np.float32]
    ) -> NDArray[np.uint8]:
        """(h, w) uint8: 255 exp(-e²/s²), e the length of the way there and back again."""
        height, width = backward.shape[:2]
        if self._grid.shape[:2] != (height, width):
            self._grid = pixel_grid(height, width)
        there = cv2.remap(
            forward,
            cv2.add(self._grid, backward),
            None,
            cv2.INTER_LINEAR,
            None,
            cv2.BORDER_REPLICATE,
        )
        gap = cv2.add(there, backward)
        error = dot(gap, gap)
        length = dot(backward, backward)
        cv2.exp(-error / (1.0 + 0.02 * length), dst=error)
        trust: NDArray[np.uint8] = cv2.multiply(error, 255.0, dtype=cv2.CV_8U)
        return trust


def light_change(earlier: Picture, later: Picture) -> tuple[float, float, float] | None:
    """Gains of red, green and blue over the whole picture, None for less than a few percent.

    The median over a small copy: things that move brighten some pixels and darken others.
    """
    before = earlier.level(_LEVELS - 1).reshape(-1, 3).astype(np.float32) + 2.0
    after = later.level(_LEVELS - 1).reshape(-1, 3).astype(np.float32) + 2.0
    red, green, blue = np.median(after / before, axis=0).clip(0.4, 2.5).tolist()
    if max(abs(red - 1.0), abs(green - 1.0), abs(blue - 1.0)) < _STEADY_LIGHT:
        return None
    return (red, green, blue)


def _is_bigger(image: NDArray[Any], flow_side: int) -> bool:
    height, width = image.shape[:2]
    return bool(max(height, width) > flow_side and min(height, width) >= 2 * _LEAST_SIDE)


def _dis(finest_scale: int) -> Any:
    """DIS without variational refinement: what refines the edge is the cut, not the flow."""
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    dis.setFinestScale(finest_scale)
    dis.setVariationalRefinementIterations(0)
    return dis


def pixel_grid(height: int, width: int) -> NDArray[np.float32]:
    """(h, w, 2) float32 of each pixel's own x, y."""
    grid = np.empty((height, width, 2), np.float32)
    grid[..., 0] = np.arange(width, dtype=np.float32)
    grid[..., 1] = np.arange(height, dtype=np.float32)[:, None]
    return grid


def _shrink(image: NDArray[Any], factor: int) -> Image:
    """Scale down by a whole number; the last pixels of an odd side are averaged in."""
    height, width = image.shape[:2]
    size = (max(1, width // factor), max(1, height // factor))
    small: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small
