"""Plays a connection at its own pace, so that a file behaves like a camera."""

from __future__ import annotations

import time
from collections.abc import Callable

from streamseg.sources.connection import Connection, Picture
from streamseg.sources.playing.likeness import alike

_BREATH_S = 0.05
_LONGEST_HOLD_S = 60.0


class PacedConnection:
    """Holds each picture back until its presentation time, counted from the first picture."""

    def __init__(
        self,
        inner: Connection,
        fallback_fps: float,
        longest_gap_s: float,
        now_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Args:
        longest_gap_s: A step in time beyond it is waited for only where the picture stayed as it
            was, and for a minute at most; what lies behind a cut, or back, is not waited for.
        """
        self._inner = inner
        self._period_s = 1.0 / (inner.fps or fallback_fps)
        self._longest_gap_s = max(longest_gap_s, 3 * self._period_s)
        self._now_s = now_s
        self._sleep = sleep
        self._held: Picture | None = None
        self._due_s = 0.0
        self._before: Picture | None = None

    @property
    def width(self) -> int:
        return self._inner.width

    @property
    def height(self) -> int:
        return self._inner.height

    @property
    def pixel_aspect(self) -> float:
        return self._inner.pixel_aspect

    @property
    def fps(self) -> float | None:
        return self._inner.fps

    @property
    def frame_count(self) -> int | None:
        return self._inner.frame_count

    def read(self) -> Picture | None:
        """The next picture when it is due, None a few times before that."""
        if self._held is None:
            self._held = self._inner.read()
            if self._held is None:
                return None
            self._schedule(self._held)
        left_s = self._due_s - self._now_s()
        if left_s > 0:
            self._sleep(min(left_s, _BREATH_S))
        if left_s > _BREATH_S:
            return None
        picture, self._held = self._held, None
        return picture

    def close(self) -> None:
        self._inner.close()

    def _schedule(self, picture: Picture) -> None:
        if self._before is None:
            self._due_s = self._now_s()
        else:
            self._due_s += self._step_s(self._before, picture)
        self._before = picture

    def _step_s(self, before: Picture, picture: Picture) -> float:
        if picture.pts_ns is None or before.pts_ns is None:
            return self._period_s
        step_s = (picture.pts_ns - before.pts_ns) / 1e9
        if 0 <= step_s <= self._longest_gap_s:
            return step_s
        same = picture.image.shape == before.image.shape
        if 0 < step_s <= _LONGEST_HOLD_S and same and alike(before.image, picture.image):
            return step_s
        return self._period_s
