"""What an outage of a live source has taught so far: how long to try, and what to tell of it."""

from __future__ import annotations

import time
from collections.abc import Callable

_TOLD_AT_ONCE = 5
_TOLD_EVERY_S = 60.0
_SLOWER = 4.0  # a camera that has just started may take longer than it did at first
_LEAST_S = 1.5
_LONGER_EVERY = 12  # attempts; half a minute where a camera answers nothing


class Outage:
    """The attempts to reach one source, from outage to outage.

    A camera that is switched off answers nothing, and one attempt would wait for it past the
    moment of its return. So what an attempt may take is learned from those that worked. For a
    camera that became slow one in a dozen is given longer, twice as long each time.
    """

    def __init__(self, longest_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        """Args:
        longest_s: Seconds that an attempt may take when nothing is known.
        """
        self._longest_s = longest_s
        self._now_s = now_s
        self._usual_s: float | None = None
        self._attempts = 0
        self._told = 0
        self._told_s = 0.0

    @property
    def has_worked(self) -> bool:
        """Whether there ever was a picture."""
        return self._usual_s is not None

    def over(self, took_s: float) -> None:
        """An attempt worked, and took that long to connect and to its first picture."""
        self._usual_s = max(took_s, self._usual_s or 0.0)
        self._attempts = self._told = 0

    def patience_s(self) -> float:
        """Seconds for the next attempt."""
        self._attempts += 1
        if self._usual_s is None:
            return self._longest_s
        dozens, rest = divmod(self._attempts, _LONGER_EVERY)
        enough_s = max(_LEAST_S, _SLOWER * self._usual_s)
        return min(self._longest_s, enough_s if rest else enough_s * 2.0**dozens)

    def worth_telling(self) -> bool:
        """Whether to say that another attempt failed: the first few, then one a minute."""
        now_s = self._now_s()
        if self._told >= _TOLD_AT_ONCE and now_s - self._told_s < _TOLD_EVERY_S:
            return False
        self._told += 1
        self._told_s = now_s
        return True
