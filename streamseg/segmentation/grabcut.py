"""GrabCutSegmenter: box and points to a mask without weights (Rother et al., SIGGRAPH 2004).

Cuts a bounded copy of the picture around each box and refines the edge at full resolution.
Knows nothing of time nor of words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.config import GrabCutConfig
from streamseg.segmentation.refine import refine_edge
from streamseg.types import Box, Frame, Image, Mask, Point, Segmented, Target

Trimap = NDArray[np.uint8]
"""(h, w) uint8 of cv2.GC_BGD, GC_FGD, GC_PR_BGD, GC_PR_FGD."""


@dataclass(frozen=True, slots=True, eq=False)
class _Crop:
    """A target in the pixels of its crop.

    Attributes:
        rows, columns: Where the crop lies in the frame.
        scale: Small pixels per frame pixel.
        small: (h, w, 3) uint8 RGB, between `min_side` and `max_side` long.
        box: In small pixels, clipped to the crop.
        positive, negative: In small pixels, those that lie in the crop.
    """

    rows: slice
    columns: slice
    scale: float
    small: Image
    box: Box
    positive: tuple[Point, ...]
    negative: tuple[Point, ...]


class GrabCutSegmenter:
    """Implements `Segmenter`. Keeps no state between calls: any number of threads may share it."""

    def __init__(self, config: GrabCutConfig) -> None:
        self._config = config

    def segment(self, frame: Frame, targets: Sequence[Target]) -> list[Segmented]:
        """Cut every target on its own; the order of targets does not change a mask."""
        return [self._segment_one(frame, target) for target in targets]

    def _segment_one(self, frame: Frame, target: Target) -> Segmented:
        mask: Mask = np.zeros((frame.height, frame.width), np.bool_)
        crop = _crop(frame.image, target, self._config)
        if crop is None:
            return Segmented(mask, 0.0)
        small = self._cut(crop)
        if not small.any():
            return Segmented(mask, 0.0)
        score = _score(crop, small)
        window = frame.image[crop.rows, crop.columns]
        mask[crop.rows, crop.columns] = refine_edge(window, small, crop.scale)
        return Segmented(mask, score)

    def _cut(self, crop: _Crop) -> NDArray[np.uint8]:
        """(h, w) uint8 0 or 1 in small pixels: the best of several starts."""
        best: NDArray[np.uint8] = np.zeros(crop.small.shape[:2], np.uint8)
        best_score = -1.0
        for start in (_start_colour, _start_box, _start_ellipse):
            cut = _tidy(self._grabcut(crop, start(crop)), crop)
            score = _score(crop, cut) if not _collapsed(cut, crop) else -0.5
            if score > best_score:
                best, best_score = cut, score
            if best_score > self._config.good_score:
                break
        if best_score < 0:
            best = (_start_ellipse(crop) == cv2.GC_PR_FGD).astype(np.uint8)
        return best

    def _grabcut(self, crop: _Crop, trimap: Trimap) -> NDArray[np.uint8]:
        _pin(trimap, crop.positive, cv2.GC_FGD, _disc_radius(crop))
        _pin(trimap, crop.negative, cv2.GC_BGD, _disc_radius(crop))
        if not np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD)).any():
            return np.zeros(trimap.shape, np.uint8)
        if not np.isin(trimap, (cv2.GC_BGD, cv2.GC_PR_BGD)).any():
            trimap[0] = trimap[-1] = cv2.GC_PR_BGD
            trimap[:, 0] = trimap[:, -1] = cv2.GC_PR_BGD
        cv2.setRNGSeed(self._config.seed)  # per thread; k-means inside draws from it
        background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(
            crop.small, trimap, (0, 0, 1, 1), background, foreground,
            self._config.iterations, cv2.GC_INIT_WITH_MASK,
        )  # fmt: skip
        return trimap & np.uint8(1)  # GC_FGD is 1, GC_PR_FGD is 3


def _crop(image: Image, target: Target, config: GrabCutConfig) -> _Crop | None:
    """The bounded crop around a target; None when its box holds no pixel of the picture."""
    height, width = image.shape[:2]
    if not all(np.isfinite(target.box)):
        return None
    x0, y0 = max(0.0, target.box[0]), max(0.0, target.box[1])
    x1, y1 = min(float(width), target.box[2]), min(float(height), target.box[3])
    if x1 - x0 < 1 or y1 - y0 < 1:
        return None
    margin = max(8.0, config.margin * max(x1 - x0, y1 - y0))
    left, top = int(max(0.0, x0 - margin)), int(max(0.0, y0 - margin))
    right, bottom = int(min(width, x1 + margin + 1)), int(min(height, y1 + margin + 1))
    side = max(right - left, bottom - top)
    # A small object is enlarged: the cut's cost of an edge is per pixel and would fill its holes.
    scale = float(np.clip(config.min_side / side, min(1.0, config.max_side / side), 3.0))
    window = image[top:bottom, left:right]
    small = window if scale == 1 else cv2.resize(
        window, None, fx=scale, fy=scale,
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC,
    )  # fmt: skip
    return _Crop(
        slice(top, bottom),
        slice(left, right),
        scale,
        np.ascontiguousarray(small),
        ((x0 - left) * scale, (y0 - top) * scale, (x1 - left) * scale, (y1 - top) * scale),
        _inside(target.positive, left, top, scale, small.shape),
        _inside(target.negative, left, top, scale, small.shape),
    )


def _inside(
    points: Sequence[Point], left: int, top: int, scale: float, shape: tuple[int, ...]
) -> tuple[Point, ...]:
    moved = (((x - left) * scale, (y - top) * scale) for x, y in points)
    return tuple((x, y) for x, y in moved if 0 <= x < shape[1] and 0 <= y < shape[0])


def _span(crop: _Crop, slack: float = 0.0) -> tuple[slice, slice]:
    """Rows and columns of the box, grown by a share of its sides: boxes come a little tight."""
    x0, y0, x1, y1 = crop.box
    dx, dy = slack * (x1 - x0), slack * (y1 - y0)
    return (
        slice(max(0, round(y0 - dy)), max(round(y0 - dy) + 1, round(y1 + dy))),
        slice(max(0, round(x0 - dx)), max(round(x0 - dx) + 1, round(x1 + dx))),
    )


def _start_colour(crop: _Crop) -> Trimap:
    """In the box, what is seldom seen outside it is object: finds holes that a box start fills."""
    trimap = np.full(crop.small.shape[:2], cv2.GC_BGD, np.uint8)
    span = _span(crop)
    trimap[_span(crop, 0.03)] = cv2.GC_PR_BGD
    lab = cv2.cvtColor(crop.small, cv2.COLOR_RGB2Lab)
    inside = np.zeros(trimap.shape, np.uint8)
    inside[span] = 1
    own, other = _colours(lab, inside), _colours(lab, 1 - inside)
    index = lab >> np.array([5, 4, 4], np.uint8)
    ratio = np.log((own + 1e-3) / (other + 1e-3))
    rare = cv2.blur(ratio[index[..., 0], index[..., 1], index[..., 2]], (3, 3)) > 0.3
    trimap[span][rare[span]] = cv2.GC_PR_FGD
    return trimap


def _colours(lab: NDArray[Any], region: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(8, 16, 16) float32 Lab histogram of a 0/1 region, sums to 1."""
    counts = cv2.calcHist([lab], [0, 1, 2], region, [8, 16, 16], [0, 256, 0, 256, 0, 256])
    return np.asarray(counts / max(float(counts.sum()), 1.0), np.float32)


