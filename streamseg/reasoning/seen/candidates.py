"""Regions that may be objects, each measured once, and the contest between them.

Regions that explain the same pixels compete by objectness and size, and the best stays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.reasoning.seen import regions
from streamseg.reasoning.seen.colour import FAMILIES, INDEX, KINSHIP
from streamseg.reasoning.seen.picture import Picture
from streamseg.reasoning.seen.regions import Region
from streamseg.types import Mask

FloatArray = NDArray[np.float32]

MAX_CANDIDATES = 48
_GROWN = 24
_SQUARE = np.ones((3, 3), np.uint8)
_MOTION_CONTRAST = 0.05
"""Speed against its surround, in widths per second, that makes anything stand out."""
_LEAST_BODY = 0.15
"""A region with less body is a line or a shell, such as the blurred edge around an object."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One region in working pixels.

    Attributes:
        names: (13,) float32, the mean membership in each colour name.
        lab: (3,) float32 mean colour.
        purity: Share of the region that its own colour family explains, in [0, 1].
        stands_out: In [0, 1]: by rare colours, by contrast or by motion.
        objectness: In [0, 1]: it stands out, its outline is sharp, one colour explains it.
        velocity: (vx, vy) in working pixels per second against the camera.
        alone: Share of what lies around it that does not move as it does, in [0, 1].
        sides: Sides of the picture it touches, of "left top right bottom".
        region: What it was measured on.
    """

    names: FloatArray
    lab: FloatArray
    purity: float
    stands_out: float
    objectness: float
    velocity: tuple[float, float]
    sides: frozenset[str]
    region: Region
    alone: float = 1.0

    @property
    def mask(self) -> Mask:
        """(bh, bw) bool, cropped to the region, at (x0, y0) in the picture."""
        return self.region.mask

    @property
    def x0(self) -> int:
        return self.region.x0

    @property
    def y0(self) -> int:
        return self.region.y0

    @property
    def area(self) -> int:
        return self.region.area

    @property
    def x1(self) -> int:
        return self.x0 + int(self.mask.shape[1])

    @property
    def y1(self) -> int:
        return self.y0 + int(self.mask.shape[0])

    @property
    def centre(self) -> tuple[float, float]:
        return (self.x0 + self.x1) / 2.0, (self.y0 + self.y1) / 2.0

    @property
    def rank(self) -> float:
        """What it competes by: the whole goes before its part, but no thing fills the picture."""
        return self.objectness * float(self.area**0.15) * (0.4 if len(self.sides) > 1 else 1.0)

    @property
    def speed(self) -> float:
        return float(np.hypot(*self.velocity))


def find(picture: Picture, sought: frozenset[str] = frozenset()) -> list[Candidate]:
    """Return at most `MAX_CANDIDATES` regions, best first, with little overlap between them.

    Args:
        sought: Colour names asked for, see `regions.propose`.
    """
    kept = _strongest([_measure(picture, each) for each in regions.propose(picture, sought)])
    seeds = [item for item in kept if item.objectness > 0.12][:_GROWN]
    grown = regions.grow(picture, [item.region for item in seeds])
    whole = [
        _measure(picture, region, seed.stands_out)
        for seed, region in zip(seeds, grown, strict=True)
        if region is not None
    ]
    return _strongest([*whole, *kept])


def _strongest(proposals: Sequence[Candidate]) -> list[Candidate]:
    """Let regions that explain the same pixels compete."""
    order = sorted(proposals, key=lambda item: (-item.rank, -item.area, item.y0, item.x0))
    kept: list[Candidate] = []
    for item in order:
        if all(_distinct(item, other) for other in kept):
            kept.append(item)
            if len(kept) == MAX_CANDIDATES:
                break
    return [item for item in kept if not any(_is_fragment(item, other) for other in kept)]


@dataclass(frozen=True, slots=True, eq=False)
class _Surround:
    """A region's parts in a window of the picture, each (h, w) bool.

    `core` is inside, clear of the edge; `outline` straddles it; `near` is a narrow band around,
    `wide` a broad one. `body` is the share of the region that is not its edge.
    """

    window: tuple[slice, slice]
    core: Mask
    outline: Mask
    near: Mask
    wide: Mask
    body: float


def _surround(picture: Picture, region: Region) -> _Surround:
    height, width = picture.shape
    breadth = int(np.clip(0.3 * math.sqrt(region.area), 3, 12))
    pad = breadth + 2
    left, top = max(region.x0 - pad, 0), max(region.y0 - pad, 0)
    bottom = min(region.y0 + region.mask.shape[0] + pad, height)
    right = min(region.x0 + region.mask.shape[1] + pad, width)
    inside = np.zeros((bottom - top, right - left), np.uint8)
    y, x = region.y0 - top, region.x0 - left
    inside[y : y + region.mask.shape[0], x : x + region.mask.shape[1]] = region.mask
    eroded = cv2.erode(inside, _SQUARE, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    grown = cv2.dilate(inside, _SQUARE)
    clear = grown == 0
    near = (cv2.dilate(grown, np.ones((5, 5), np.uint8)) > 0) & clear
    side = 2 * breadth + 1
    wide = (cv2.dilate(grown, np.ones((side, side), np.uint8)) > 0) & clear
    core = eroded > 0
    body = np.count_nonzero(core) / region.area
    if body < 0.25:
        core = inside > 0
    window = np.s_[top:bottom, left:right]
    return _Surround(window, core, (grown > 0) & (eroded == 0), near, wide, body)


def _measure(picture: Picture, region: Region, least_stands_out: float = 0.0) -> Candidate:
    """Measure a region.

    Args:
        least_stands_out: Of the part that it was grown from, which still stands out in it.
    """
    parts = _surround(picture, region)
    names_map = picture.names[parts.window]
    names = names_map[parts.core].mean(axis=0, dtype=np.float32) / 255.0
    members = [INDEX[name] for name in _own_family(names, region.family)]
    purity = min(float(names[members].sum()), 1.0)
    foreign = names_map[parts.wide][:, members].sum(axis=1, dtype=np.uint16) <= 127
    contrast = float(foreign.mean()) if foreign.size else 0.0
    edges = picture.edges[parts.window][parts.outline]
    closed = float(edges.mean()) if edges.size else 0.0
    motion, against, alone = _motion(picture, parts)
    salient = picture.saliency[parts.window]
    values = salient[parts.core]
    # The better half: a pattern's second tone may well be the ground's.
    half = len(values) // 2
    rare = float(np.partition(values, half)[half:].mean())
    ground = 1.0 - float(salient[parts.near].mean()) if parts.near.any() else 0.0
    stands_out = max(
        rare, 0.4 * contrast * closed, 0.4 * against * (0.5 + 0.5 * contrast), least_stands_out
    )
    objectness = (0.15 + 0.85 * stands_out) * (0.25 + 0.75 * ground) * (0.1 + 0.9 * closed**2)
    objectness *= 1.0 - 0.7 * _goes_on(names, names_map[parts.near])
    height, width = picture.shape
    return Candidate(
        region=region,
        names=names,
        lab=picture.lab[parts.window][parts.core].mean(axis=0),
        purity=purity,
        stands_out=stands_out,
        objectness=objectness * purity**2 * min(parts.body / _LEAST_BODY, 1.0),
        velocity=motion,
        sides=sides_of(region, width, height),
        alone=alone,
    )


def _goes_on(names: FloatArray, near: NDArray[np.uint8]) -> float:
    """How far the region's own hues go on beyond its outline, in [0, 1]: then it is but a part."""
    if not len(near):
        return 0.0
    hues = slice(0, INDEX["white"])
    same = float(names[hues] @ near[:, hues].mean(axis=0, dtype=np.float32)) / 255.0
    return min(same / (float(names @ names) + 1e-6), 1.0)


