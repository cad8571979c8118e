"""Looks at every result: is a mask bad, was a break missed, how long was the silence, and how soon
after a source's return are pictures and masks back? Knows the truth, and no fault but by its name.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from streamseg.benchmarks.faults.reel import Reel, Signature, read_signature
from streamseg.propagation.areas import iou
from streamseg.types import FrameResult, Labels, TrackState

RIGHT_IOU = 0.5
_GRACE_S = 1.0  # after trouble: to the next key picture, and what was held up on the way


@dataclass
class Return:
    """The moment from which a source is there again, and what came of it.

    Attributes:
        kind: The trouble that went before.
        at_s: Monotonic time.
        disturbed: Something else went wrong before the masks were back: the times count for
            nothing.
    """

    kind: str
    at_s: float
    new_showing: bool
    disturbed: bool = False
    picture_s: float = math.inf
    mask_s: float = math.inf

    @property
    def complete(self) -> bool:
        return math.isfinite(self.mask_s)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is remembered of the result before."""

    at_s: float
    index: int
    epoch: int
    pts_ns: int


class Judge:
    """Judges the results of one run, in the thread that draws them; told of troubles from another.

    Attributes:
        bad: Masks and frames that must not be, by what is wrong with them.
        examples: The first of each kind, in words.
        longest_gap_s: Between two results while the source delivered.
        tracking, right: Whole pictures whose masks are said to be tracking, and those of them
            whose masks are those of the sentence.
    """

    def __init__(self, reel: Reel) -> None:
        self.bad: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self.longest_gap_s = 0.0
        self.returns: list[Return] = []
        self.results = self.damaged = self.tracking = self.right = 0
        self._reel = reel
        self._lock = threading.Lock()
        self._last: _Seen | None = None
        self._showing: int | None = None
        self._troubled_until_s = -math.inf
        self._back = threading.Condition(self._lock)

    # Told by those who make the trouble

    @contextmanager
    def trouble(self, kind: str, *, new_showing: bool) -> Iterator[None]:
        """While it lasts nothing is expected of the source; from its end on it delivers again.

        Args:
            new_showing: Pictures are back only once they come on another connection.
        """
        with self._lock:
            self._disturb()
            self._troubled_until_s = math.inf
        try:
            yield
        finally:
            now_s = time.monotonic()
            with self._lock:
                self._troubled_until_s = now_s + _GRACE_S
                self.returns.append(Return(kind, now_s, new_showing))

    def disturb(self) -> None:
        """Something that delays masks has happened: the return under way is not to be measured."""
        with self._lock:
            self._disturb()

    def wait_until_back(self, limit_s: float) -> bool:
        """Wait until the newest return is complete; False when it is not by then."""
        with self._back:
            return self._back.wait_for(self._is_back, limit_s)

    def wait_for_masks(self, limit_s: float = 60.0) -> bool:
        """Wait for the first right masks of the run; False when there are none by then."""
        with self._back:
            return self._back.wait_for(lambda: self.right > 0, limit_s)

    def _is_back(self) -> bool:
        return not self.returns or self.returns[-1].complete

    def _disturb(self) -> None:
        if self.returns and not self.returns[-1].complete:
            self.returns[-1].disturbed = True

    # Told by the run

    def see(self, result: FrameResult) -> None:
        """Judge one result, right when it comes."""
        now_s = time.monotonic()
        frame, last = result.frame, self._last
        signature = read_signature(frame.image)
        fits = self._check_masks(result)
        if last is not None:
            self._check_order(result, last, signature)
        whole = (
            fits and signature is not None and self._reel.is_whole(frame.image, signature.number)
        )
        is_right = self._count(result, signature if whole else None)
        with self._lock:
            if last is not None and last.epoch == frame.epoch:
                self._measure_gap(last.at_s, now_s)
            self._measure_return(now_s, signature, is_right)
            if is_right:
                self._back.notify_all()
        self._last = _Seen(now_s, frame.index, frame.epoch, frame.pts_ns)
        self._showing = self._showing if signature is None else signature.showing

    def _check_masks(self, result: FrameResult) -> bool:
        """Whether the masks have the shape of the picture: otherwise they are not held to it."""
        labels, shape = result.masks.labels, result.frame.image.shape[:2]
        if labels.shape != shape or labels.dtype != np.uint16:
            self._bad("shape", result, f"{labels.dtype} {labels.shape} for a picture of {shape}")
            return False
        known = {view.id for view in result.masks.objects}
        strange = _ids(labels) - known
        if strange:
            self._bad("unknown id", result, f"pixels of {sorted(strange)}, known: {sorted(known)}")
        shown = {view.id for view in result.masks.objects if view.box is not None}
        if not shown <= _ids(labels):
            self._bad("box without a mask", result, f"ids {sorted(shown - _ids(labels))}")
        return True

    def _check_order(self, result: FrameResult, last: _Seen, signature: Signature | None) -> None:
        frame = result.frame
        if frame.index <= last.index or frame.epoch < last.epoch:
            self._bad("order", result, f"after frame {last.index} of epoch {last.epoch}")
        if frame.epoch != last.epoch:
            if result.state is TrackState.TRACKING or result.masks.labels.any():
                self._bad("carried across a break", result, f"{result.state} on its first frame")
        elif frame.pts_ns <= last.pts_ns:
            self._bad("time", result, f"{frame.pts_ns} ns after {last.pts_ns} ns")
        elif signature is not None and self._showing not in (None, signature.showing):
            self._bad("break not seen", result, f"showing {signature.showing} in the same epoch")

    def _bad(self, kind: str, result: FrameResult, what: str) -> None:
        self.bad[kind] += 1
        self.examples.setdefault(
            kind, f"frame {result.frame.index}, epoch {result.frame.epoch}: {what}"
        )

    def _count(self, result: FrameResult, signature: Signature | None) -> bool:
        """Hold the masks against the truth; `signature` is None for a damaged picture."""
        self.results += 1
        if signature is None:
            self.damaged += 1
            return False
        ids = [view.id for view in result.masks.objects if view.state is TrackState.TRACKING]
        if not ids:
            return False
        size = (result.frame.width, result.frame.height)
        truth = self._reel.truth(size, signature.number, result.query)
        is_right = iou(np.isin(result.masks.labels, ids), truth) >= RIGHT_IOU
        self.tracking += 1
        self.right += is_right
        return is_right

    def _measure_gap(self, last_s: float, now_s: float) -> None:
        if last_s > self._troubled_until_s:
            self.longest_gap_s = max(self.longest_gap_s, now_s - last_s)

    def _measure_return(self, now_s: float, signature: Signature | None, is_right: bool) -> None:
        newest = self.returns[-1] if self.returns else None
        if newest is None or newest.complete or self._troubled_until_s == math.inf:
            return
        fresh = signature is not None and signature.showing != self._showing
        back = signature is not None and (fresh or not newest.new_showing)
        if back and math.isinf(newest.picture_s):
            newest.picture_s = now_s - newest.at_s
        if math.isfinite(newest.picture_s) and is_right:
            newest.mask_s = now_s - newest.at_s


def _ids(labels: Labels) -> set[int]:
    return set(np.flatnonzero(np.bincount(labels.ravel())).tolist()) - {0}