def _start_box(crop: _Crop) -> Trimap:
    """The whole box may be object, nothing else may."""
    trimap = np.full(crop.small.shape[:2], cv2.GC_BGD, np.uint8)
    trimap[_span(crop, 0.03)] = cv2.GC_PR_BGD
    trimap[_span(crop)] = cv2.GC_PR_FGD
    return trimap


def _start_ellipse(crop: _Crop) -> Trimap:
    """An ellipse in the box is object, the box's corners more likely not."""
    trimap = np.full(crop.small.shape[:2], cv2.GC_BGD, np.uint8)
    trimap[_span(crop, 0.03)] = cv2.GC_PR_BGD
    x0, y0, x1, y1 = crop.box
    middle = (round((x0 + x1) / 2), round((y0 + y1) / 2))
    axes = (max(1, round(0.4 * (x1 - x0))), max(1, round(0.4 * (y1 - y0))))
    cv2.ellipse(trimap, middle, axes, 0, 0, 360, int(cv2.GC_PR_FGD), -1)
    return trimap


def _pin(trimap: Trimap, points: Sequence[Point], value: int, radius: int) -> None:
    for x, y in points:
        cv2.circle(trimap, (int(x), int(y)), radius, value, -1)


def _disc_radius(crop: _Crop) -> int:
    x0, y0, x1, y1 = crop.box
    return max(1, round(0.03 * min(x1 - x0, y1 - y0)))


