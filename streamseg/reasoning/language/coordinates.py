"""In what numbers a model speaks of places: one table of families, both directions.

Which convention holds is said by the config or by the checkpoint, never guessed from the numbers:
a box that lies in the picture under one convention often does so under another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from streamseg.errors import CheckpointError, ConfigError, ReasoningError
from streamseg.types import Box, Point

SQUARE_SIDE = 840
THOUSAND = 1000
STATED = "coordinates"
"""The entry of a checkpoint's config.json that states its convention, where it is of its own."""
_MOST_SIDE = 16384
_MOST_STRETCHED = 200
"""Pictures more elongated than this the processors of these families refuse."""


class Convention(StrEnum):
    """What a model's coordinates are counted in."""

    RESIZED = "resized"
    """Pixels of the picture that the network saw, after its processor resized it."""
    THOUSAND = "thousand"
    """0 to 1000 along each side of the picture, whatever its size."""
    SQUARE = "square840"
    """Pixels of the picture stretched to 840 × 840."""
    STRETCHED = "stretched"
    """Pixels of the picture stretched to a size that the checkpoint itself states."""


@dataclass(frozen=True, slots=True)
class Family:
    """How a family of models sees pictures and speaks of places in them.

    Attributes:
        cell: Sides of what the network sees are multiples of it: a patch's side times those that
            are merged.
        least: Pixels below which its processor enlarges a picture.
        most: Pixels above which its processor shrinks one, whatever the budget.
        size: Width and height that a picture is stretched to, under a convention that stretches.
    """

    convention: Convention
    cell: int = 28
    least: int = 56 * 56
    most: int = 28 * 28 * 16384
    size: tuple[int, int] = (SQUARE_SIDE, SQUARE_SIDE)


FAMILIES: dict[str, Family] = {
    "qwen2_vl": Family(Convention.THOUSAND),
    "qwen2_5_vl": Family(Convention.RESIZED),
    "qwen3_vl": Family(Convention.THOUSAND, cell=32, least=256 * 256, most=4096 * 4096),
    "qwen3_vl_moe": Family(Convention.THOUSAND, cell=32, least=256 * 256, most=4096 * 4096),
}
"""By `model_type` of the checkpoint's config.json; the limits are those of the public folders."""

SET = (Convention.RESIZED, Convention.THOUSAND, Convention.SQUARE)
"""What a config may say; a size to stretch to is stated by the checkpoint alone."""

CHECKPOINTS: dict[str, Convention] = {"visionreasoner": Convention.SQUARE}
"""By a part of the checkpoint's name: those trained to another convention than their family's."""

_NAMED = {
    "qwen25vl": "qwen2_5_vl",
    "qwen2vl": "qwen2_vl",
    "qwen3vl": "qwen3_vl",
    "visionreasoner": "qwen2_5_vl",
}


def type_from_name(name: str) -> str:
    """The `model_type` that a model's public name tells ("Qwen/Qwen2.5-VL-7B", "qwen2.5vl:7b");
    empty where it tells none."""
    plain = _plain(name)
    return next((kind for part, kind in _NAMED.items() if part in plain), "")


def stated(described: Mapping[str, Any]) -> Family | None:
    """The family that a checkpoint states for itself; None where it states none.

    Args:
        described: Its config.json: `"coordinates": {"convention": "stretched", "size": [160, 96],
            "cell": 16}`.

    Raises:
        CheckpointError: What it states cannot be.
    """
    told = described.get(STATED)
    if told is None:
        return None
    match told:
        case {"convention": "stretched", "size": [int(width), int(height)], "cell": int(cell)} if (
            0 < cell <= width <= _MOST_SIDE and cell <= height <= _MOST_SIDE
        ) and not (width % cell or height % cell):
            return Family(Convention.STRETCHED, cell=cell, size=(width, height))
    raise CheckpointError(
        f"the checkpoint's config.json: expected {STATED} with a convention of {'stretched'!r}, a "
        f"size, and a cell that divides both sides, got {str(told)[:100]}"
    )


