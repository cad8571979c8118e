"""The pull form of a run: an iterator that draws a frame for each result asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol, Self

from streamseg.loop.endings import Ending
from streamseg.sources import StreamEnded
from streamseg.types import FrameResult


class Run(Protocol):
    """What results are drawn from."""

    def next_result(self, max_frames: int | None) -> FrameResult | None:
        """The next frame's result; None once there is no further one."""

    def raise_failures(self) -> None:
        """
        Raises:
            OutputError: Not everything could be written.
        """


class Results(Iterator[FrameResult]):
    """One result per frame, in order; nothing is opened before the first is asked for.

    Ends with its source, with `StreamSegmenter.stop`, or with `close`. Also a context manager. When
    it is left, dropped or forgotten, its files are finished all the same, at the latest when the
    interpreter exits.
    """

    def __init__(
        self, begin: Callable[[], Run], ending: Ending, max_frames: int | None = None
    ) -> None:
        """
        Args:
            begin: Opens the run; must not refer to these results, or they are never collected.
        """
        self._begin = begin
        self._ending = ending
        self._max_frames = max_frames
        self._run: Run | None = None
        ending.watch(self)

    def __next__(self) -> FrameResult:
        """The next frame's result.

        Raises:
            StreamSegError: As `StreamSegmenter.run` says.
        """
        with self._ending.turn():
            if self._ending.over:
                raise StopIteration
            try:
                result = self._next_result()
            except BaseException:
                self._ending.take()
                raise
            if result is None:
                self._ending.take()
                if self._run is not None:
                    self._run.raise_failures()
                raise StopIteration
            return result

    def _next_result(self) -> FrameResult | None:
        if self._run is None:
            try:
                self._run = self._begin()
            except StreamEnded:  # stopped before it was open
                return None
        return self._run.next_result(self._max_frames)

    def close(self) -> None:
        """End the run after the frame under way and finish its files; from any thread, at any time.
        May be called twice."""
        self._ending.close(early=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
