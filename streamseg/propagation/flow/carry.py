"""Carries one soft mask from a picture to the next: by optical flow, or by search where flow fails.

Knows nothing of colours' meaning nor of how sure the object is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamseg.propagation.flow.opencv import cv2
from streamseg.propagation.flow.pictures import FLOW_UNIT, FlowPair, Picture, pixel_grid

Plane = NDArray[np.float32]
BoxF = tuple[float, float, float, float]
"""x0, y0, x1, y1 in level-0 pixels."""
_MEAN = np.full((1, 3), 1.0 / 3.0)
_REACH_PX = 24.0
"""How far beyond the expected place the flow is asked for, per frame."""
_CLEARLY = 0.9
_FAR_PX = 80.0
_STRANGENESS = 150.0
"""Squared grey levels that a match at the end of the search's reach has to be better by."""


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of one pyramid level, in that level's pixels."""

    level: int
    x: int
    y: int
    width: int
    height: int

    @classmethod
    def around(cls, box: BoxF, level: int, picture: Picture) -> Region | None:
        """The part of a level-0 `box` that lies in the picture, None if nothing does."""
        height, width = picture.level(level).shape[:2]
        unit = 2.0**level
        x0, y0 = max(0, int(box[0] // unit)), max(0, int(box[1] // unit))
        x1, y1 = min(width, int(-(-box[2] // unit))), min(height, int(-(-box[3] // unit)))
        if x1 - x0 < 2 or y1 - y0 < 2:
            return None
        return cls(level, x0, y0, x1 - x0, y1 - y0)

    def of(self, picture: Picture) -> NDArray[np.uint8]:
        """(h, w, 3) view of the picture."""
        return self.cut(picture.level(self.level))

    def cut(self, plane: NDArray[Any]) -> NDArray[Any]:
        """View of an array that covers the whole level."""
        return plane[self.y : self.y + self.height, self.x : self.x + self.width]

    def resample(self, plane: NDArray[np.float32], target: Region) -> NDArray[np.float32]:
        """An array over this region, over `target` instead; 0 where this one does not reach."""
        ratio = 2.0 ** (target.level - self.level)
        middle = 0.5 * ratio - 0.5
        place = np.array(
            [
                [ratio, 0, target.x * ratio + middle - self.x],
                [0, ratio, target.y * ratio + middle - self.y],
            ],
            np.float32,
        )
        mode = cv2.INTER_NEAREST if ratio == 1 else cv2.INTER_LINEAR
        size = (target.width, target.height)
        moved: NDArray[np.float32] = cv2.warpAffine(
            plane, place, size, flags=mode | cv2.WARP_INVERSE_MAP
        )
        return moved


@dataclass(frozen=True, slots=True, eq=False)
class Silhouette:
    """A soft mask in [0, 1], `soft` (h, w) float32 over `region`; 0 outside."""

    region: Region
    soft: Plane

    @property
    def area(self) -> float:
        """In level-0 pixels."""
        return float(self.soft.sum()) * 4.0**self.region.level

    def box(self, threshold: float = 0.5) -> BoxF | None:
        """Level-0 box of what is above the threshold, None when nothing is."""
        x, y, width, height = cv2.boundingRect((self.soft > threshold).view(np.uint8))
        if width == 0:
            return None
        unit = 2.0**self.region.level
        x0, y0 = (x + self.region.x) * unit, (y + self.region.y) * unit
        return (x0, y0, x0 + width * unit, y0 + height * unit)

    def at(self, region: Region) -> Plane:
        """Resampled over another region."""
        return self.region.resample(self.soft, region)


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """A silhouette as it arrives on the next picture.

    Attributes:
        silhouette: Where the flow, or the search, puts it.
        trust: (h, w) float32 in [0, 1], how far each pixel's motion can be believed.
        motion: (h, w, 2) float32, level-0 pixels from each pixel back to where it was.
        agreement: Mean trust over the silhouette.
        misfit: Mean absolute RGB difference to where it came from, over the silhouette.
    """

    silhouette: Silhouette
    trust: Plane
    motion: NDArray[np.float32]
    agreement: float
    misfit: float


def carry(
    past: Silhouette,
    pair: FlowPair,
    before: Picture,
    now: Picture,
    velocity: tuple[float, float],
    frames: int,
    tolerated: float,
) -> Carried | None:
    """Carry `past` to the present picture; None when it has left it.

    Flow comes first. Where it contradicts itself, loses area or arrives on other colours (small
    things that jump further than they are wide), the object is searched for as a whole, and the
    better fit is taken.

    Args:
        velocity: Level-0 pixels per frame, where to look first.
        frames: How many frames lie between the two pictures.
        tolerated: Misfit up to which the flow is believed, grey levels.
    """
    box = past.box(0.3)
    if box is None:
        return None
    guess = (velocity[0] * frames, velocity[1] * frames)
    reach = _REACH_PX * min(frames, 4)
    region = Region.around(grown(_joined(box, shifted(box, guess)), reach), past.region.level, now)
    if region is None:
        return None
    carried = carry_by_flow(past, region, pair, before, now)
    kept = carried.silhouette.area / max(past.area, 1.0)
    if carried.agreement >= 0.6 and kept >= 0.7 and carried.misfit <= tolerated:
        return carried
    side = max(box[2] - box[0], box[3] - box[1])
    far = max(1.5 * reach, min(1.5 * side, _FAR_PX))
    shift = search(past, before, now, guess, far)
    if shift is None:
        return carried
    moved = Region.around(grown(shifted(box, shift), 8.0), past.region.level, now)
    if moved is None:
        return carried
    rival = carry_by_shift(past, moved, shift, before, now)
    return rival if rival.misfit < _CLEARLY * carried.misfit else carried


def carry_by_flow(
    past: Silhouette, region: Region, pair: FlowPair, before: Picture, now: Picture
) -> Carried:
    """Warp `past` onto `region` of the present picture by the backward flow."""
    flow, trust = _sample(pair, region, now)
    source = pixel_grid(region.height, region.width)
    source += flow
    return _resample(past, region, source, trust, before, now)


def carry_by_shift(
    past: Silhouette, region: Region, shift: tuple[float, float], before: Picture, now: Picture
) -> Carried:
    """Move `past` by a whole `shift` (level-0 pixels)."""
    unit = 2.0**region.level
    source = pixel_grid(region.height, region.width)
    source -= np.array([shift[0] / unit, shift[1] / unit], np.float32)
    trust = np.ones((region.height, region.width), np.float32)
    return _resample(past, region, source, trust, before, now)


def _resample(
    past: Silhouette,
    region: Region,
    source: NDArray[np.float32],
    trust: Plane,
    before: Picture,
    now: Picture,
) -> Carried:
    ratio = 2.0 ** (region.level - past.region.level)
    middle = 0.5 * ratio - 0.5
    origin = np.array(
        [region.x * ratio + middle - past.region.x, region.y * ratio + middle - past.region.y],
        np.float32,
    )
    places = source * np.float32(ratio)
    places += origin
    soft: Plane = cv2.remap(past.soft, places, None, cv2.INTER_LINEAR)
    motion = source - pixel_grid(region.height, region.width)
    motion *= 2.0**region.level
    source += np.array([region.x, region.y], np.float32)
    old = cv2.remap(
        before.level(region.level), source, None, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE
    )
    difference = cv2.transform(cv2.absdiff(old, region.of(now)), _MEAN)
    mass = float(soft.sum()) + 1e-3
    return Carried(
        Silhouette(region, soft),
        trust,
        motion,
        float((soft * trust).sum()) / mass,
        float((soft * difference).sum()) / mass,
    )


def _sample(pair: FlowPair, region: Region, now: Picture) -> tuple[NDArray[np.float32], Plane]:
    """Backward flow in the region's own pixels, (h, w, 2) float32, and its trust in [0, 1]."""
    ratio = now.flow_scale * 2.0**region.level
    middle = 0.5 * ratio - 0.5
    place = np.array(
        [[ratio, 0, region.x * ratio + middle], [0, ratio, region.y * ratio + middle]], np.float32
    )
    size = (region.width, region.height)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    raw = cv2.warpAffine(pair.backward, place, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    sure = cv2.warpAffine(pair.trust, place, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    flow = raw.astype(np.float32)
    flow *= 1.0 / (FLOW_UNIT * ratio)
    trust = sure.astype(np.float32)
    trust *= 1.0 / 255.0
    return flow, trust


def search(
    past: Silhouette,
    before: Picture,
    now: Picture,
    guess: tuple[float, float],
    reach: float,
) -> tuple[float, float] | None:
    """Find the object as a whole by template matching, coarse to fine.

    Args:
        guess: Expected shift in level-0 pixels; of places that fit alike the nearer one wins.
        reach: Search this far around it, level-0 pixels.

    Returns:
        The shift in level-0 pixels, None when it cannot be tried.
    """
    box = past.box()
    if box is None:
        return None
    side = min(box[2] - box[0], box[3] - box[1])
    coarsest = int(np.clip(np.log2(max(side, 1.0) / 8.0), 0, 3))
    shift: tuple[float, float] | None = guess
    for level in range(coarsest, max(-1, coarsest - 3), -1):
        if shift is None:
            return None
        near = reach if level == coarsest else 3.0 * 2.0**level
        shift = _match(past, before, now, shift, near, level)
    return shift


def _match(
    past: Silhouette,
    before: Picture,
    now: Picture,
    guess: tuple[float, float],
    reach: float,
    level: int,
) -> tuple[float, float] | None:
    """Best whole-pixel shift on one level, in level-0 pixels."""
    box, unit = past.box(), 2.0**level
    if box is None:
        return None
    own = Region.around(box, level, before)
    window = Region.around(grown(shifted(box, guess), reach), level, now)
    if own is None or window is None:
        return None
    if window.width < own.width or window.height < own.height:
        return None
    weight = past.at(own)
    cost = cv2.matchTemplate(
        window.of(now), own.of(before), cv2.TM_SQDIFF, mask=cv2.merge([weight, weight, weight])
    )
    x = np.arange(cost.shape[1], dtype=np.float32) + (window.x - own.x - guess[0] / unit)
    y = np.arange(cost.shape[0], dtype=np.float32) + (window.y - own.y - guess[1] / unit)
    cost /= 3.0 * float((weight**2).sum()) + 1.0
    cost += _STRANGENESS * (unit / reach) ** 2 * (x[None, :] ** 2 + y[:, None] ** 2)
    best = cv2.minMaxLoc(cost)[2]
    return ((best[0] + window.x - own.x) * unit, (best[1] + window.y - own.y) * unit)


def grown(box: BoxF, reach: float) -> BoxF:
    """`reach` more on every side."""
    return (box[0] - reach, box[1] - reach, box[2] + reach, box[3] + reach)


def _joined(one: BoxF, other: BoxF) -> BoxF:
    """The smallest box around both."""
    return (
        min(one[0], other[0]),
        min(one[1], other[1]),
        max(one[2], other[2]),
        max(one[3], other[3]),
    )


def shifted(box: BoxF, shift: tuple[float, float]) -> BoxF:
    return (box[0] + shift[0], box[1] + shift[1], box[2] + shift[0], box[3] + shift[1])
