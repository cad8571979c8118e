"""How a frame of a real clip is judged against true boxes, and what is kept of a sentence.

Every frame is judged in two ways: by whatever is shown, and by what is shown as `tracking` alone,
which is what a user is asked to believe. Knows masks and boxes; reads, runs and draws nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

import numpy as np

from streamseg.evaluation import metrics
from streamseg.types import CERTAIN, Box, Evidence, Mask, MaskSet, TrackState

MET_IOU = 0.5
"""A true box is met by a shown object from this box IoU on."""
INSIDE_SHARE = 0.7
"""Least share of what is shown that lies inside the true boxes, for right and for partly right."""


class Verdict(StrEnum):
    """What a frame is worth. The last two, where the thing is not to be seen."""

    RIGHT = "right"
    PARTLY = "partly"
    WRONG = "wrong"
    NONE = "none"
    CLEAN = "clean"
    INVENTED = "invented"


THERE = (Verdict.RIGHT, Verdict.PARTLY, Verdict.WRONG, Verdict.NONE)
NOT_THERE = (Verdict.CLEAN, Verdict.INVENTED)


class Way(StrEnum):
    """What of a frame is judged."""

    SHOWN = "shown"
    TRACKING = "tracking"


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """One object with at least a pixel: its mask (H, W) bool and what its track says of it."""

    mask: Mask
    box: Box
    score: float
    state: TrackState
    evidence: Evidence = CERTAIN


def shown(masks: MaskSet) -> tuple[Shown, ...]:
    """The objects of a result that have a pixel; the box is that of the pixels."""
    found = []
    for view in masks.objects:
        mask = masks.mask(view.id)
        box = metrics.extent(mask)
        if box is not None:
            found.append(Shown(mask, box, view.score, view.state, view.evidence))
    return tuple(found)


def tracking(objects: Iterable[Shown]) -> tuple[Shown, ...]:
    """Those that are shown as `tracking`."""
    return tuple(each for each in objects if each.state is TrackState.TRACKING)


def judge(truth: Sequence[Box], objects: Sequence[Shown]) -> Verdict:
    """Judge what is shown on a frame.

    *Right*: every true box is met by an object of its own, nothing else is shown, and most of what
    is shown lies inside the true boxes. *Partly*: most of it lies inside. *Wrong*: else.

    Args:
        truth: The true boxes, none where the thing is not to be seen.
    """
    if not truth:
        return Verdict.INVENTED if objects else Verdict.CLEAN
    if not objects:
        return Verdict.NONE
    if inside_share(truth, objects) < INSIDE_SHARE:
        return Verdict.WRONG
    met = metrics.matched(truth, [each.box for each in objects], MET_IOU)
    return Verdict.RIGHT if len(met) == len(truth) == len(objects) else Verdict.PARTLY


def inside_share(truth: Sequence[Box], objects: Sequence[Shown]) -> float:
    """The share of the shown pixels that lie inside the true boxes."""
    pixels = union(objects)
    return float(np.count_nonzero(pixels & filled(truth, pixels.shape)) / np.count_nonzero(pixels))


def union(objects: Sequence[Shown]) -> Mask:
    """All the pixels (H, W) of at least one object."""
    pixels: Mask = np.logical_or.reduce([each.mask for each in objects])
    return pixels


def filled(boxes: Iterable[Box], shape: tuple[int, ...]) -> Mask:
    """A mask (H, W) that is True inside the boxes."""
    mask = np.zeros(shape, bool)
    for x0, y0, x1, y1 in boxes:
        mask[max(0, round(y0)) : max(0, round(y1)), max(0, round(x0)) : max(0, round(x1))] = True
    return mask


def box_overlap(truth: Sequence[Box], objects: Sequence[Shown]) -> float:
    """IoU of the area of the true boxes with that of the boxes of at least one shown object."""
    shape = objects[0].mask.shape
    return metrics.region(filled((each.box for each in objects), shape), filled(truth, shape))


@dataclass(frozen=True, slots=True)
class FrameScore:
    """One annotated frame of which something can be told.

    Attributes:
        frame: Its index.
        shown, tracking: The verdict on whatever is shown, and on what is shown as tracking.
        score, tracking_score: Mean score of the objects so shown, None without any.
        box_iou: Of the areas of all boxes; None where nothing is shown.
        objects: How many are shown.
        evidence: What their scores rest on, a mean of each witness; None where nothing is shown.
    """

    frame: int
    shown: Verdict
    tracking: Verdict
    score: float | None
    tracking_score: float | None
    box_iou: float | None
    objects: int
    evidence: Evidence | None = None

    def verdict(self, way: Way) -> Verdict:
        return self.shown if way is Way.SHOWN else self.tracking

    def score_of(self, way: Way) -> float | None:
        return self.score if way is Way.SHOWN else self.tracking_score


def score_frame(index: int, truth: Sequence[Box], objects: Sequence[Shown]) -> FrameScore:
    """Judge one frame in both ways."""
    believed = tracking(objects)
    return FrameScore(
        frame=index,
        shown=judge(truth, objects),
        tracking=judge(truth, believed),
        score=_mean_score(objects),
        tracking_score=_mean_score(believed),
        box_iou=box_overlap(truth, objects) if objects else None,
        objects=len(objects),
        evidence=_mean_evidence(objects),
    )


def _mean_evidence(objects: Sequence[Shown]) -> Evidence | None:
    if not objects:
        return None
    each = [item.evidence for item in objects]
    return Evidence(
        fmean(item.words for item in each),
        fmean(item.cut for item in each),
        fmean(item.carried for item in each),
        all(item.by_kind for item in each),
    )


def _mean_score(objects: Sequence[Shown]) -> float | None:
    return fmean(each.score for each in objects) if objects else None


@dataclass(frozen=True, slots=True)
class MaskScore:
    """One frame with a true mask: IoU with all that is shown, 0 where nothing is.

    Attributes:
        score: Mean score of what is shown, None where nothing is.
        tracking: Something is shown as tracking.
    """

    frame: int
    iou: float
    score: float | None
    tracking: bool


def score_mask(index: int, truth: Mask, objects: Sequence[Shown]) -> MaskScore:
    """Hold what is shown against a true mask (H, W) bool."""
    predicted = union(objects) if objects else np.zeros_like(truth)
    return MaskScore(
        frame=index,
        iou=metrics.region(predicted, truth),
        score=_mean_score(objects),
        tracking=bool(tracking(objects)),
    )


@dataclass(frozen=True, slots=True)
class SentenceScore:
    """What came of one sentence.

    Attributes:
        position: In the list of sentences, from 0.
        absent: What it asks for is to be seen on no annotated frame.
        there_first: It is to be seen on the first annotated frame.
        frames: Its annotated frames, without those of which nothing can be told.
        masks: Its frames with a true mask, `truth` the file that they are from.
        frames_run: How many frames were run.
        first_mask: Frames before the first that shows anything, None where none does.
        frames_tracking, frames_uncertain: Of those run, how many show something as tracking, and
            how many show something, but none of it as tracking.
        frame_ms: Median milliseconds of the loop's own work on a frame.
        wall_ms: Mean milliseconds a frame, with decoding and waiting for answers.
        answer: The first answer's reasoning, in words.
        unanswered: How often the reasoner was asked and gave no answer, by a crash or its deadline.
        error: What kept it from being run to its end; None when it was.
    """

    position: int
    clip: str
    query: str
    kind: str
    absent: bool
    there_first: bool
    frames: tuple[FrameScore, ...] = ()
    masks: tuple[MaskScore, ...] = ()
    truth: str | None = None
    frames_run: int = 0
    first_mask: int | None = None
    frames_tracking: int = 0
    frames_uncertain: int = 0
    frame_ms: float | None = None
    wall_ms: float | None = None
    answer: str = ""
    unanswered: int = 0
    error: str | None = None

    @property
    def mask_iou(self) -> float | None:
        return fmean(each.iou for each in self.masks) if self.masks else None
