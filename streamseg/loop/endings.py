"""How a run ends: its steps are taken once, by whoever comes first, at the latest when Python ends.

A handle (a generator of results, a session) may be closed, left, dropped, kept and forgotten, or
held by a consumer that raises. Knows threads and the interpreter; knows nothing of runs.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from streamseg.errors import UsageError

_TURN_S = 10.0
"""How long an end waits for the frame under way in another thread."""


class Ending:
    """The steps that end one run, and whose turn it is.

    Args:
        stop: Asks for the end from any thread; returns at once.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._steps = ExitStack()
        self._turn = threading.Lock()
        self._holder: int | None = None
        self._wanted = False
        self._process = os.getpid()
        self.over = False

    def then(self, step: Callable[..., object], *arguments: Any) -> None:
        """Add a step; the last one added is taken first."""
        self._steps.callback(step, *arguments)

    def watch(self, handle: object) -> None:
        """End when `handle` is collected, or else at the interpreter's exit.

        `weakref.finalize` acts before threads are taken down, so that they can still finish.
        """
        weakref.finalize(handle, self._abandoned)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the end off while a frame is under way; one thread at a time.

        Raises:
            UsageError: In a forked child, which has none of the run's threads.
        """
        if self._is_elsewhere:
            raise UsageError(
                f"this run belongs to process {self._process}: expected a StreamSegmenter made "
                "after os.fork()"
            )
        with self._turn:
            self._holder = threading.get_ident()
            try:
                yield
            finally:
                self._holder = None
                if self._wanted:
                    self.take()

    def take(self) -> None:
        """Take the steps now, if nobody did. Every one is taken, whatever the others raise."""
        self.over = True
        steps = self._steps.pop_all()
        if not self._is_elsewhere:  # files, threads and locks are the parent's to end
            steps.close()

    def close(self, *, early: bool = False) -> None:
        """End from any thread, also from within a frame, which is then finished first.

        Args:
            early: Before the stream's own end: whatever waits is told to stop.
        """
        if self._is_elsewhere:
            self.take()
            return
        within = self._holder == threading.get_ident()
        if not self.over and (early or within):
            self._stop()
        if within:
            self._wanted = True
            return
        ours = self._turn.acquire(timeout=_TURN_S)
        try:
            self.take()
        finally:
            if ours:
                self._turn.release()

    @property
    def _is_elsewhere(self) -> bool:
        """In a forked child: it has the handle, but not the threads."""
        return os.getpid() != self._process

    def _abandoned(self) -> None:
        self.close(early=True)
