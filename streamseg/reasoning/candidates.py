"""Regions that may be objects, each measured once; knows nothing of the query.

Three cues propose regions in a small working picture: one colour family seen where the picture is
salient, one colour family wherever it is, and pixels that move against the camera. Regions that
explain the same thing compete by objectness, and the best stays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.reasoning.colour import INDEX, NAMES
from streamseg.types import Image, Mask

FloatArray = NDArray[np.float32]

MAX_CANDIDATES = 48
_MIN_AREA_FRACTION = 0.0004
_MAX_AREA_FRACTION = 0.5
_FAMILIES: tuple[tuple[str, ...], ...] = (
    *((name,) for name in NAMES),
    ("orange", "brown"),
    ("orange", "red"),
    ("orange", "yellow"),
    ("yellow", "brown", "beige"),
    ("brown", "black"),
    ("pink", "purple"),
    ("blue", "purple"),
    ("cyan", "blue"),
    ("green", "cyan"),
    ("white", "gray"),
    ("white", "beige"),
    ("white", "pink"),
    ("gray", "black"),
    ("white", "gray", "black"),
)
"""Names that one object's lit and shaded parts, or its two tones, may have."""


def _kinship() -> FloatArray:
    """(13, 13): a name counts also as the names that stand with it in a family."""
    near = np.eye(len(NAMES), dtype=np.float32)
    for family in _FAMILIES:
        for one in family:
            for other in family:
                near[INDEX[one], INDEX[other]] = max(near[INDEX[one], INDEX[other]], 0.7)
    return near


_KINSHIP = _kinship()


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


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One region in working pixels.

    Attributes:
        x0, y0: Where `mask` lies in the picture.
        mask: (bh, bw) bool, cropped to the region.
        area: Its pixels.
        names: (13,) float32, the mean membership in each colour name.
        lab: (3,) float32 mean colour.
        purity: Share of the region that its own colour family explains, in [0, 1].
        objectness: In [0, 1]: salient inside, not salient around, one colour.
        velocity: (vx, vy) in working pixels per second against the camera.
        sides: Sides of the picture it touches, of "left top right bottom".
        cue: The generator that proposed it, for the reasons given to people.
    """

    x0: int
    y0: int
    mask: Mask
    area: int
    names: FloatArray
    lab: FloatArray
    purity: float
    objectness: float
    velocity: tuple[float, float]
    sides: frozenset[str]
    cue: str

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
        """What it competes by: a whole thing goes before its part."""
        return self.objectness * float(self.area**0.15)

    @property
    def speed(self) -> float:
        return float(np.hypot(*self.velocity))


def find(picture: Picture) -> list[Candidate]:
    """Return at most `MAX_CANDIDATES` regions, most object-like first, little overlap between."""
    proposals: dict[tuple[int, ...], Candidate] = {}
    for cue, family, mask in _masks(picture):
        for region in _components(mask, picture.shape):
            key = (region.x0, region.y0, *region.mask.shape, region.area)
            if key not in proposals:
                proposals[key] = _measure(picture, region, family, cue)
    kept = _strongest(list(proposals.values()))
    return _strongest([*_completed(picture, kept), *kept])


def _strongest(proposals: Sequence[Candidate]) -> list[Candidate]:
    """Let regions that explain the same pixels compete by objectness."""
    order = sorted(proposals, key=lambda item: (-item.rank, -item.area, item.y0, item.x0))
    kept: list[Candidate] = []
    for item in order:
        if all(_distinct(item, other) for other in kept):
            kept.append(item)
            if len(kept) == MAX_CANDIDATES:
                break
    return [item for item in kept if not any(_is_fragment(item, other) for other in kept)]


def _completed(picture: Picture, kept: Sequence[Candidate]) -> list[Candidate]:
    """Grow the best regions to the nearest strong edge, all at once.

    A ball's shaded side may have the ground's own colour; what ends it is an edge. Marker-based
    watershed (Meyer, 1992) from the regions' cores and from what is surely ground.
    """
    height, width = picture.shape
    markers = np.ones((height, width), np.int32)
    grown = [item for item in kept if item.objectness > 0.15][:24]
    for item in reversed(grown):
        reach = round(3 + 0.22 * math.sqrt(item.mask.size))
        window = np.s_[
            max(item.y0 - reach, 0) : item.y1 + reach, max(item.x0 - reach, 0) : item.x1 + reach
        ]
        unsure = markers[window]
        unsure[picture.saliency[window] < 2.0] = 0
    for number, item in reversed(list(enumerate(grown, start=2))):
        core = cv2.erode(item.mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0)
        view = markers[item.y0 : item.y1, item.x0 : item.x1]
        view[(core > 0) if core.any() else item.mask] = number
    cv2.watershed(picture.rgb, markers)
    found = []
    for number, item in enumerate(grown, start=2):
        mask = _closed((markers == number).astype(np.uint8))
        region = max(_components(mask, picture.shape), key=lambda each: each.area, default=None)
        if region is not None and region.area < 3 * item.area:
            found.append(_measure(picture, region, (), f"{item.cue}, grown to its edges"))
    return found


def _masks(picture: Picture) -> Iterator[tuple[str, tuple[str, ...], NDArray[np.uint8]]]:
    """Yield (cue, colour family, (h, w) uint8 mask)."""
    salient = cv2.dilate((picture.saliency > 0.2).astype(np.uint8), np.ones((3, 3), np.uint8))
    yield "salient", (), _closed(cv2.erode(salient, np.ones((3, 3), np.uint8)))
    moving = np.hypot(picture.velocity[..., 0], picture.velocity[..., 1])
    mask = (moving > 2.5 * picture.speed_noise).astype(np.uint8)
    yield "moving", (), cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    for family in _FAMILIES:
        share = picture.names[..., INDEX[family[0]]].astype(np.uint16)
        for name in family[1:]:
            share += picture.names[..., INDEX[name]]
        mask = (share > 127).astype(np.uint8)
        covered = int(mask.sum()) / mask.size
        if covered < _MIN_AREA_FRACTION:
            continue
        yield "colour", family, _closed(mask & salient)
        if covered < 0.6:
            yield "plain colour", family, _closed(mask)


def _closed(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)))


@dataclass(frozen=True, slots=True, eq=False)
class _Region:
    x0: int
    y0: int
    mask: Mask
    area: int


def _components(mask: NDArray[np.uint8], shape: tuple[int, int]) -> Iterator[_Region]:
    """Connected regions of a fitting size, small holes filled."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    total = shape[0] * shape[1]
    large = np.flatnonzero(stats[1:count, cv2.CC_STAT_AREA] >= _MIN_AREA_FRACTION * total) + 1
    order = large[np.argsort(-stats[large, cv2.CC_STAT_AREA], kind="stable")][:14]
    for label in order:
        x, y, w, h, area = (int(value) for value in stats[label])
        if area > _MAX_AREA_FRACTION * total or min(w, h) < 3:
            continue
        crop = _without_small_holes(labels[y : y + h, x : x + w] == label, area)
        yield _Region(x, y, crop, int(crop.sum()))


