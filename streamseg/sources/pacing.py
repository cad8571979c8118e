"""Plays a connection at its own pace, so that a file behaves like a camera."""

from __future__ import annotations

import time
from collections.abc import Callable

from streamseg.sources.connection import Connection, Picture

_BREATH_S = 0.05


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
        longest_gap_s: A step in time beyond it, or backwards, is not waited for: a cut.
        """
        self._inner = inner
        self._period_s = 1.0 / (inner.fps or fallback_fps)
        self._longest_gap_s = max(longest_gap_s, 3 * self._period_s)
        self._now_s = now_s
        self._sleep = sleep
        self._held: Picture | None = None
        self._due_s = 0.0
        self._pts_ns: int | None = None
        self._begun = False

    @property
    def width(self) -> int:
        return self._inner.width

    @property
    def height(self) -> int:
        return self._inner.height

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
        if not self._begun:
            self._due_s, self._begun = self._now_s(), True
        elif picture.pts_ns is None or self._pts_ns is None:
            self._due_s += self._period_s
        else:
            step_s = (picture.pts_ns - self._pts_ns) / 1e9
            self._due_s += step_s if 0 <= step_s <= self._longest_gap_s else self._period_s
        self._pts_ns = picture.pts_ns
