"""Rewards of a completion: what reinforcement learning pays a reasoning model for.

Source: VideoSeg-R1 (arXiv 2511.16077): the negative-point reward and the soft length penalty; the
other four are VisionReasoner's, which it takes over. Beyond both, an empty answer to an empty truth
scores in full, or "no such object" would never be learned. Pure functions of a completion, read
once (`Completion.of`), and of the truth.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from streamseg.types import Box, Mask, Point

SIDE_PX = 840.0
"""The thresholds below are pixels of a square picture of this side, as in the papers; on another
picture they grow with the root of its area."""
BOX_IOU = 0.5
BOX_L1_PX = 10.0
POINT_PX = 30.0
NEGATIVE_PX = 40.0
"""tau_neg: a negative point further from every object teaches nothing."""
LENGTH_BETA = 0.005
"""What a token beyond the budget takes from the total (ours; the paper does not say)."""
MOST_ITEMS = 120
"""Lists are cut there, as in VisionReasoner."""

_WHOLE = re.compile(r"\s*<think>(.*?)</think>\s*<answer>(.*?)</answer>\s*", re.DOTALL)
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_THINK = re.compile(r"<think>(.*?)</think>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Predicted:
    """One object of an answer, in pixels of the picture; None where it is not well written."""

    box: Box | None
    point: Point | None
    negatives: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """A completion, read once.

    Attributes:
        whole: It is one think block, white space, one answer block, and nothing else.
        thinking: What stands in the think block.
        items: The objects of its answer; None where that is no JSON list of objects.
    """

    whole: bool
    thinking: str
    items: tuple[Predicted, ...] | None

    @classmethod
    def of(cls, text: str, scale: tuple[float, float] = (1.0, 1.0)) -> Completion:
        """Read a completion, strictly: what is not as asked for earns nothing.

        Args:
            scale: From the completion's coordinates to pixels of the picture, x and y.
        """
        whole = _WHOLE.fullmatch(text)
        if whole is not None and "<think>" not in whole[1] and "<answer>" not in whole[2]:
            return cls(True, whole[1], _items(whole[2], scale))
        answer, thought = _ANSWER.search(text), _THINK.search(text)
        items = None if answer is None else _items(answer[1], scale)
        return cls(False, "" if thought is None else thought[1], items)


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is right about one picture and sentence.

    Attributes:
        boxes, points: Of every object meant, in pixels; none where the sentence means nothing.
        distance: (H, W) float32, the L1 distance in pixels to the nearest object; None where no
            mask is known, and then no negative point can be judged.
        scale: What the papers' pixels are on this picture.
    """

    boxes: tuple[Box, ...]
    points: tuple[Point, ...]
    distance: NDArray[np.float32] | None = None
    scale: float = 1.0

    @classmethod
    def of_masks(cls, masks: Sequence[Mask], size: tuple[int, int]) -> Truth:
        """From masks (H, W) bool, as the paper does: extreme pixels, and one centre each.

        Args:
            size: Width and height of the picture.

        Raises:
            ValueError: A mask of another size, or an empty one.
        """
        width, height = size
        boxes, points = [], []
        away = np.ones((height, width), np.uint8)
        for mask in masks:
            if mask.shape != (height, width) or not mask.any():
                raise ValueError(
                    f"expected masks of ({height}, {width}) with at least a pixel, "
                    f"got {mask.shape} with {int(mask.sum())}"
                )
            x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
            boxes.append((float(x), float(y), float(x + w), float(y + h)))
            points.append((x + w / 2, y + h / 2))
            away[mask] = 0
        distance = None
        if masks:
            distance = np.asarray(cv2.distanceTransform(away, cv2.DIST_L1, 3), np.float32)
        return cls(tuple(boxes), tuple(points), distance, math.sqrt(width * height) / SIDE_PX)


def thinking_format(completion: Completion) -> float:
    """0 or 1: the whole output is one think block and one answer block (VisionReasoner)."""
    return float(completion.whole)


def answer_format(completion: Completion, truth: Truth) -> float:
    """0 to 2: the mean over the items of 1 for a box of four numbers and 1 for a point of two
    (VisionReasoner). An empty list has no items to be wrong: in full where the truth is empty."""
    items = completion.items
    if items is None:
        return 0.0
    if not items:
        return 0.0 if truth.boxes else 2.0
    return sum((item.box is not None) + (item.point is not None) for item in items) / len(items)


def accuracy(completion: Completion, truth: Truth) -> float:
    """0 to 3: the best matching's sum of `pair` over max(objects answered, objects meant)
    (VisionReasoner; Hungarian matching at cost 3 - sum)."""
    items = completion.items
    if items is None:
        return 0.0
    if not items or not truth.boxes:
        return 0.0 if items or truth.boxes else 3.0
    items, boxes = items[:MOST_ITEMS], truth.boxes[:MOST_ITEMS]
    table = [
        [
            pair(item, box, point, truth.scale)
            for box, point in zip(boxes, truth.points, strict=False)
        ]
        for item in items
    ]
    return _best_sum(table) / max(len(items), len(boxes))


