"""Was the mask there in time: streaming accuracy (Li, Wang and Ramanan, ECCV 2020, section 3).

The truth of frame i, due at i / fps, is held against the newest output that was finished by then,
whatever frame it was made from; no output yet is a miss. Time is simulated: run times come from a
recorded profile, so that a figure is the same on every machine.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from streamseg.evaluation import metrics
from streamseg.evaluation.metrics import Score
from streamseg.types import Mask

_HAIR_S = 1e-9
"""So that an output that is ready exactly when it is due counts, in spite of rounding."""


@dataclass(frozen=True, slots=True)
class Output:
    """One answer: made from `frame`, ready at `finished_s` after the first frame came."""

    frame: int
    finished_s: float


def simulate(runtimes_s: Iterable[float], fps: float, frames: int) -> list[Output]:
    """Play a system that takes the newest frame whenever it is free, on a simulated clock.

    Args:
        runtimes_s: Seconds from taking a frame to its output, one after another; the stream
            ends when they do.
        fps: Frame i comes at i / fps.
        frames: How many come.

    Raises:
        ValueError: A negative run time, or a rate that is not above 0.
    """
    if fps <= 0.0:
        raise ValueError(f"expected fps above 0, got {fps}")
    outputs: list[Output] = []
    now_s, next_frame = 0.0, 0
    for runtime_s in runtimes_s:
        if next_frame >= frames:
            break
        if runtime_s < 0.0:
            raise ValueError(f"expected run times of 0 s or more, got {runtime_s}")
        newest = min(frames - 1, math.floor((now_s + _HAIR_S) * fps))
        frame = max(next_frame, newest)
        now_s = max(now_s, frame / fps) + runtime_s
        outputs.append(Output(frame, now_s))
        next_frame = frame + 1
    return outputs


def newest(outputs: Sequence[Output], fps: float, frames: int) -> list[int | None]:
    """For every frame, the position in `outputs` of the newest one finished when it is due.

    Args:
        outputs: In the order in which they were finished.

    Raises:
        ValueError: They are not in that order.
    """
    times = [output.finished_s for output in outputs]
    if any(later < earlier for earlier, later in pairwise(times)):
        raise ValueError("expected outputs in the order in which they were finished")
    found = (bisect_right(times, index / fps + _HAIR_S) - 1 for index in range(frames))
    return [position if position >= 0 else None for position in found]


def score(
    outputs: Sequence[Output],
    fps: float,
    truths: Sequence[Mask],
    mask_of: Callable[[int], Mask],
) -> Score:
    """Streaming J and F: a frame without an output scores 0.

    Args:
        truths: (H, W) bool for every frame.
        mask_of: The mask (H, W) bool that the output made from a frame shows.

    Raises:
        ValueError: No truth, or outputs out of order.
    """
    if not truths:
        raise ValueError("expected at least one frame to score, got none")
    values = []
    for truth, position in zip(truths, newest(outputs, fps, len(truths)), strict=True):
        if position is None:
            values.append((0.0, 0.0))
            continue
        shown = mask_of(outputs[position].frame)
        values.append((metrics.region(shown, truth), metrics.boundary(shown, truth)))
    return Score(fmean(j for j, _ in values), fmean(f for _, f in values), len(values))