def family_of(model_type: str, name: str = "", convention: str = "auto") -> Family:
    """The family of a model.

    Args:
        model_type: Of the checkpoint's config.json; empty where it is not known.
        name: Its name: a hub id, or the last part of its path.
        convention: As the config says: a convention, or "auto" for what the table says.

    Raises:
        ConfigError: "auto", and the table does not know the model.
    """
    known = FAMILIES.get(model_type)
    if convention != "auto":
        chosen = Convention(convention)
        return replace(known, convention=chosen) if known else Family(chosen)
    for part, trained in CHECKPOINTS.items():
        if part in _plain(name):
            return replace(known, convention=trained) if known else Family(trained)
    if known is None:
        raise ConfigError(
            f"in what numbers the model {(model_type or name)[:60]!r} writes boxes is not known: "
            f"set convention to one of {', '.join(SET)}; known are {', '.join(FAMILIES)}"
        )
    return known


def family_in(described: Mapping[str, Any], name: str = "", convention: str = "auto") -> Family:
    """The family of a checkpoint: what it states for itself, or what is known of its kind.

    Args:
        described: Its config.json.
        name, convention: As `family_of` has them.

    Raises:
        CheckpointError, ConfigError: As `stated` and `family_of`.
    """
    if convention == "auto" and (own := stated(described)):
        return own
    return family_of(str(described["model_type"]), name, convention)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


@dataclass(frozen=True, slots=True)
class Scale:
    """How a model's numbers stand to one picture's pixels.

    Attributes:
        size: Width and height of the picture.
        shown: Width and height of what the network sees.
        span: What the model counts to along each side.
    """

    size: tuple[int, int]
    shown: tuple[int, int]
    span: tuple[int, int]

    def to_pixels(self, point: Point) -> Point:
        """A place as the model writes it, in pixels of the picture."""
        (width, height), (across, down) = self.size, self.span
        return point[0] * width / across, point[1] * height / down

    def to_model(self, point: Point) -> tuple[int, int]:
        """A place in pixels of the picture as the model would write it, within its span."""
        (width, height), (across, down) = self.size, self.span
        x, y = round(point[0] * across / width), round(point[1] * down / height)
        return min(max(x, 0), across), min(max(y, 0), down)

    def box_to_pixels(self, box: Box) -> Box:
        """`to_pixels` of both corners."""
        return (*self.to_pixels(box[:2]), *self.to_pixels(box[2:]))

    def box_to_model(self, box: Box) -> tuple[int, int, int, int]:
        """`to_model` of both corners."""
        return (*self.to_model(box[:2]), *self.to_model(box[2:]))


def scale_of(family: Family, width: int, height: int, pixels: int) -> Scale:
    """What a network of `family` sees of a picture, and how it counts in it.

    Args:
        pixels: Budget: what it sees holds at most so many, but `least` all the same: a processor
            would enlarge it to that, and then count in what it made.

    Raises:
        ReasoningError: The picture is more elongated than the family takes.
    """
    if family.convention in (Convention.SQUARE, Convention.STRETCHED):
        return Scale((width, height), family.size, family.size)
    most = max(min(pixels, family.most), family.least)
    shown = fitted(width, height, family.cell, family.least, most)
    if shown[0] * shown[1] < family.least:  # rounded down past it: as a processor would, again
        shown = fitted(*shown, family.cell, family.least, family.most)
    span = shown if family.convention is Convention.RESIZED else (THOUSAND, THOUSAND)
    return Scale((width, height), shown, span)


def fitted(width: int, height: int, cell: int, least: int, most: int) -> tuple[int, int]:
    """Width and height, multiples of `cell`, that Qwen-VL's processors give a picture.

    The nearest multiples, unless they hold fewer than `least` or more than `most` pixels; then the
    picture is scaled to that many first, and sides are rounded so that the limit holds.

    Raises:
        ReasoningError: One side is more than 200 times the other.
    """
    if max(width, height) > _MOST_STRETCHED * min(width, height):
        raise ReasoningError(
            f"expected a picture whose sides differ by a factor of at most {_MOST_STRETCHED}, "
            f"got {width}x{height}"
        )
    across, down = (round(side / cell) * cell for side in (width, height))
    if across * down > most:
        factor = math.sqrt(width * height / most)
        across, down = (
            max(cell, math.floor(side / factor / cell) * cell) for side in (width, height)
        )
    elif across * down < least:
        factor = math.sqrt(least / (width * height))
        across, down = (math.ceil(side * factor / cell) * cell for side in (width, height))
    return across, down
