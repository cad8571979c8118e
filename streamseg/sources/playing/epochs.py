"""Numbers pictures into frames and notices where the picture breaks: a new epoch begins there."""

from __future__ import annotations

from collections.abc import Callable

from streamseg.clock import Clock
from streamseg.config import SourceConfig
from streamseg.sources.connection import Picture
from streamseg.sources.playing.likeness import alike
from streamseg.types import Event, Frame, Image

_PERIODS = 3  # a time-lapse may leave seconds between frames; stamps may be this much out of order
_LONGEST_HOLD_NS = 3600 * 10**9  # beyond it lies a broken stamp rather than patience


class FrameMaker:
    """Gives each picture its index, presentation time, epoch and time of arrival.

    An epoch begins with a new size, a step back in time, a gap forward, and where its owner says
    so. In a file the picture has a say: after a gap that left it as it was time has passed and
    nothing broke (a screen recording holds still), and a small step back without a cut is a
    clock that was set anew (files put together), after which time goes on.

    Pictures without a stamp come a period after the one before, live when they arrive.

    Not thread-safe: its owner sees to it that one thread at a time makes frames.
    """

    def __init__(
        self,
        config: SourceConfig,
        clock: Clock,
        on_event: Callable[[Event], None],
        *,
        live: bool,
    ) -> None:
        self._clock = clock
        self._on_event = on_event
        self._live = live
        self._jump_s = config.pts_jump_s
        self._fallback_fps = config.fallback_fps
        self._index = 0
        self._epoch = 0
        self._image: Image | None = None
        self._line = _TimeLine()
        self._stamped = False
        self._arrived_ns = 0
        self._break: str | None = None
        self.set_fps(None)

    def set_fps(self, fps: float | None) -> None:
        """Tell the nominal frame rate, once a connection knows it."""
        self._period_ns = round(1e9 / (fps or self._fallback_fps))
        self._jump_ns = max(round(self._jump_s * 1e9), _PERIODS * self._period_ns)

    def break_epoch(self, reason: str) -> None:
        """Begin a new epoch with the next picture, if there has been one before."""
        self._break = reason

    def make(self, picture: Picture) -> Frame:
        """Number one picture; emits an "epoch" event where one begins."""
        now_ns = self._clock.now_ns()
        source_ns = picture.pts_ns
        if source_ns is None:
            source_ns = self._guess(now_ns)
        stamped = picture.pts_ns is not None
        self._index += picture.skipped
        # Between a stamp and a guess there is no telling a jump.
        step_ns = source_ns - self._line.source_ns if stamped and self._stamped else 0
        reason = self._reason_to_break(picture.image, step_ns)
        if reason is not None:
            self._epoch += 1
            self._tell(reason)
        if reason is not None or self._image is None:
            pts_ns = self._line.begin(source_ns)
        elif self._is_set_back(step_ns):
            pts_ns = self._line.set_back(source_ns, self._period_ns)
        else:
            pts_ns = self._line.go_on(source_ns, _PERIODS * self._period_ns)
        self._break = None
        self._image, self._stamped, self._arrived_ns = picture.image, stamped, now_ns
        frame = Frame(self._index, pts_ns, self._epoch, picture.image, now_ns)
        self._index += 1
        return frame

    def _guess(self, now_ns: int) -> int:
        if self._image is None:
            return 0
        return self._line.source_ns + (now_ns - self._arrived_ns if self._live else self._period_ns)

    def _is_set_back(self, step_ns: int) -> bool:
        return not self._live and step_ns < -_PERIODS * self._period_ns

    def _reason_to_break(self, image: Image, step_ns: int) -> str | None:
        if self._image is None:
            return None
        if self._break is not None:
            return self._break
        if image.shape != self._image.shape:
            (old_h, old_w), (new_h, new_w) = self._image.shape[:2], image.shape[:2]
            return f"the resolution changed from {old_w}x{old_h} to {new_w}x{new_h}"
        if self._jumps(image, self._image, step_ns):
            return f"the time stamps jumped by {step_ns / 1e9:+.3f} s"
        return None

    def _jumps(self, image: Image, before: Image, step_ns: int) -> bool:
        far = abs(step_ns) > self._jump_ns
        if self._live or step_ns > _LONGEST_HOLD_NS or (far and step_ns < 0):
            return far
        return (far or self._is_set_back(step_ns)) and not alike(before, image)

    def _tell(self, reason: str) -> None:
        message = f"epoch {self._epoch} begins: {reason}"
        self._on_event(Event("epoch", message, self._clock.now_ns(), self._index))


class _TimeLine:
    """Presentation time within an epoch: the source's own where it grows, and growing always.

    Attributes:
        source_ns: The newest picture's time as the source has it.
    """

    def __init__(self) -> None:
        self.source_ns = 0
        self._pts_ns = 0
        self._shift_ns = 0
        self._before: tuple[int, int] | None = None

    def begin(self, source_ns: int) -> int:
        """A new epoch takes the source's time."""
        self._shift_ns, self._before = 0, None
        self.source_ns = self._pts_ns = source_ns
        return source_ns

    def go_on(self, source_ns: int, tolerance_ns: int) -> int:
        """The next picture; a stamp that fell back before it alone is forgotten."""
        if self._before is not None:
            shift_ns, left_ns = self._before
            if source_ns > left_ns and source_ns - self.source_ns > tolerance_ns:
                self._shift_ns = shift_ns
            self._before = None
        self.source_ns = source_ns
        self._pts_ns = max(source_ns + self._shift_ns, self._pts_ns + 1)
        return self._pts_ns

    def set_back(self, source_ns: int, period_ns: int) -> int:
        """The source's time fell back: from here on it is counted from the picture before."""
        self._before = self._shift_ns, self.source_ns
        self._shift_ns = self._pts_ns + period_ns - source_ns
        self.source_ns = source_ns
        self._pts_ns += period_ns
        return self._pts_ns