def _without_small_holes(mask: Mask, area: int) -> Mask:
    """Fill holes of less than a tenth of the region: dots, highlights, noise; not a ring's."""
    outside = np.pad((~mask).astype(np.uint8), 1, constant_values=1)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(outside, connectivity=4)
    if count <= 2:
        return mask
    small = stats[:, cv2.CC_STAT_AREA] < 0.1 * area
    small[0] = small[labels[0, 0]] = False
    filled: Mask = mask | small[labels[1:-1, 1:-1]]
    return filled


def _measure(picture: Picture, region: _Region, family: Sequence[str], cue: str) -> Candidate:
    height, width = picture.shape
    pad = 4
    left, top = max(region.x0 - pad, 0), max(region.y0 - pad, 0)
    bottom = min(region.y0 + region.mask.shape[0] + pad, height)
    right = min(region.x0 + region.mask.shape[1] + pad, width)
    window = np.s_[top:bottom, left:right]
    inside = np.zeros((bottom - top, right - left), np.uint8)
    oy, ox = region.y0 - top, region.x0 - left
    inside[oy : oy + region.mask.shape[0], ox : ox + region.mask.shape[1]] = region.mask
    core = cv2.erode(inside, np.ones((3, 3), np.uint8), borderValue=1) > 0
    if core.sum() < 0.25 * region.area:
        core = inside > 0
    near = cv2.dilate(inside, np.ones((3, 3), np.uint8))
    around = (cv2.dilate(near, np.ones((5, 5), np.uint8)) > 0) & (near == 0)
    names = picture.names[window][core].mean(axis=0, dtype=np.float32) / 255.0
    members = [INDEX[name] for name in family] or _own_family(names)
    purity = min(float(names[members].sum()), 1.0)
    outline = (near > 0) & (cv2.erode(inside, np.ones((3, 3), np.uint8), borderValue=1) == 0)
    objectness = _objectness(picture, window, core, around, outline)
    velocity = np.median(picture.velocity[window][core], axis=0)
    return Candidate(
        region.x0, region.y0, region.mask, region.area, names,
        picture.lab[window][core].mean(axis=0), purity,
        objectness * math.sqrt(purity),
        (float(velocity[0]), float(velocity[1])),
        _sides(region, width, height), cue,
    )  # fmt: skip


def _objectness(
    picture: Picture, window: tuple[slice, slice], core: Mask, around: Mask, outline: Mask
) -> float:
    """In [0, 1]: its better half is salient, what is around is not, and an edge goes all round."""
    salient = picture.saliency[window]
    values = salient[core]
    within = float(values[values >= np.median(values)].mean())
    ground = 1.0 - float(salient[around].mean()) if around.any() else 0.0
    closed = float(picture.edges[window][outline].mean()) if outline.any() else 0.0
    return (0.15 + 0.85 * within) * (0.25 + 0.75 * ground) * (0.1 + 0.9 * closed)


def _own_family(names: FloatArray) -> list[int]:
    """The colour family that explains most of a region that was not found by colour."""
    best = max(_FAMILIES, key=lambda family: _explains(names, family))
    return [INDEX[name] for name in best]


def _explains(names: FloatArray, family: Sequence[str]) -> float:
    return float(sum(names[INDEX[name]] for name in family)) - 0.05 * len(family)


def _sides(region: _Region, width: int, height: int) -> frozenset[str]:
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
    shared = overlap(item, better)
    return shared < 0.5 * min(item.area, better.area)


def _is_fragment(item: Candidate, larger: Candidate) -> bool:
    """Whether a region is a speck of another one's pattern: inside its box, of a kindred colour."""
    if 3 * item.area > larger.area or larger.objectness < 0.2:
        return False
    width = min(item.x1, larger.x1 + 1) - max(item.x0, larger.x0 - 1)
    height = min(item.y1, larger.y1 + 1) - max(item.y0, larger.y0 - 1)
    if min(width, height) <= 0 or width * height < 0.75 * item.mask.size:
        return False
    return float(np.minimum(item.names @ _KINSHIP, larger.names @ _KINSHIP).sum()) > 0.35
