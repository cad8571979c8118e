"""A wait between attempts that doubles until something changes; time comes in with each call."""

from __future__ import annotations

import math


class Wait:
    """Doubles each time, from `first_s` to `cap_s`, until it is reset."""

    def __init__(self, first_s: float, cap_s: float) -> None:
        self._first_s, self._cap_s = first_s, cap_s
        self.reset()

    def reset(self) -> None:
        """Wait no longer, and for the shortest time next."""
        self._next_s = min(self._first_s, self._cap_s)
        self._due_s = -math.inf

    def begin(self, now_s: float) -> None:
        """Wait from now on, the next time for twice as long."""
        self._due_s = now_s + self._next_s
        self._next_s = min(2.0 * self._next_s, self._cap_s)

    def left_s(self, now_s: float) -> float:
        """Seconds still to wait; not above 0 when it is over."""
        return self._due_s - now_s
