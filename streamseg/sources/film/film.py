"""A film of numbered frames, read forwards or backwards, few at a time; knows no decoder."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import replace

from streamseg.allocator import give_back_free_memory
from streamseg.errors import SourceError
from streamseg.sources import StreamEnded, never
from streamseg.sources.film import Reel
from streamseg.sources.film.ahead import Ahead
from streamseg.types import Frame, Image, SourceInfo

_LOOK_S = 0.25
"""How often a silent source lets the reader see that it was stopped."""


class Film:
    """The frames of a reel by number, from 0 without gaps.

    `first_reading` comes first, and once; what it did not reach does not exist. Frames read again
    have the numbers, times and epochs of the first reading, whatever it takes to reach them.

    Args:
        decode_ahead: Frames decoded ahead while reading forwards.
        held_bytes: Bound on the pictures held at a time while reading backwards; one is held
            always.
    """

    def __init__(self, reel: Reel, *, decode_ahead: int, held_bytes: int) -> None:
        self._reel = reel
        self._decode_ahead = decode_ahead
        self._held_bytes = held_bytes
        self._pts_ns = array("q")
        self._epochs = array("l")
        self._largest = 1
        self._info = reel.info

    def __len__(self) -> int:
        """Frames of the first reading so far."""
        return len(self._pts_ns)

    @property
    def info(self) -> SourceInfo:
        """As the reel tells it, with the number of frames once that is known."""
        return self._info

    def first_reading(
        self, most: int | None = None, stopped: Callable[[], bool] = never
    ) -> Iterator[Frame]:
        """Every frame in order, at most `most`; ends early once `stopped` says so.

        Raises:
            SourceError: It holds no picture, or breaks.
        """
        source = self._reel.first_reading()
        try:
            while not stopped() and (most is None or len(self) < most):
                try:
                    frame = source.read(_LOOK_S)
                except StreamEnded:
                    break
                if frame is not None:
                    yield self._numbered(frame)
            if not len(self) and not stopped():
                raise SourceError(f"{self.info.name} ended without a single frame")
        finally:
            source.close()
            self._info = replace(self._info, frame_count=len(self))

    def shot(self, at: int) -> range:
        """The frames around `at` that belong together: nothing is carried across its ends."""
        first, end = at, at + 1
        while first > 0 and self._epochs[first - 1] == self._epochs[at]:
            first -= 1
        while end < len(self) and self._epochs[end] == self._epochs[at]:
            end += 1
        return range(first, end)

    def time_s(self, at: int) -> float:
        """Presentation time of a frame."""
        return self._pts_ns[at] / 1e9

    def frame(self, at: int) -> Frame:
        """One frame.

        Raises:
            SourceError: It cannot be read any more.
        """
        return next(self._read(at, at + 1))

    def forwards(self, first: int, end: int) -> Ahead[Frame]:
        """Frames `first` up to before `end`; a thread decodes a few ahead. To be closed."""
        return Ahead(self._read(first, end), self._decode_ahead)

    def backwards(self, end: int, first: int) -> Iterator[Frame]:
        """Frames from before `end` down to `first`: read forwards in pieces, the last one first.

        Two pieces share the bound: one is decoded while the other is handed out.
        """
        with Ahead(self._pieces_backwards(first, end), 1) as pieces:
            for piece in pieces:
                while piece:
                    yield piece.pop()
                give_back_free_memory()  # or the pieces' pictures pile up in the threads' arenas

    def close(self) -> None:
        self._reel.close()

    def _numbered(self, frame: Frame) -> Frame:
        at = len(self._pts_ns)
        self._pts_ns.append(frame.pts_ns)
        self._epochs.append(frame.epoch)
        self._largest = max(self._largest, frame.image.nbytes)
        if not self._info.width:
            self._info = replace(self._info, width=frame.width, height=frame.height)
        return frame if frame.index == at else self._frame(at, frame.image)

    def _frame(self, at: int, image: Image) -> Frame:
        return Frame(at, self._pts_ns[at], self._epochs[at], image)

    def _read(self, first: int, end: int) -> Iterator[Frame]:
        at = first
        for image in self._reel.read_from(first):
            if at >= end:
                return
            yield self._frame(at, image)
            at += 1
            if at == end:
                return
        if at < end:
            raise SourceError(
                f"{self.info.name} changed while it was read: frame {at} of {len(self)} is not "
                "there any more"
            )

    def _pieces_backwards(self, first: int, end: int) -> Iterator[list[Frame]]:
        room = max(1, self._held_bytes // 2 // self._largest)
        while end > first:
            least = max(first, end - room)
            begin = self._piece_begin(least, end)
            yield list(self._read(begin, end))
            end = begin

    def _piece_begin(self, least: int, end: int) -> int:
        """Where the last piece begins that is no longer than from `least` on: as far back as whole
        runs between entries reach, or, where one run is longer than that, within it."""
        if self._reel.entry(least) == least:
            return least
        begin = self._reel.entry(end - 1)
        if begin < least:
            return least
        while (before := self._reel.entry(begin - 1)) >= least:
            begin = before
        return begin
