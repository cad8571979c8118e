"""When a crashed process is started again: after growing waits, then a long one."""

from __future__ import annotations

from collections import deque

from streamseg.config import SpeedConfig


class Restarts:
    """Counts crashes; times are seconds on any clock that only grows.

    The waits double from `restart_s` to `restart_cap_s`. `crash_limit` crashes within
    `crash_window_s`, or in a row, mean degraded: the next try is `degraded_retry_s` away, and if
    that fails before anything was answered, so is the one after it.
    """

    def __init__(self, config: SpeedConfig) -> None:
        self._config = config
        self._crashes: deque[float] = deque(maxlen=config.crash_limit)
        self._in_a_row = 0
        self._ready_at_s = 0.0
        self._degraded = False

    @property
    def degraded(self) -> bool:
        """True from the crash that was one too many to the next answer."""
        return self._degraded

    @property
    def in_a_row(self) -> int:
        """Crashes since the last answer."""
        return self._in_a_row

    def wait_s(self, now_s: float) -> float:
        """Seconds until the process may be started."""
        return max(0.0, self._ready_at_s - now_s)

    def crashed(self, now_s: float) -> None:
        """The process died, hung, or spoke nonsense."""
        config = self._config
        self._in_a_row += 1
        self._crashes.append(now_s)
        full = len(self._crashes) == config.crash_limit
        if full and now_s - self._crashes[0] <= config.crash_window_s:
            self._degraded = True
        if self._in_a_row >= config.crash_limit:
            # One that hangs on every question needs longer than the window to fail so often.
            self._degraded = True
        if self._degraded:
            wait_s = config.degraded_retry_s
        else:
            # The exponent is bounded so that a long row of crashes cannot overflow a float.
            wait_s = config.restart_s * 2.0 ** min(self._in_a_row - 1, 32)
            wait_s = min(wait_s, config.restart_cap_s)
        self._ready_at_s = now_s + wait_s

    def answered(self) -> None:
        """The process answered: it is well."""
        if self._degraded:
            self._crashes.clear()
        self._degraded = False
        self._in_a_row = 0
