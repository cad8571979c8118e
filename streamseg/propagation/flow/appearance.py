"""What one object looks like: colour histograms of it and of what surrounds it.

Knows nothing of where the object is, nor of time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from streamseg.propagation.flow.opencv import cv2
from streamseg.types import Image

BINS = 16 * 32 * 32
"""16 of lightness (coarse: light changes), 32 each of a and b in steps of 4."""
_LIGHTNESS = ((np.arange(256) >> 4) << 10).astype(np.uint16)
_A = (((np.clip(np.arange(256), 64, 191) - 64) >> 2) << 5).astype(np.uint16)
_B = ((np.clip(np.arange(256), 64, 191) - 64) >> 2).astype(np.uint16)
_TABLE = np.ascontiguousarray(np.stack([_LIGHTNESS, _A, _B], axis=-1)[None])
_ONES = np.ones((1, 3), np.float32)
_FLOOR = 2e-4
"""Mass of a colour never seen, so that it speaks for neither side."""

Histogram = NDArray[np.float32]
"""(BINS,) float32 that sums to 1, smoothed over neighbouring colours."""


Gain = tuple[float, float, float]
"""Light in red, green and blue, as a multiple of the light on the keyframe."""


def relit(rgb: Image, gain: Gain | None) -> Image:
    """The picture as it would be in the keyframe's light; itself when `gain` is None."""
    if gain is None:
        return rgb
    scale = np.diag([1.0 / part for part in gain])
    lit: Image = cv2.transform(rgb, scale)
    return lit


def changed(gain: Gain | None, by: Gain | None) -> Gain | None:
    """One change of light after another; None when they undo each other."""
    if gain is None or by is None:
        return gain or by
    red, green, blue = (one * other for one, other in zip(gain, by, strict=True))
    if max(abs(red - 1.0), abs(green - 1.0), abs(blue - 1.0)) < 0.03:
        return None
    return (red, green, blue)


def colour_index(rgb: Image) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """The (h, w, 3) uint8 Lab picture and each pixel's (h, w) histogram bin."""
    lab: NDArray[np.uint8] = cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)
    parts: NDArray[np.uint16] = cv2.LUT(lab, _TABLE)
    bins: NDArray[np.uint16] = parts[..., 0] + parts[..., 1] + parts[..., 2]
    return lab, bins


def histogram(bins: NDArray[np.uint16], weights: NDArray[np.float32]) -> Histogram:
    """Weighted colour histogram; `weights` (h, w) float32."""
    counts = np.bincount(bins.ravel(), weights.ravel(), BINS).astype(np.float32)
    cube = counts.reshape(16, 32, 32)
    # Channels are blurred alike: a and b by a 5-tap kernel, lightness by a 3-tap one.
    plane = cv2.GaussianBlur(np.ascontiguousarray(cube.transpose(1, 2, 0)), (5, 5), 0.9)
    flat = plane.reshape(-1, 16)
    smooth = cv2.sepFilter2D(
        flat,
        -1,
        np.array([0.2, 0.6, 0.2], np.float32),
        np.ones(1, np.float32),
        borderType=cv2.BORDER_REPLICATE,
    )
    result: Histogram = smooth.reshape(32, 32, 16).transpose(2, 0, 1).ravel()
    total = float(result.sum())
    return np.divide(result, max(total, 1e-6), dtype=np.float32)


def similarity(one: Histogram, other: Histogram) -> float:
    """Bhattacharyya coefficient in [0, 1]."""
    return float(np.sqrt(one * other).sum())


@dataclass(slots=True)
class ColourModel:
    """An object's colours against its surroundings'.

    Attributes:
        key: The object's histogram on its keyframe: what it is, never changed by tracking.
        recent: The same, slowly following the light.
        around: Histogram of the surroundings, quickly following.
        ratio: (BINS,) float32, log likelihood ratio of each colour, positive for the object.
        typical: Mean likelihood in [0, 1] of the object's own pixels on the keyframe: how well
            colour alone can tell it.
    """

    key: Histogram
    recent: Histogram
    around: Histogram
    ratio: NDArray[np.float32] = field(default_factory=lambda: np.zeros(BINS, np.float32))
    typical: float = 0.5

    @classmethod
    def learn(
        cls, bins: NDArray[np.uint16], inside: NDArray[np.float32], outside: NDArray[np.float32]
    ) -> ColourModel:
        """From a keyframe: (h, w) weights of the object and of its surroundings."""
        key = histogram(bins, inside)
        model = cls(key, key, histogram(bins, outside))
        model.refresh()
        mass = float(inside.sum())
        likely = likelihood(model.ratio.take(bins))
        model.typical = float((likely * inside).sum() / mass) if mass > 0 else 0.5
        return model

    def refresh(self) -> None:
        """Recompute `ratio` after a histogram changed."""
        own = 0.5 * (self.key + self.recent)
        self.ratio = np.log((own + _FLOOR) / (self.around + _FLOOR))
        np.clip(self.ratio, -4.0, 4.0, out=self.ratio)

    def follow(self, own: Histogram | None, around: Histogram, own_rate: float) -> None:
        """Blend in the present frame's colours; `own` is None when they are not to be trusted."""
        if own is not None:
            self.recent = (1 - own_rate) * self.recent + own_rate * own
        self.around = 0.7 * self.around + 0.3 * around
        self.refresh()

    def copy(self) -> ColourModel:
        """An independent copy; the arrays are replaced, never written to, so they are shared."""
        return replace(self)


def likelihood(ratio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logistic of a log ratio, float32 in [0, 1]."""
    result: NDArray[np.float32] = cv2.exp(-ratio)
    result += 1.0
    np.reciprocal(result, out=result)
    return result
