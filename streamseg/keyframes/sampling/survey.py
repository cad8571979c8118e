"""What one reading of a video leaves for choosing frames: two numbers for every r-th frame."""

from __future__ import annotations

from array import array
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamseg.keyframes.sampling.spread import spread_by_change
from streamseg.keyframes.thumbnails import Grey, thumbnail
from streamseg.types import Frame


class FrameRelevance(Protocol):
    """How much a frame looks like it shows what the words say, in [0, 1]."""

    @property
    def visual(self) -> bool:
        """False where it cannot tell one frame from another."""

    def __call__(self, frame: Frame) -> float: ...


class Survey:
    """Takes frames as they pass.

    Args:
        every: A number is taken on every so many frames.
    """

    def __init__(self, relevance: FrameRelevance, every: int) -> None:
        self._relevance = relevance
        self._every = every
        self._relevances = array("f")
        self._changes = array("f")
        self._last: Grey | None = None
        self._frames = 0

    def see(self, frame: Frame) -> None:
        """Take the next frame, frames in order from 0."""
        due = self._frames % self._every == 0
        self._frames += 1
        if not due:
            return
        coarse, last = thumbnail(frame).coarse, self._last
        change = 0.0
        if last is not None:
            change = float(np.abs(coarse.astype(np.int16) - last).mean()) / 255.0
        self._changes.append(change)
        self._relevances.append(self._relevance(frame) if self._relevance.visual else 0.0)
        self._last = coarse

    @property
    def relevance(self) -> NDArray[np.float32]:
        """(n,) of every frame so far: that of the last one on which it was taken."""
        return np.repeat(np.array(self._relevances, np.float32), self._every)[: self._frames]

    def references(self, count: int) -> list[int]:
        """At most `count` frames of the whole video, closer where more changes.

        VideoSeg-R1 asks for an "adaptive global sample" and does not say how it adapts.
        """
        places = spread_by_change(np.array(self._changes, np.float32), count)
        return [place * self._every for place in places]

    def best(self, count: int, apart: int, without: int) -> list[int]:
        """At most `count` frames that promise most, none closer than `apart` to another or to
        `without`; where all promise the same, as evenly spread as that allows."""
        relevance, chosen = self.relevance.copy(), [without]
        left = np.ones(self._frames, bool)
        while len(chosen) <= count:
            at = chosen[-1]
            left[max(0, at - apart + 1) : at + apart] = False
            if not left.any():
                break
            promising = left & (relevance >= relevance[left].max() - 1e-6)
            chosen.append(_farthest(np.flatnonzero(promising), chosen))
        return chosen[1:]


def _farthest(places: NDArray[np.intp], others: list[int]) -> int:
    gaps = np.min(np.abs(places[:, None] - np.array(others)[None]), axis=1)
    return int(places[np.argmax(gaps)])