def pair(item: Predicted, box: Box, point: Point, scale: float = 1.0) -> float:
    """0 to 3, whole: one each for box IoU > 0.5, mean absolute coordinate error < 10 px, and a
    point nearer than 30 px that lies inside its own box (VisionReasoner)."""
    if item.box is None:
        return 0.0
    x0, y0, x1, y1 = item.box
    error = (abs(x0 - box[0]) + abs(y0 - box[1]) + abs(x1 - box[2]) + abs(y1 - box[3])) / 4
    earned = float(box_iou(item.box, box) > BOX_IOU) + float(error < BOX_L1_PX * scale)
    if item.point is not None:
        x, y = item.point
        near = math.hypot(x - point[0], y - point[1]) < POINT_PX * scale
        earned += float(near and x0 <= x <= x1 and y0 <= y <= y1)
    return earned


def box_iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes by the papers' convention: both ends count as pixels,
    so that a box of one pixel has an area of 1."""
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return common / (sum(areas) - common)


def non_repeat(completion: Completion) -> float:
    """0 or 1: 0 once more than one sentence of the thinking has been said before
    (VisionReasoner)."""
    sentences = [part.strip() for part in completion.thinking.split(".")]
    counts = Counter(sentence for sentence in sentences if sentence)
    return float(sum(count - 1 for count in counts.values()) <= 1)


def negative_point(completion: Completion, truth: Truth) -> float:
    """0 to 1: the share of the negative points that lie off every object but no further than
    tau_neg = 40 px (L1) from the nearest (VideoSeg-R1). Nothing without a single one, but for an
    empty answer to an empty truth."""
    items = completion.items
    if items is None:
        return 0.0
    if not items and not truth.boxes:
        return 1.0
    points = [point for item in items for point in item.negatives]
    if not points or truth.distance is None:
        return 0.0
    height, width = truth.distance.shape
    valid = 0
    for x, y in points:
        if 0 <= x < width and 0 <= y < height:
            valid += 0 < float(truth.distance[int(y), int(x)]) <= NEGATIVE_PX * truth.scale
    return valid / len(points)


def length_factor(used: int, budget: float, beta: float = LENGTH_BETA) -> float:
    """In [0, 1]: 1 - beta (used - budget) past the budget L(D), never below 0 (VideoSeg-R1, soft
    length penalty).

    Args:
        used, budget: Tokens.
    """
    return min(1.0, max(0.0, 1.0 - beta * max(0.0, used - budget)))


def total(
    completion: Completion, truth: Truth, used: int, budget: float, beta: float = LENGTH_BETA
) -> float:
    """0 to 8: the sum of the five rewards times the length factor (VideoSeg-R1)."""
    earned = (
        thinking_format(completion)
        + answer_format(completion, truth)
        + accuracy(completion, truth)
        + non_repeat(completion)
        + negative_point(completion, truth)
    )
    return earned * length_factor(used, budget, beta)


def _items(text: str, scale: tuple[float, float]) -> tuple[Predicted, ...] | None:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(read, list):
        return None
    items = [_item(each, scale) for each in read[:MOST_ITEMS]]
    return None if any(item is None for item in items) else tuple(filter(None, items))


def _item(read: object, scale: tuple[float, float]) -> Predicted | None:
    if not isinstance(read, dict):
        return None
    box = _numbers(read.get("bbox_2d"), 4)
    sx, sy = scale
    return Predicted(
        None if box is None else (box[0] * sx, box[1] * sy, box[2] * sx, box[3] * sy),
        _point(read.get("point_2d"), scale),
        _points(read.get("negative_point_2d"), scale),
    )


def _points(read: object, scale: tuple[float, float]) -> tuple[Point, ...]:
    """One point, or a list of them."""
    if not isinstance(read, list) or not read:
        return ()
    each = read if isinstance(read[0], list) else [read]
    return tuple(point for one in each if (point := _point(one, scale)) is not None)


def _point(read: object, scale: tuple[float, float]) -> Point | None:
    numbers = _numbers(read, 2)
    return None if numbers is None else (numbers[0] * scale[0], numbers[1] * scale[1])


def _numbers(read: Any, count: int) -> list[float] | None:
    """`count` finite numbers, or None; True is no number."""
    if not isinstance(read, list) or len(read) != count:
        return None
    for value in read:
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
            return None
    return read


def _best_sum(table: Sequence[Sequence[float]]) -> float:
    """The greatest sum of pairs, each row and column taken at most once."""
    if len(table) == 1:
        return max(table[0])
    if len(table[0]) == 1:
        return max(row[0] for row in table)
    costs = 3.0 - np.array(table)
    rows, columns = linear_sum_assignment(costs)
    return float(3.0 * len(rows) - costs[rows, columns].sum())