def _collapsed(cut: NDArray[np.uint8], crop: _Crop) -> bool:
    """Nearly nothing of the box is left."""
    inside = cut[_span(crop)]
    return inside.size == 0 or float(inside.mean()) < 0.08


def _tidy(cut: NDArray[np.uint8], crop: _Crop) -> NDArray[np.uint8]:
    """Keep the parts that belong to the target and close pinholes; real holes stay."""
    kept = _keep_parts(cut, crop)
    area = int(kept.sum())
    if area == 0:
        return kept
    count, labels, stats, _ = cv2.connectedComponentsWithStats(1 - kept, connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < max(4.0, 0.003 * area)
    small[0] = False
    if count > 1 and small.any():
        kept = kept | small[labels].astype(np.uint8)
    return kept


def _keep_parts(cut: NDArray[np.uint8], crop: _Crop) -> NDArray[np.uint8]:
    """The parts with a positive point (or the box's middle) and others not much smaller."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(cut, connectivity=8)
    if count <= 2:
        return cut
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    areas[0] = 0
    x0, y0, x1, y1 = crop.box
    anchors = crop.positive or (((x0 + x1) / 2, (y0 + y1) / 2),)
    touched = {part for point in anchors for part in _parts_at(labels, point, 0)} - {0}
    refused = {part for part in range(1, count) if _is_refused(labels, part, crop)} - touched
    if len(refused) < count - 1:
        areas[list(refused)] = 0
    main = max(touched, key=lambda part: areas[part], default=int(areas.argmax()))
    if areas[main] < 0.1 * areas.max():
        main = int(areas.argmax())
    keep = areas >= 0.15 * areas[main]
    keep[list(touched)] = True
    keep[0] = False
    kept: NDArray[np.uint8] = keep[labels].astype(np.uint8)
    return kept


def _is_refused(labels: NDArray[Any], part: int, crop: _Crop) -> bool:
    """A negative point lies in the part: it has pricked a hole that the part closes all round."""
    reach = _disc_radius(crop) + 2
    return any(np.mean(_parts_at(labels, point, reach) == part) > 0.4 for point in crop.negative)


def _parts_at(labels: NDArray[Any], point: Point, reach: int) -> NDArray[Any]:
    """Labels of the pixels around a point, flat."""
    x = min(int(point[0]), labels.shape[1] - 1)
    y = min(int(point[1]), labels.shape[0] - 1)
    near = labels[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
    return near.ravel()


def _score(crop: _Crop, cut: NDArray[np.uint8]) -> float:
    """In [0, 1]: do its colours part from the surroundings', does it fill its box?"""
    if not cut.any() or cut.all():
        return 0.0
    lab = cv2.cvtColor(crop.small, cv2.COLOR_RGB2Lab)
    inside, outside = _colours(lab, cut), _colours(lab, 1 - cut)
    parted = 1.0 - float(np.sqrt(inside * outside).sum())
    x, y, width, height = cv2.boundingRect(cut)
    x0, y0, x1, y1 = crop.box
    overlap = max(0.0, min(x + width, x1) - max(x, x0)) * max(0.0, min(y + height, y1) - max(y, y0))
    filled = overlap / max(width * height + (x1 - x0) * (y1 - y0) - overlap, 1.0)
    return float(np.clip(0.5 * min(1.0, 1.4 * parted) + 0.5 * filled, 0.0, 1.0))
