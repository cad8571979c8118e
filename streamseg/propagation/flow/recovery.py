"""Looks for a lost object: a spot of its colours, of its size and outline, where it can have come.

Refuses where two spots would do: a look-alike is not an answer. Knows nothing of other objects
but the pixels they hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamseg.propagation.flow.appearance import (
    ColourModel,
    Gain,
    colour_index,
    histogram,
    likelihood,
    relit,
    similarity,
)
from streamseg.propagation.flow.carry import BoxF, Plane, Region, Silhouette
from streamseg.propagation.flow.opencv import cv2
from streamseg.propagation.flow.pictures import Picture

_LEAST_SIMILARITY = 0.72
_LEAST_OVERLAP = 0.8
_LOCALLY = 3.0
_TURNS = 24
_SPEED_PX = 12.0
_START_PX = 48.0


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """What a lost object is known by.

    Attributes:
        model: Its colours.
        outline: Its whole outline when last seen well.
        place: Level-0 box where it was seen last.
        light: How the light has changed since its colours were learnt.
        unseen: Frames since.
    """

    model: ColourModel
    outline: Silhouette
    place: BoxF
    light: Gain | None
    unseen: int


def recover(wanted: Wanted, now: Picture, taken: Sequence[Silhouette]) -> Silhouette | None:
    """The object's silhouette where it is surely seen again, else None.

    Args:
        taken: Silhouettes of the objects that are seen: their pixels are not searched.
    """
    side = float(np.sqrt(wanted.outline.area))
    level = int(np.clip(np.log2(max(side, 1.0) / 12.0), 1, 3))
    region = _window(wanted, level, now)
    if region is None:
        return None
    bins = _bins(region, now, wanted.light)
    own = 0.5 * (wanted.model.key + wanted.model.recent)
    # What surrounded it last may have been the look-alike that covered it.
    everywhere = now.colours(level)
    common = np.maximum(np.minimum(wanted.model.around, _LOCALLY * everywhere), everywhere)
    ratio = np.log((own + 2e-4) / (common + 2e-4))
    likely = likelihood(ratio.take(bins))
    for silhouette in taken:
        likely *= 1.0 - silhouette.at(region)
    likely = cv2.blur(likely, (3, 3))
    found = [spot for spot in _spots(likely, region, wanted) if _looks_right(spot, bins, own)]
    fits = [(spot, _fit(spot, wanted.outline)) for spot in found]
    right = [spot for spot, overlap in fits if overlap >= _LEAST_OVERLAP]
    if len(right) != 1:
        return None
    return Silhouette(region, right[0] * likely)


def _bins(region: Region, now: Picture, light: Gain | None) -> NDArray[np.uint16]:
    """Colour bins of the region: shared between objects unless the light has changed."""
    if light is None:
        return region.cut(now.bins(region.level))
    return colour_index(relit(region.of(now), light))[1]


def _window(wanted: Wanted, level: int, now: Picture) -> Region | None:
    """Where it can have got to since, growing with time."""
    reach = _START_PX + _SPEED_PX * wanted.unseen
    x0, y0, x1, y1 = wanted.place
    return Region.around((x0 - reach, y0 - reach, x1 + reach, y1 + reach), level, now)


def _spots(likely: Plane, region: Region, wanted: Wanted) -> list[Plane]:
    """Connected likely spots of about the object's size, each as a (h, w) float32 0/1 plane."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        (likely > 0.5).view(np.uint8), connectivity=8
    )
    usual = wanted.outline.area / 4.0**region.level
    areas = stats[:, cv2.CC_STAT_AREA]
    return [
        (labels == piece).astype(np.float32)
        for piece in range(1, count)
        if 0.55 * usual <= areas[piece] <= 1.6 * usual
    ]


def _looks_right(spot: Plane, bins: NDArray[np.uint16], own: NDArray[np.float32]) -> bool:
    return similarity(histogram(bins, spot), own) >= _LEAST_SIMILARITY


def _fit(spot: Plane, outline: Silhouette) -> float:
    """Best overlap (IoU) of a spot with the outline, both centred and scaled, at any turn."""
    own, other = _normalised(spot), _normalised(outline.soft)
    best = 0.0
    for turn in range(_TURNS):
        matrix = cv2.getRotationMatrix2D((15.5, 15.5), 360.0 * turn / _TURNS, 1.0)
        turned = cv2.warpAffine(other, matrix, (32, 32))
        union = float(np.maximum(own, turned).sum())
        best = max(best, float(np.minimum(own, turned).sum()) / max(union, 1.0))
    return best


def _normalised(plane: Plane) -> Plane:
    """(32, 32) float32: centred, and scaled to a standard area."""
    moments = cv2.moments(plane)
    mass = max(moments["m00"], 1e-6)
    scale = float(np.sqrt(260.0 / mass))
    x, y = moments["m10"] / mass, moments["m01"] / mass
    matrix = np.array([[scale, 0, 15.5 - scale * x], [0, scale, 15.5 - scale * y]])
    result: Plane = cv2.warpAffine(plane, matrix, (32, 32), flags=cv2.INTER_LINEAR)
    return result