def _motion(picture: Picture, parts: _Surround) -> tuple[tuple[float, float], float, float]:
    """Velocity in pixels per second, how far it is not its surround's, and of how much of what lies
    a little away from it, both in [0, 1]."""
    velocity = picture.velocity[parts.window]
    own = velocity[parts.core].mean(axis=0)
    behind = velocity[parts.wide].mean(axis=0) if parts.wide.any() else own
    against = float(np.hypot(*(own - behind))) / picture.shape[1]
    known = np.isfinite(picture.speed_noise)
    away = velocity[parts.wide & ~parts.near]  # a flow spills over the edge of what moves
    apart = np.hypot(*(away - own).T) > 0.5 * np.hypot(*own)
    alone = float(apart.mean()) if known and len(away) else 1.0
    against = min(against / _MOTION_CONTRAST, 1.0) if known else 0.0
    return (float(own[0]), float(own[1])), against, alone


def _own_family(names: FloatArray, found_by: tuple[str, ...]) -> tuple[str, ...]:
    """The colour family that explains most of a region; one of the family it was found by."""
    fitting = [family for family in FAMILIES if set(family) >= set(found_by)]
    return max(fitting or FAMILIES, key=lambda family: _explains(names, family))


def _explains(names: FloatArray, family: Sequence[str]) -> float:
    return float(sum(names[INDEX[name]] for name in family)) - 0.05 * len(family)


