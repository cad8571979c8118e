"""Where objects may be: connected regions of one colour, of salience, or of motion; measures none.

Three cues propose regions in the working picture: one colour family seen where the picture is
salient, one colour family wherever it is, and pixels that move against the camera.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.reasoning.seen.colour import FAMILIES, INDEX
from streamseg.reasoning.seen.picture import Picture
from streamseg.types import Mask

_MIN_AREA_FRACTION = 0.0004
_MAX_AREA_FRACTION = 0.5
_SALIENT = 0.2
_MOST_PER_MASK = 10
_GROWTH = 3.0
"""A region that grows to its edges by more than this has leaked."""
_CROSS = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A mask (bh, bw) bool at (x0, y0) in working pixels, and what proposed it.

    `family` holds the colour names it was found by, none for salience and motion.
    """

    x0: int
    y0: int
    mask: Mask
    area: int
    family: tuple[str, ...]
    cue: str

    @property
    def key(self) -> tuple[int, ...]:
        """Equal for regions that are all but surely the same."""
        return (self.x0, self.y0, *self.mask.shape, self.area)


def propose(picture: Picture, sought: frozenset[str] = frozenset()) -> list[Region]:
    """All regions worth measuring.

    Args:
        sought: Colour names asked for. Away from what is salient only these are looked for;
            every name when none is asked for.
    """
    found: dict[tuple[int, ...], Region] = {}
    for cue, family, mask in _masks(picture, sought):
        for region in _components(mask, family, cue):
            found.setdefault(region.key, region)
    return list(found.values())


def _masks(
    picture: Picture, sought: frozenset[str]
) -> Iterator[tuple[str, tuple[str, ...], NDArray[np.uint8]]]:
    """Yield (cue, colour family, (h, w) uint8 mask)."""
    core = (picture.saliency > _SALIENT).astype(np.uint8)
    salient = np.asarray(cv2.dilate(core, _CROSS), np.uint8)
    yield "salience", (), _closed(core)
    speed = np.hypot(picture.velocity[..., 0], picture.velocity[..., 1])
    moving = (speed > 2.5 * picture.speed_noise).astype(np.uint8)
    yield "motion", (), np.asarray(cv2.morphologyEx(moving, cv2.MORPH_OPEN, _CROSS))
    shares = [picture.names[..., k].astype(np.uint16) for k in range(picture.names.shape[2])]
    least = _MIN_AREA_FRACTION * core.size
    for family in FAMILIES:
        share = np.sum([shares[INDEX[name]] for name in family], axis=0)
        mask = np.asarray(share > 127, np.uint8)
        covered = cv2.countNonZero(mask)
        if covered < least:
            continue
        yield "salient colour", family, _closed(mask & salient)
        if covered < 0.6 * mask.size and (not sought or sought.intersection(family)):
            yield "colour", family, _closed(mask)


def _closed(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _CROSS))


def _components(mask: NDArray[np.uint8], family: tuple[str, ...], cue: str) -> Iterator[Region]:
    """The largest connected regions of a fitting size, small holes filled."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = stats[1:count, cv2.CC_STAT_AREA]
    fitting = (areas >= _MIN_AREA_FRACTION * mask.size) & (areas <= _MAX_AREA_FRACTION * mask.size)
    found = np.flatnonzero(fitting) + 1
    for label in found[np.argsort(-stats[found, cv2.CC_STAT_AREA], kind="stable")][:_MOST_PER_MASK]:
        x, y, w, h, area = (int(value) for value in stats[label])
        if min(w, h) >= 3:
            crop = _without_small_holes(labels[y : y + h, x : x + w] == label, area)
            yield Region(x, y, crop, int(np.count_nonzero(crop)), family, cue)


def _without_small_holes(mask: Mask, area: int) -> Mask:
    """Fill holes of less than a tenth of the region: dots, highlights, noise; not a ring's."""
    outside = cv2.copyMakeBorder((~mask).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(outside, connectivity=4)
    if count <= 2:
        return mask
    small = stats[:, cv2.CC_STAT_AREA] < 0.1 * area
    small[0] = small[labels[0, 0]] = False
    filled: Mask = mask | small[labels[1:-1, 1:-1]]
    return filled


def _holes(mask: Mask) -> Mask:
    """The middle of what a mask encloses but does not cover."""
    outside = cv2.copyMakeBorder((~mask).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, labels = cv2.connectedComponents(outside, connectivity=4)
    enclosed = (outside > 0) & (labels != labels[0, 0])
    return cv2.erode(enclosed.astype(np.uint8), _CROSS)[1:-1, 1:-1] > 0


def grow(picture: Picture, regions: Sequence[Region]) -> list[Region | None]:
    """Grow regions to the nearest strong edges, all at once; None for those that leak.

    A ball's shaded side may have the ground's own colour; what ends it is an edge. Marker-based
    watershed (Meyer, 1992) from the regions' cores, and from whatever is far from all of them.

    Args:
        regions: Best first; where two overlap, the better one's core counts.
    """
    markers = np.ones(picture.shape, np.int32)
    for region in regions:
        reach = round(3 + 0.22 * math.sqrt(region.mask.size))
        bottom, right = region.y0 + region.mask.shape[0], region.x0 + region.mask.shape[1]
        top, left = max(region.y0 - reach, 0), max(region.x0 - reach, 0)
        markers[top : bottom + reach, left : right + reach] = 0
    for number, region in reversed(list(enumerate(regions, start=2))):
        core = cv2.erode(
            region.mask.astype(np.uint8), _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0
        )
        bottom, right = region.y0 + region.mask.shape[0], region.x0 + region.mask.shape[1]
        inner = markers[region.y0 : bottom, region.x0 : right]
        inner[_holes(region.mask)] = 1
        inner[core > 0 if core.any() else region.mask] = number
    cv2.watershed(picture.rgb, markers)
    grown: list[Region | None] = []
    for number, region in enumerate(regions, start=2):
        mask = _closed((markers == number).astype(np.uint8))
        cue = f"{region.cue}, grown to its edges"
        whole = next(_components(mask, region.family, cue), None)
        leaks = whole is None or whole.area >= _GROWTH * region.area
        grown.append(None if leaks else whole)
    return grown
