"""The ring of the last seconds, bounded in time, frames and bytes: what a replay starts from."""

from __future__ import annotations

import threading
from collections import deque

from streamseg.config import BufferConfig
from streamseg.types import Frame

TRAIL_FRAMES = 48
"""Kept for an answer that outlives the ring."""
TRAIL_STRIDE = 6
"""Frames between two of the trail, while it is short."""


class FrameBuffer:
    """Keeps the newest frames of one epoch; a new epoch empties it.

    The byte cap counts pictures and what stages memoised on them. Past it, what was memoised and
    outweighs its picture (a network's features) goes first, from the oldest frame on: a late
    answer can pay for that again, but not for its keyframe. The sizes of older frames are taken
    in rotation, one a frame, so that the count costs nothing that grows with the ring.

    A deep reasoner may think for longer than the ring is. Its keyframe, and a thin trail from there
    to the ring, are kept meanwhile (`keep`): `TRAIL_FRAMES` at most, and half of the byte cap; the
    longer it takes, the wider apart, as a replay in a hurry would take them anyway.
    Safe to read from another thread than the one that appends.
    """

    def __init__(self, config: BufferConfig) -> None:
        self._config = config
        self._span_ns = int(config.seconds * 1e9)
        self._lock = threading.Lock()
        self._frames: deque[Frame] = deque()
        self._sizes: deque[int] = deque()
        self._bytes = 0
        self._probe = 0
        self._keep_from: int | None = None
        self._trail: list[Frame] = []
        self._trail_stride = TRAIL_STRIDE

    def __len__(self) -> int:
        return len(self._frames)

    def frames(self) -> list[Frame]:
        """All frames, oldest first."""
        with self._lock:
            return list(self._frames)

    @property
    def nbytes(self) -> int:
        """Bytes held, as last measured."""
        return self._bytes

    def keep(self, index: int | None) -> None:
        """Keep a trail from this frame on, until told otherwise; None: keep none any more."""
        with self._lock:
            self._keep_from = index
            self._trail, self._trail_stride = [], TRAIL_STRIDE

    def append(self, frame: Frame) -> None:
        """Take the newest frame; drop what no longer fits. The newest always fits."""
        with self._lock:
            if self._frames and self._frames[-1].epoch != frame.epoch:
                self._drop(len(self._frames))
                self._keep_from, self._trail = None, []
            if self._frames:
                self._measure(len(self._frames) - 1)
                self._probe = (self._probe + 1) % len(self._frames)
                self._measure(self._probe)
            self._frames.append(frame)
            self._sizes.append(frame.nbytes)
            self._bytes += self._sizes[-1]
            self._lighten()
            while len(self._frames) > 1 and self._too_much():
                if self._keep_from is not None and self._frames[0].index >= self._keep_from:
                    self._put_on_trail(self._frames[0])
                self._drop(1)

    def from_index(self, index: int) -> list[Frame]:
        """Frames from `index` on, oldest first, thinned where they are older than the ring; empty
        when that frame is not here any more.

        A replay asks so after each step: what the step left on the frame is measured at once.
        """
        with self._lock:
            for behind, frame in enumerate(reversed(self._frames), start=1):
                if frame.index == index:
                    self._measure(len(self._frames) - behind)
                    self._lighten()
                    return list(self._frames)[-behind:]
                if frame.index < index:
                    break
            for position, frame in enumerate(self._trail):
                if frame.index == index:
                    return [*self._trail[position:], *self._frames]
        return []

    def clear(self) -> None:
        """Forget all frames."""
        with self._lock:
            self._drop(len(self._frames))
            self._keep_from, self._trail = None, []

    def _put_on_trail(self, frame: Frame) -> None:
        """Keep a frame that leaves the ring if it is far enough from the last; past the bounds
        every second one is given up, never the keyframe."""
        if self._trail and frame.index - self._trail[-1].index < self._trail_stride:
            return
        self._trail.append(frame)
        room = self._config.max_bytes // 2
        while len(self._trail) > 1 and (
            len(self._trail) > TRAIL_FRAMES or sum(each.image.nbytes for each in self._trail) > room
        ):
            self._trail = self._trail[::2]
            self._trail_stride *= 2

    def _too_much(self) -> bool:
        return (
            len(self._frames) > self._config.max_frames
            or self._bytes > self._config.max_bytes
            or self._frames[-1].pts_ns - self._frames[0].pts_ns > self._span_ns
        )

    def _lighten(self) -> None:
        """Give up what outweighs its picture, oldest first, until the bytes fit."""
        for position in range(len(self._frames) - 1):
            if self._bytes <= self._config.max_bytes:
                return
            frame = self._frames[position]
            if self._sizes[position] > 2 * frame.image.nbytes:
                frame.forget()
                self._measure(position)

    def _measure(self, position: int) -> None:
        size = self._frames[position].nbytes
        self._bytes += size - self._sizes[position]
        self._sizes[position] = size

    def _drop(self, count: int) -> None:
        for _ in range(count):
            self._frames.popleft().forget()
            self._bytes -= self._sizes.popleft()