def sides_of(region: Region, width: int, height: int) -> frozenset[str]:
    """Sides of the picture that a region touches, of "left top right bottom"."""
    touches = {
        "left": region.x0 <= 0,
        "top": region.y0 <= 0,
        "right": region.x0 + region.mask.shape[1] >= width,
        "bottom": region.y0 + region.mask.shape[0] >= height,
    }
    return frozenset(side for side, touched in touches.items() if touched)


def overlap(first: Candidate, second: Candidate) -> int:
    """Pixels that two regions share."""
    x0, x1 = max(first.x0, second.x0), min(first.x1, second.x1)
    y0, y1 = max(first.y0, second.y0), min(first.y1, second.y1)
    if x0 >= x1 or y0 >= y1:
        return 0
    a = first.mask[y0 - first.y0 : y1 - first.y0, x0 - first.x0 : x1 - first.x0]
    b = second.mask[y0 - second.y0 : y1 - second.y0, x0 - second.x0 : x1 - second.x0]
    return int(np.count_nonzero(a & b))


def _distinct(item: Candidate, better: Candidate) -> bool:
    """Whether a region says something that a more object-like one does not."""
    if _is_lost_in(item, better):
        return True
    shared = overlap(item, better)
    return shared < 0.5 * min(item.area, better.area)


def _is_lost_in(item: Candidate, larger: Candidate) -> bool:
    """Whether a thing of its own lies in a sprawling region that only its size put first."""
    return 6 * item.area < larger.area and item.objectness > 1.25 * larger.objectness


def _is_fragment(item: Candidate, larger: Candidate) -> bool:
    """Whether a region is a speck of another one's pattern: inside its box, of a kindred colour."""
    if 3 * item.area > larger.area or larger.objectness < 0.2 or len(larger.sides) > 1:
        return False
    if larger.area < 0.25 * larger.mask.size or _is_lost_in(item, larger):
        return False
    width = min(item.x1, larger.x1 + 1) - max(item.x0, larger.x0 - 1)
    height = min(item.y1, larger.y1 + 1) - max(item.y0, larger.y0 - 1)
    if min(width, height) <= 0 or width * height < 0.75 * item.mask.size:
        return False
    if _covered_about(item, larger) < 0.2:
        return False
    kindred = np.minimum((larger.names @ KINSHIP) / 0.3, 1.0)
    return float(item.names @ kindred) > 0.6


def _covered_about(item: Candidate, other: Candidate, margin: int = 3) -> float:
    """Share of a region's box and a margin around it that another region covers."""
    rows = slice(max(item.y0 - margin - other.y0, 0), max(item.y1 + margin - other.y0, 0))
    columns = slice(max(item.x0 - margin - other.x0, 0), max(item.x1 + margin - other.x0, 0))
    near = other.mask[rows, columns]
    return float(np.count_nonzero(near)) / (item.mask.size + 1)
