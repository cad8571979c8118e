"""Numbers pictures into frames and notices where the picture breaks: a new epoch begins there."""

from __future__ import annotations

from collections.abc import Callable

from streamseg.clock import Clock
from streamseg.config import SourceConfig
from streamseg.sources.connection import Picture
from streamseg.types import Event, Frame

_JUMP_PERIODS = 3  # a time-lapse may leave seconds between frames without that being a jump


class FrameMaker:
    """Gives each picture its index, presentation time, epoch and time of arrival.

    Not thread-safe: its owner sees to it that one thread at a time makes frames.
    """

    def __init__(
        self, config: SourceConfig, clock: Clock, on_event: Callable[[Event], None]
    ) -> None:
        self._clock = clock
        self._on_event = on_event
        self._jump_s = config.pts_jump_s
        self._fallback_fps = config.fallback_fps
        self._index = 0
        self._epoch = 0
        self._shape: tuple[int, ...] | None = None
        self._source_pts_ns = 0
        self._stamped = False
        self._frame_pts_ns = 0
        self._break: str | None = None
        self.set_fps(None)

    def set_fps(self, fps: float | None) -> None:
        """Tell the nominal frame rate, once a connection knows it."""
        self._period_ns = round(1e9 / (fps or self._fallback_fps))
        self._jump_ns = max(round(self._jump_s * 1e9), _JUMP_PERIODS * self._period_ns)

    def break_epoch(self, reason: str) -> None:
        """Begin a new epoch with the next picture, if there has been one before."""
        self._break = reason

    def make(self, picture: Picture) -> Frame:
        """Number one picture; emits an "epoch" event where one begins."""
        pts_ns = picture.pts_ns
        if pts_ns is None:
            pts_ns = self._source_pts_ns + self._period_ns if self._shape is not None else 0
        stamped = picture.pts_ns is not None
        self._index += picture.skipped
        # Between a stamp and a guess there is no telling a jump.
        step_ns = pts_ns - self._source_pts_ns if stamped and self._stamped else 0
        reason = self._reason_to_break(picture, step_ns)
        if reason is not None:
            self._epoch += 1
            self._tell(reason)
        if reason is not None or self._shape is None:
            self._frame_pts_ns = pts_ns
        else:  # time grows within an epoch: a small step back is a broken stamp, not a jump
            self._frame_pts_ns = max(pts_ns, self._frame_pts_ns + 1)
        self._break = None
        self._shape = picture.image.shape
        self._source_pts_ns = pts_ns
        self._stamped = stamped
        frame = Frame(
            self._index, self._frame_pts_ns, self._epoch, picture.image, self._clock.now_ns()
        )
        self._index += 1
        return frame

    def _reason_to_break(self, picture: Picture, step_ns: int) -> str | None:
        if self._shape is None:
            return None
        if self._break is not None:
            return self._break
        if picture.image.shape != self._shape:
            (old_h, old_w), (new_h, new_w) = self._shape[:2], picture.image.shape[:2]
            return f"the resolution changed from {old_w}x{old_h} to {new_w}x{new_h}"
        if abs(step_ns) > self._jump_ns:
            return f"the time stamps jumped by {step_ns / 1e9:+.3f} s"
        return None

    def _tell(self, reason: str) -> None:
        message = f"epoch {self._epoch} begins: {reason}"
        self._on_event(Event("epoch", message, self._clock.now_ns(), self._index))
