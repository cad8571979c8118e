"""Any iterable of pictures as a source: in order, and none drawn before it is asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from streamseg.clock import Clock
from streamseg.config import SourceConfig
from streamseg.sources import StreamEnded
from streamseg.sources.arrays import Order, checked_image, checked_pts
from streamseg.sources.connection import Picture
from streamseg.sources.playing.epochs import FrameMaker
from streamseg.types import Event, Frame, SourceInfo

_CLOSE_S = 0.5


class IterableSource:
    """Draws from an iterator in a thread of its own, which is left behind when it blocks.

    An item is a (H, W, 3) uint8 array, a pair `(array, pts_ns)`, or a `Frame`. Arrays are copied; a
    frame's picture is not, for a `Frame` is never written to. A frame keeps its time, the gap
    before it and the epoch it begins. What the iterator raises, `read` raises.
    """

    def __init__(
        self,
        items: Iterator[object],
        info: SourceInfo,
        order: Order,
        config: SourceConfig,
        clock: Clock,
        on_event: Callable[[Event], None],
    ) -> None:
        self._items: Iterator[object] | None = items
        self._order = order
        self._maker = FrameMaker(config, clock, on_event, live=False)
        self._maker.set_fps(info.fps)
        self._info = info
        self._count = 0
        self._before: Frame | None = None
        self._changed = threading.Condition()
        self._wanted = False
        self._drawn: Frame | None = None
        self._end: BaseException | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def dropped(self) -> Mapping[str, int]:
        return {}

    def read(self, timeout_s: float) -> Frame | None:
        """The next frame; see `Source.read`.

        Raises:
            UsageError: The item is no picture.
        """
        with self._changed:
            if self._drawn is None and self._end is None and not self._closed:
                self._want()
                self._changed.wait_for(
                    lambda: self._closed or not self._wanted, max(0.0, timeout_s)
                )
            if self._closed:
                raise StreamEnded
            if self._end is not None:
                raise self._end
            frame, self._drawn = self._drawn, None
            return frame

    def close(self) -> None:
        """Draw no more; an iterator that blocks is left behind in its thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is None:
            self._items = None
        elif threading.current_thread() is not self._thread:
            self._thread.join(_CLOSE_S)

    def _want(self) -> None:
        self._wanted = True
        self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._draw_all, name="source draw", daemon=True)
            self._thread.start()

    def _draw_all(self) -> None:
        items, self._items = self._items, None  # so that it is let go of with this thread
        assert items is not None
        while self._await_wanted():
            frame, end = self._draw(items)
            with self._changed:
                self._drawn, self._end, self._wanted = frame, end, False
                self._changed.notify_all()
            if end is not None:
                return

    def _await_wanted(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._wanted)
            return not self._closed

    def _draw(self, items: Iterator[object]) -> tuple[Frame | None, BaseException | None]:
        try:
            frame = self._frame_of(next(items))
        except StopIteration:
            return None, StreamEnded()
        except BaseException as error:  # noqa: BLE001 - the reader is to see it, whatever it is
            return None, error
        if not self._info.width:
            self._info = replace(self._info, width=frame.width, height=frame.height)
        return frame, None

    def _frame_of(self, item: object) -> Frame:
        where = f"frame {self._count}"
        self._count += 1
        if isinstance(item, Frame):
            return self._maker.make(self._from_frame(item, where))
        image, pts_ns = item if isinstance(item, tuple) and len(item) == 2 else (item, None)
        picture = Picture(checked_image(image, self._order, where), checked_pts(pts_ns, where))
        return self._maker.make(picture)

    def _from_frame(self, frame: Frame, where: str) -> Picture:
        before, self._before = self._before, frame
        image = checked_image(frame.image, "rgb", f"{where}'s image", copy=False)
        skipped = frame.index - (0 if before is None else before.index + 1)
        if before is not None and frame.epoch != before.epoch:
            self._maker.break_epoch("the frames say so")
        return Picture(image, checked_pts(frame.pts_ns, where), max(0, skipped))
