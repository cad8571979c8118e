"""Rendered pictures as the small network learns from them: sized, with what each cell shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.reasoning.language.coordinates import Scale
from streamseg.synthetic.sentences.words import COLOURS, SHAPE_NOUNS
from streamseg.training.groundings import Shard, Thing, View, read_shards
from streamseg.training.nano.network import ACROSS, CELL, CELLS, DOWN, SIZE, shown
from streamseg.training.nano.words import MATERIALS

_NAMES = (tuple(COLOURS), tuple(SHAPE_NOUNS), MATERIALS)
NUMBERS = 7
"""That place a thing: its box, its point, and how far across its negative point lies."""
MOST_THINGS = 8
_COVERED = 0.2
"""Share of a cell that a thing covers, from which the cell is to know it."""
_HELD = 0.25
"""The same, as a share of the thing."""


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """N pictures and, in halves of 2 N, their truth as they are and mirrored.

    Attributes:
        shown: (N, 100, 160, 3) uint8.
        labels: (N, H, W) uint8, as rendered; only where asked for.
        views: 2 N.
        owners: (2 N, 40) int8: which of its view's things a cell shows, -1 for none.
        looks: (2 N, 8, 3) int8: colour, shape and material of its view's things.
        places: (2 N, 8, 7) float32: their numbers, in the shown picture's pixels.
    """

    shown: NDArray[np.uint8]
    labels: NDArray[np.uint8] | None
    views: tuple[View, ...]
    owners: NDArray[np.int8]
    looks: NDArray[np.int8]
    places: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.views)

    def picture(self, index: int) -> NDArray[np.uint8]:
        """(100, 160, 3), mirrored in the second half."""
        half, at = divmod(index, len(self.shown))
        return self.shown[at, :, ::-1] if half else self.shown[at]


def scale_of(view: View) -> Scale:
    """How the small network counts in a rendered picture."""
    return Scale(view.size, SIZE, SIZE)


def load(
    folder: Path,
    levels: Sequence[str],
    split: str,
    most: int = 0,
    labels: bool = False,
    step: Callable[[int], None] | None = None,
) -> Pictures:
    """Read rendered pictures.

    Args:
        most: Shards of each level; 0 for all.
        labels: Keep them.
        step: Told how many pictures are read.

    Raises:
        CheckpointError, UsageError: As `read_shards`.
    """
    parts: list[tuple[NDArray[np.uint8], ...]] = []
    views: tuple[list[View], list[View]] = ([], [])
    owners: tuple[list[NDArray[np.int8]], list[NDArray[np.int8]]] = ([], [])
    for shard in read_shards(folder, levels, split, most):
        parts.append((shown(shard.pictures), *([shard.labels] if labels else [])))
        for way, (found, told) in enumerate(zip(views, (shard.views, shard.mirrored), strict=True)):
            found += told
            owners[way].extend(_owned(shard, way, at) for at in range(len(told)))
        if step is not None:
            step(len(views[0]))
    everyone = (*views[0], *views[1])
    looks, places = zip(*map(_described, everyone), strict=True)
    return Pictures(
        np.concatenate([part[0] for part in parts]),
        np.concatenate([part[1] for part in parts]) if labels else None,
        everyone,
        np.stack([*owners[0], *owners[1]]),
        np.stack(looks),
        np.stack(places),
    )


def _owned(shard: Shard, way: int, at: int) -> NDArray[np.int8]:
    """(40,) which thing each cell shows, of the picture or of its mirror image."""
    view = (shard.mirrored if way else shard.views)[at]
    labels = shard.labels[at, :, ::-1] if way else shard.labels[at]
    small = cv2.resize(np.ascontiguousarray(labels), SIZE, interpolation=cv2.INTER_NEAREST)
    cells = small.reshape(DOWN, CELL, ACROSS, CELL).transpose(0, 2, 1, 3).reshape(CELLS, -1)
    owners = np.full(CELLS, -1, np.int8)
    if not view.things:
        return owners
    counts = np.stack([(cells == thing.id).sum(1) for thing in view.things], 1)
    told = (counts >= _COVERED * CELL**2) | (counts >= _HELD * np.maximum(counts.sum(0), 1))
    for number, thing in enumerate(view.things):
        told[_middle_cell(thing, view), number] = True
    score = np.where(told, counts + 1, 0)
    shows = score.max(1) > 0
    owners[shows] = score[shows].argmax(1)
    return owners


def _middle_cell(thing: Thing, view: View) -> int:
    x0, y0, x1, y1 = scale_of(view).box_to_model(thing.box)
    column = min((x0 + x1) // 2 // CELL, ACROSS - 1)
    return min((y0 + y1) // 2 // CELL, DOWN - 1) * ACROSS + column


def _described(view: View) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Looks (8, 3) and places (8, 7) of a view's things, padded."""
    looks = np.zeros((MOST_THINGS, len(_NAMES)), np.int8)
    places = np.zeros((MOST_THINGS, NUMBERS), np.float32)
    across, down = (shown / size for shown, size in zip(SIZE, view.size, strict=True))
    for at, thing in enumerate(view.things[:MOST_THINGS]):
        look = (thing.colour, thing.shape, thing.material)
        looks[at] = [names.index(name) for names, name in zip(_NAMES, look, strict=True)]
        numbers = (*thing.box, *thing.point, thing.negative[0])
        scale = (across, down) * 3 + (across,)
        places[at] = [number * by for number, by in zip(numbers, scale, strict=True)]
    return looks, places
