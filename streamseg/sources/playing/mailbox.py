"""Hands frames from a source's thread to its reader: all of them in order, or only the newest."""

from __future__ import annotations

import threading
from collections import deque

from streamseg.sources import StreamEnded
from streamseg.types import Frame


class Mailbox:
    """A bounded queue between two threads.

    Full, it either makes the writer wait (a file: nothing is dropped) or lets the newest frame
    replace the oldest and counts it in `dropped` (live: the reader never sees old pictures).
    """

    def __init__(self, capacity: int, *, keep_newest: bool) -> None:
        self._frames: deque[Frame] = deque()
        self._capacity = capacity
        self._keep_newest = keep_newest
        self._end: Exception | None = None
        self._closed = False
        self._changed = threading.Condition()
        self.dropped = 0

    def put(self, frame: Frame) -> bool:
        """Post a frame; False when nobody will read any more."""
        with self._changed:
            if not self._keep_newest:
                self._changed.wait_for(lambda: self._closed or not self._full)
            if self._closed:
                return False
            if self._full:
                self._frames.popleft()
                self.dropped += 1
            self._frames.append(frame)
            self._changed.notify_all()
            return True

    def get(self, timeout_s: float) -> Frame | None:
        """The next frame, or None after `timeout_s`.

        Raises:
            StreamEnded: Closed, or ended and everything read.
            SourceError: Likewise, when that is how the writer ended.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._frames or self._end is not None, max(0.0, timeout_s)
            )
            if self._closed:
                raise StreamEnded
            if self._frames:
                frame = self._frames.popleft()
                self._changed.notify_all()
                return frame
            if self._end is not None:
                raise self._end
            return None

    def end(self, how: Exception) -> None:
        """No more frames will be posted; `how` is raised once those that wait are read."""
        with self._changed:
            self._end = self._end or how
            self._changed.notify_all()

    def close(self) -> None:
        """Wake the writer and the reader and let go of every frame."""
        with self._changed:
            self._closed = True
            self._frames.clear()
            self._changed.notify_all()

    @property
    def _full(self) -> bool:
        return len(self._frames) >= self._capacity
