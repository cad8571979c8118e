"""The outline of an object as a whole: moved rigidly, it resists leaks and survives occlusion.

Flow and colours decide pixel by pixel and can creep, a little each frame, into a shadow or a
look-alike; the outline only turns, scales and shifts with the object. Knows nothing of colours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from streamseg.propagation.flow.affine import chain, level_to_base
from streamseg.propagation.flow.carry import Carried, Plane, Region, Silhouette
from streamseg.propagation.flow.opencv import cv2
from streamseg.propagation.flow.pictures import Picture

_RENEW_EVERY = 8
_RENEW_SHARE = 0.3
_LEAST_POINTS = 8.0
_STIFFNESS_PX2 = 40.0
"""The turn and scale of smaller things than this (mean square radius) are not believed."""


@dataclass(frozen=True, slots=True, eq=False)
class Anchor:
    """An outline and where it has moved to.

    Attributes:
        outline: As it was when last renewed.
        pose: (2, 3) float64, similarity from level-0 places then to level-0 places now.
        faith: In [0, 1]: how rigidly the object has moved lately.
    """

    outline: Silhouette
    pose: NDArray[np.float64]
    faith: float = 0.7

    @classmethod
    def of(cls, outline: Silhouette) -> Anchor:
        return cls(outline, np.eye(2, 3))

    @property
    def area(self) -> float:
        """Of the whole outline as it stands now, hidden parts too, level-0 pixels."""
        return self.outline.area * float(abs(np.linalg.det(self.pose[:, :2])))

    def shown(self, now: Picture) -> float:
        """Area of the part that lies in the picture, level-0 pixels, to a few percent."""
        height, width = now.level(2).shape[:2]
        return float(self.at(Region(2, 0, 0, width, height)).sum()) * 16.0

    def at(self, region: Region) -> Plane:
        """(h, w) float32: the outline over a region of the present picture."""
        inverse = cv2.invertAffineTransform(self.pose)
        to_source = level_to_base(self.outline.region, inverted=True)
        matrix = chain(level_to_base(region), inverse, to_source)
        plane: Plane = cv2.warpAffine(
            self.outline.soft,
            matrix,
            (region.width, region.height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        return plane

    def follow(self, step: NDArray[np.float64], rigid: float) -> Anchor:
        """Move by a (2, 3) similarity to which the share `rigid` of the object keeps."""
        rate = 0.06 if rigid < self.faith else 0.1
        return replace(
            self,
            pose=chain(self.pose, step),
            faith=self.faith + rate * (rigid - self.faith),
        )

    def correct(self, seen: Silhouette) -> Anchor:
        """Centre on what is seen, where nearly all of it is seen; a slow pull against drift.

        An outline that has gone astray, so that much of what is seen lies outside it, is given
        up for what is seen.
        """
        own = self.at(seen.region)
        inside = float((own * seen.soft).sum()) / max(float(seen.soft.sum()), 1.0)
        if inside < 0.7:
            return replace(Anchor.of(seen), faith=0.5 * self.faith)
        if abs(seen.area / max(self.area, 1.0) - 1.0) > 0.1:
            return self
        gap = (_centre(seen.soft) - _centre(own)) * 2.0**seen.region.level
        pose = self.pose.copy()
        pose[:, 2] += 0.3 * gap
        return replace(self, pose=pose)

    def renew(self, seen: Silhouette, age: int) -> Anchor:
        """Now and then take on some of the shape that is seen: objects do change.

        The less rigidly the object moves, the more is taken.
        """
        if age % _RENEW_EVERY:
            return self
        share = max(_RENEW_SHARE, 1.0 - self.faith)
        blend = cv2.addWeighted(self.at(seen.region), 1.0 - share, seen.soft, share, 0.0)
        return replace(self, outline=Silhouette(seen.region, blend), pose=np.eye(2, 3))


def rigid_step(
    carried: Carried, expected: tuple[float, float]
) -> tuple[NDArray[np.float64], float, Plane] | None:
    """Robust similarity past → present over the silhouette.

    Points are complex numbers x + iy: a similarity is then z → turn · z + shift.

    Args:
        expected: Level-0 pixels that the object is likely to have moved: of two motions in the
            silhouette the one nearer to it is taken.

    Returns:
        The (2, 3) similarity, the share of the silhouette that keeps to it, and by how many
        level-0 pixels each pixel's motion departs from it, (h, w).
    """
    region, unit = carried.silhouette.region, 2.0**carried.silhouette.region.level
    x = (np.arange(region.width, dtype=np.float32) + (region.x + 0.5)) * unit - 0.5
    y = (np.arange(region.height, dtype=np.float32) + (region.y + 0.5)) * unit - 0.5
    now = x[None, :] + 1j * y[:, None]
    past = now + carried.motion.view(np.complex64)[..., 0]
    weight = carried.silhouette.soft[::2, ::2] * carried.trust[::2, ::2]
    chosen = weight > 0.05
    weight, here, there = weight[chosen], now[::2, ::2][chosen], past[::2, ::2][chosen]
    if weight.sum() < _LEAST_POINTS:
        return None
    turn, shift = complex(1), complex(*expected)
    spread = 1.0 + (0.15 * abs(shift)) ** 2
    for _ in range(4):
        trusted = weight / (1.0 + np.abs(turn * there + shift - here) ** 2 / spread)
        turn, shift = _solve(trusted, here, there, carried.agreement > 0.5)
        spread = max(0.5, 0.25 * spread)
    slack = 0.5 + 0.006 * float(np.sqrt(carried.silhouette.area))
    keeps = weight @ (np.abs(turn * there + shift - here) < 2 * slack)
    step = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    stray: Plane = np.abs(turn * past + shift - now).astype(np.float32)
    return step, float(keeps / weight.sum()), stray


def _solve(
    weight: NDArray[np.float32],
    here: NDArray[np.complex64],
    there: NDArray[np.complex64],
    may_turn: bool,
) -> tuple[complex, complex]:
    total = float(weight.sum())
    mean_here, mean_there = complex(weight @ here) / total, complex(weight @ there) / total
    centred = there - mean_there
    spread = float(weight @ (np.abs(centred) ** 2))
    turn = complex(1)
    if may_turn and spread > 4.0 * total:
        turn = complex((weight * centred.conj()) @ (here - mean_here)) / spread
        turn = 1.0 + (turn - 1.0) * spread / (spread + _STIFFNESS_PX2 * total)
        turn *= float(np.clip(abs(turn), 0.95, 1.05)) / max(abs(turn), 1e-6)
    return turn, mean_here - turn * mean_there


def _centre(plane: Plane) -> NDArray[np.float64]:
    moments = cv2.moments(plane)
    mass = max(moments["m00"], 1e-6)
    return np.array([moments["m10"] / mass, moments["m01"] / mass])
