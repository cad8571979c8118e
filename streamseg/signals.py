"""Ctrl-C, SIGTERM and SIGHUP: the first asks for an end, the second aborts; knows nothing of runs.

Imports little, so that it can be in force before the rest of streamseg is loaded.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Aborted(BaseException):
    """A signal that nobody could wait for.

    Attributes:
        exit_code: 128 and the signal's number, as shells have it.
        first: It was the first one, and nothing had begun that could be ended.
    """

    def __init__(self, number: int, first: bool) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number
        self.first = first


class StopSignals:
    """What this process does about signals; there is one, for they come to the whole process."""

    def __init__(self) -> None:
        self._installed = False
        self._received = False
        self.aborted: Aborted | None = None
        self._stop: Callable[[], None] | None = None
        self._exit_code: int | None = None

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Within the block signals are handled here; in other threads than the main one not.

        A SIGHUP that the process was told to ignore (nohup) stays ignored.
        """
        if self._installed or threading.current_thread() is not threading.main_thread():
            yield
            return
        self._installed, self._received, self.aborted = True, False, None
        before = {number: signal.getsignal(number) for number in NUMBERS}
        if before[signal.SIGHUP] is signal.SIG_IGN:
            del before[signal.SIGHUP]
        for number in before:
            signal.signal(number, self._handle)
        try:
            yield
        finally:
            self._installed = False
            if self._exit_code is None:
                for number, handler in before.items():
                    signal.signal(number, handler)

    @contextmanager
    def heard_by(self, stop: Callable[[], None]) -> Iterator[None]:
        """Within the block the first signal calls `stop`, also one that came before it."""
        with self.installed():
            self._stop = stop
            if self._received:
                stop()
            try:
                yield
            finally:
                self._stop = None

    @property
    def received(self) -> bool:
        """The first one has come."""
        return self._received

    def leave_with(self, exit_code: int) -> None:
        """All is done: from now on a signal ends the process at once with this code."""
        self._exit_code = exit_code

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._exit_code is not None:
            os._exit(self._exit_code)
        if self.aborted is not None and not self.aborted.first:  # somebody insists
            os._exit(self.aborted.exit_code)
        first, self._received = not self._received, True
        if not first or self._stop is None:
            self.aborted = Aborted(number, first)
            raise self.aborted
        self._stop()


SIGNALS = StopSignals()
