"""One picture, who is in it and what is said of it, all in the picture's own pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from streamseg.types import Box, Labels, Mask, Point

_DEEP = 0.5
"""A point may lie where the mask is at least half as deep as at its deepest."""
_LEFT = 0.2
"""How much a place to the left counts as nearer: on a ring every direction is as near, and what is
to be learned must be one of them."""
_BESIDE = 2 / 160
"""How far off the mask a negative point lies, in widths of the picture: well within the 40 pixels
of 840 that the reward allows."""
_SIDES = {"left": "right", "right": "left", "leftmost": "rightmost", "rightmost": "leftmost"}


@dataclass(frozen=True, slots=True)
class Thing:
    """An object as it is seen on one picture.

    Attributes:
        id: Its value in the labels.
        box: Its extreme pixels; the right and lower edge exclusive.
        point: On it, as near to the box's middle as its mask is deep.
        negative: Beside it, at the point's height.
    """

    id: int
    shape: str
    colour: str
    material: str
    box: Box
    point: Point
    negative: Point

    @property
    def side(self) -> float:
        """Mean of width and height."""
        return (self.box[2] - self.box[0] + self.box[3] - self.box[1]) / 2


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is said, and of whom.

    Attributes:
        kind: A value of `synthetic.ExpressionKind`.
        ids: Ascending; none where it means nothing that is there.
        difficulty: D, 1 to 10.
    """

    text: str
    kind: str
    ids: tuple[int, ...]
    difficulty: float

    def mirrored(self) -> Sentence:
        """The same of the picture's mirror image."""
        words = (_SIDES.get(word, word) for word in self.text.split())
        return replace(self, text=" ".join(words))


@dataclass(frozen=True, slots=True)
class View:
    """One picture's truth.

    Attributes:
        level, seed, frame: Of the scene it shows.
        mirrored: Left and right are exchanged.
        size: Width and height that boxes and points are in.
        things: Left to right, by the box's middle.
    """

    level: str
    seed: int
    frame: int
    mirrored: bool
    size: tuple[int, int]
    things: tuple[Thing, ...]
    sentences: tuple[Sentence, ...]

    def meant(self, sentence: Sentence) -> tuple[Thing, ...]:
        """Those that a sentence means, left to right."""
        return tuple(thing for thing in self.things if thing.id in sentence.ids)


def seen(labels: Labels, looks: Mapping[int, Sequence[str]]) -> tuple[Thing, ...]:
    """Everything that a picture shows, left to right.

    Args:
        labels: (H, W) ids.
        looks: Shape, colour and material by id; those without a pixel are left out.
    """
    things = []
    for id_, (shape, colour, material) in looks.items():
        mask = labels == id_
        if mask.any():
            things.append(Thing(id_, shape, colour, material, *_placed(mask)))
    return tuple(sorted(things, key=lambda thing: thing.box[0] + thing.box[2]))


def _placed(mask: Mask) -> tuple[Box, Point, Point]:
    """Box, point and negative point of a mask (H, W)."""
    x0, y0, width, height = cv2.boundingRect(mask.astype(np.uint8))
    cut = np.pad(mask[y0 : y0 + height, x0 : x0 + width], 1).astype(np.uint8)
    depth = cv2.distanceTransform(cut, cv2.DIST_L2, 5)[1:-1, 1:-1]
    rows, columns = np.nonzero(depth >= _DEEP * depth.max())
    x, y = columns + 0.5 - width / 2, rows + 0.5 - height / 2
    best = int(np.argmin(np.hypot(x, y) + _LEFT * x))
    row, column = y0 + int(rows[best]), x0 + int(columns[best])
    negative = _beside(mask, row, column)
    box = (float(x0), float(y0), float(x0 + width), float(y0 + height))
    return box, (column + 0.5, row + 0.5), negative


def _beside(mask: Mask, row: int, column: int) -> Point:
    """Left of the mask in a row; right of it where the picture ends before."""
    across = mask.shape[1]
    step = max(1, round(_BESIDE * across))
    left = column
    while left >= 0 and mask[row, left]:
        left -= 1
    left -= step - 1
    if left >= 0 and not mask[row, left]:
        return left + 0.5, row + 0.5
    right = column
    while right < across and mask[row, right]:
        right += 1
    return min(right + step - 1, across - 1) + 0.5, row + 0.5


def as_row(thing: Thing) -> list[Any]:
    """A thing's place, ready for JSON."""
    return [thing.id, *thing.box, *thing.point, *thing.negative]


def from_row(row: Sequence[float], looks: Mapping[int, Sequence[str]]) -> Thing:
    """The reverse of `as_row`.

    Raises:
        ValueError, KeyError: It is none.
    """
    id_, x0, y0, x1, y1, px, py, nx, ny = row
    shape, colour, material = looks[int(id_)]
    return Thing(int(id_), shape, colour, material, (x0, y0, x1, y1), (px, py), (nx, ny))
