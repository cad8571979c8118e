"""Time, real or virtual: on the virtual clock a run is a pure function of its input."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What the loop asks about time."""

    @property
    def virtual(self) -> bool:
        """True when time stands still between frames, so that waiting costs none of it."""

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary start."""

    def frame_arrived(self, pts_ns: int) -> None:
        """Told by the loop of every frame's presentation time."""


class RealClock:
    """The machine's monotonic clock."""

    virtual = False

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def frame_arrived(self, pts_ns: int) -> None:
        """Real time needs no telling."""


class VirtualClock:
    """Time is the stream's own: now is the newest frame's presentation time."""

    virtual = True

    def __init__(self) -> None:
        self._now_ns = 0
        self._last_pts_ns: int | None = None

    def now_ns(self) -> int:
        return self._now_ns

    def frame_arrived(self, pts_ns: int) -> None:
        """Advance by the step in presentation time; a step backwards (a new epoch) adds nothing."""
        if self._last_pts_ns is not None:
            self._now_ns += max(0, pts_ns - self._last_pts_ns)
        self._last_pts_ns = pts_ns
