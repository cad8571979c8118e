"""When each picture of a video is shown, in ticks that a muxer takes; knows no container."""

from __future__ import annotations

import math
from fractions import Fraction

from streamseg.types import Frame

FALLBACK_FPS = 25.0
_FPS_RANGE = (1 / 60, 1000.0)
_BACK_S = 1.0
"""A step back within an epoch by more than this is a new beginning, not a broken stamp."""
_LONGEST_HOLD_S = 6 * 3600
"""MP4 counts a picture's ticks in 31 bits: 6.6 hours at 90 kHz."""


def usable_fps(fps: float | None) -> float:
    """A source's rate, where it is one that a video can have."""
    low, high = _FPS_RANGE
    return fps if fps is not None and math.isfinite(fps) and low <= fps <= high else FALLBACK_FPS


class VideoTime:
    """Presentation times of the video: the source's, from 0, made to grow over every break.

    Within an epoch holds last as long as in the source, and a stamp that does not grow by a tick is
    moved by one; the stamps after it stand where they stood. A new epoch, a step back, or a hold
    longer than a container can say follows one frame interval behind the last picture.

    Args:
        fps: The source's rate, for that interval.
        tick: Seconds, the unit of the container's stamps.
    """

    def __init__(self, fps: float, tick: Fraction) -> None:
        self._tick_ns = tick * 1_000_000_000
        self._step = max(1, round(1 / (Fraction(fps) * tick)))
        self._back = round(_BACK_S / tick)
        self._longest = round(_LONGEST_HOLD_S / tick)
        self._offset_ns = 0
        self._epoch: int | None = None
        self._last = -1
        self._interval = self._step

    def next(self, frame: Frame) -> int:
        """The tick at which this frame is shown."""
        if self._epoch is None:
            self._epoch, self._offset_ns, self._last = frame.epoch, frame.pts_ns, 0
            return 0
        tick = round((frame.pts_ns - self._offset_ns) / self._tick_ns)
        told = self._last - self._back <= tick <= self._last + self._longest
        if frame.epoch != self._epoch or not told:
            tick = self._last + self._step
            self._offset_ns = frame.pts_ns - round(tick * self._tick_ns)
        tick = max(tick, self._last + 1)
        self._interval = tick - self._last
        self._epoch, self._last = frame.epoch, tick
        return tick

    @property
    def duration(self) -> int:
        """How many ticks the latest picture is shown if no other follows: as long as the one before
        it, at most a frame interval."""
        return min(self._interval, self._step)
