"""The working picture: a frame made small, with what is known at each of its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.reasoning.seen.colour import lightness, name_shares
from streamseg.reasoning.seen.ego_motion import velocities
from streamseg.reasoning.seen.saliency import edges, saliency
from streamseg.types import Frame, Image

FloatArray = NDArray[np.float32]

WORKING_SIDE = 320
"""Longest side of the working picture, in pixels."""
_FLOW_FRAMES = 2
_FLOW_S = 0.4
"""Frames further than this from the target are not matched with it."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """The working picture and what is known at each of its pixels.

    Attributes:
        rgb: (h, w, 3) uint8.
        lab: (h, w, 3) float32.
        names: (h, w, 13) uint8 memberships in colour names.
        saliency: (h, w) float32 in [0, 1].
        edges: (h, w) float32 in [0, 1], how sharply the colour changes there or next to it.
        velocity: (h, w, 2) float32, working pixels per second against the camera.
        speed_noise: Working pixels per second below which a speed means nothing.
        scale: Source pixels per working pixel, x and y.
        source: (H, W, 3) uint8, the picture at its own resolution.
    """

    rgb: NDArray[np.uint8]
    lab: FloatArray
    names: NDArray[np.uint8]
    saliency: FloatArray
    edges: FloatArray
    velocity: FloatArray
    speed_noise: float
    scale: tuple[float, float]
    source: Image

    @property
    def shape(self) -> tuple[int, int]:
        return self.rgb.shape[0], self.rgb.shape[1]


def observe(target: Frame, segment: Sequence[Frame]) -> Picture:
    """Make the working picture of a frame and measure every pixel of it."""
    small = _small(target)
    height, width = small.shape[:2]
    still = np.asarray(cv2.medianBlur(small, 3), np.uint8)
    lab = lightness(still)
    velocity, noise = velocities(_gray(target), _neighbours(target, segment))
    scale = (target.width / width, target.height / height)
    return Picture(
        still,
        lab,
        name_shares(still),
        saliency(lab),
        edges(lab),
        velocity,
        noise,
        scale,
        target.image,
    )


def _small(frame: Frame) -> Image:
    return frame.memo(("reasoning.small", WORKING_SIDE), lambda: _shrunk(frame.image))


def _shrunk(image: Image) -> Image:
    height, width = image.shape[:2]
    ratio = min(1.0, WORKING_SIDE / max(height, width))
    size = (max(16, round(width * ratio)), max(16, round(height * ratio)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _gray(frame: Frame) -> NDArray[np.uint8]:
    return frame.memo(
        ("reasoning.gray", WORKING_SIDE),
        lambda: np.asarray(cv2.cvtColor(_small(frame), cv2.COLOR_RGB2GRAY), np.uint8),
    )


def _neighbours(target: Frame, segment: Sequence[Frame]) -> list[tuple[NDArray[np.uint8], float]]:
    """Up to two frames of the segment to judge motion by: far enough to see it, near enough to
    follow it."""
    near = [
        (frame, (frame.pts_ns - target.pts_ns) / 1e9)
        for frame in segment
        if frame.epoch == target.epoch and frame.image.shape == target.image.shape
    ]
    near = [(frame, seconds) for frame, seconds in near if 0.005 < abs(seconds) <= _FLOW_S]
    near.sort(key=lambda item: (abs(abs(item[1]) - 0.5 * _FLOW_S), item[1]))
    return [(_gray(frame), seconds) for frame, seconds in near[:_FLOW_FRAMES]]
