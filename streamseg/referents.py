"""By what those meant are chosen where the answer changes as things happen: "the one in front",
"the ball after it was kicked". A reasoner tells the rule; tracks are held against it on each frame.

The task is that of online reasoning segmentation (ORVOS, arXiv 2604.11411): a referent may shift,
and nothing is shown before what was seen grounds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self


class Measure(StrEnum):
    """What things are compared by, read off their masks."""

    X = "x"
    Y = "y"
    SIZE = "size"
    SPEED = "speed"
    NEAR = "near"
    """To the camera: low in the picture, and large."""
    CENTRE = "centre"
    """Distance from the middle of the picture."""
    TALL = "tall"
    WIDE = "wide"
    GAP = "gap"
    """Distance from the anchor: what the sentence names besides."""


class Happening(StrEnum):
    """What one must have been seen to do."""

    MOVED = "moved"
    STOPPED = "stopped"
    TOUCHED = "touched"


class Role(StrEnum):
    """What a thing is to the sentence."""

    MEANT = "meant"
    CAST = "cast"
    """It answers to the sentence but for the comparison: it may be meant next."""
    ANCHOR = "anchor"
    """What the sentence compares with: "the cup" of "whoever holds the cup"."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The rule: the first along a measure, or those seen to do something. One of both is given.

    Attributes:
        measure: What is compared.
        most: The largest value comes first; else the smallest.
        rank: The first of those meant comes at this place, from 1.
        count: How many are meant.
        reach: Of `Measure.GAP`, in picture widths: beyond it nobody is meant; None for any.
        after: What must have been seen to happen; those who did it are meant ever after.
        by_anchor: The anchor is who has to do it, and the whole cast is meant then.
    """

    measure: Measure | None = None
    most: bool = True
    rank: int = 1
    count: int = 1
    reach: float | None = None
    after: Happening | None = None
    by_anchor: bool = False

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """From what `dataclasses.asdict` gave, through JSON.

        Raises:
            TypeError, ValueError: It gave something else.
        """
        measure, after = plain.get("measure"), plain.get("after")
        given = {
            **plain,
            "measure": None if measure is None else Measure(measure),
            "after": None if after is None else Happening(after),
        }
        return cls(**given)
