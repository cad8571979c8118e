"""How good completions are: each against its truth, and means over many by kind of sentence."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from streamseg.training import rewards
from streamseg.training.rewards import Completion, Predicted, Truth
from streamseg.types import Box, Mask, Point


@dataclass(frozen=True, slots=True)
class Score:
    """One completion's.

    Attributes:
        kind: Of sentence.
        meant: Objects that it means.
        found: Share of objects whose boxes overlap by more than 0.5, of the more of those answered
            and those meant; 1 for none of none.
        pointed: The same for points that lie on an object's mask.
        format: 0 or 1, one think block and one answer block that is a list of objects; without
            thinking the answer block alone.
        accuracy, negative, total: As `rewards`; the total without a length penalty.
        answered: Objects answered, -1 where the answer cannot be read.
        tokens: Of the thinking.
    """

    kind: str
    meant: int
    found: float
    pointed: float
    format: float
    accuracy: float
    negative: float
    total: float
    answered: int
    tokens: int


def score(
    text: str,
    kind: str,
    masks: Sequence[Mask],
    size: tuple[int, int],
    span: tuple[int, int],
    tokens: int,
) -> Score:
    """Judge a completion.

    Args:
        text: All of it; an answer without thinking begins with its tag.
        masks: (H, W) bool of each object meant.
        size: Width and height of these.
        span: What the model counts to along each side.
        tokens: Of the thinking.
    """
    scale = (size[0] / span[0], size[1] / span[1])
    read = Completion.of(text, scale)
    truth = Truth.of_masks(masks, size)
    items = read.items
    whole = read.whole or (text.startswith("<answer>") and text.endswith("</answer>"))
    return Score(
        kind=kind,
        meant=len(masks),
        found=_share(items, truth.boxes, _overlaps),
        pointed=_share(items, masks, _on),
        format=float(whole and items is not None),
        accuracy=rewards.accuracy(read, truth),
        negative=rewards.negative_point(read, truth),
        total=rewards.total(read, truth, 0, 0.0),
        answered=-1 if items is None else len(items),
        tokens=tokens,
    )


def _share(items: Sequence[Predicted] | None, wanted: Sequence[Any], fits: Any) -> float:
    """Of the more of both, the most that can be paired so that each fits its own."""
    if items is None:
        return 0.0
    if not items or not wanted:
        return float(not items and not wanted)
    table = [[fits(item, each) for each in wanted] for item in items[: rewards.MOST_ITEMS]]
    return _most_pairs(table) / max(len(items), len(wanted))


def _most_pairs(table: Sequence[Sequence[bool]]) -> int:
    """Pairs of a row and a column, each taken once (augmenting paths)."""
    taken: dict[int, int] = {}

    def place(row: int, tried: set[int]) -> bool:
        for column, fits in enumerate(table[row]):
            if fits and column not in tried:
                tried.add(column)
                if column not in taken or place(taken[column], tried):
                    taken[column] = row
                    return True
        return False

    return sum(place(row, set()) for row in range(len(table)))


def _overlaps(item: Predicted, box: Box) -> bool:
    return item.box is not None and rewards.box_iou(item.box, box) > rewards.BOX_IOU


def _on(item: Predicted, mask: Mask) -> bool:
    point: Point | None = item.point
    if point is None:
        return False
    height, width = mask.shape
    x, y = int(point[0]), int(point[1])
    return 0 <= x < width and 0 <= y < height and bool(mask[y, x])


def summary(scores: Iterable[Score]) -> dict[str, Any]:
    """Means: over all, over sentences that mean something, over absent ones, and by kind."""
    everyone = list(scores)
    present = [each for each in everyone if each.meant]
    absent = [each for each in everyone if not each.meant]
    kinds = sorted({each.kind for each in everyone})
    told: dict[str, Any] = {
        "sentences": len(everyone),
        "found": _mean(present, "found"),
        "pointed": _mean(present, "pointed"),
        "absent": _mean(absent, "found"),
        "format": _mean(everyone, "format"),
        "accuracy": _mean(everyone, "accuracy"),
        "accuracy_present": _mean(present, "accuracy"),
        "negative": _mean(present, "negative"),
        "total": _mean(everyone, "total"),
        "thinking_tokens": _mean(everyone, "tokens"),
    }
    told["kinds"] = {
        kind: {
            "sentences": len(those),
            "found": _mean(those, "found"),
            "pointed": _mean(those, "pointed"),
            "accuracy": _mean(those, "accuracy"),
        }
        for kind in kinds
        for those in [[each for each in everyone if each.kind == kind]]
    }
    return told


def _mean(scores: Sequence[Score], name: str) -> float | None:
    return round(fmean(getattr(each, name) for each in scores), 4) if scores else None


def as_json(told: Mapping[str, Any]) -> str:
    """A summary on lines."""
    return json.dumps(told, indent=2)
