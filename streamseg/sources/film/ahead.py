"""An iterator worked ahead of in a thread of its own, by so many items and no more."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")

_CLOSE_S = 5.0


class Ahead(Generic[T]):
    """The same items in the same order. What making them raises, taking them raises.

    To be closed by whoever made it: the thread does not end by itself before the items do.

    Args:
        items: Used and closed by the thread alone.
        depth: Items made and not yet taken, at most; one that is being made counts.
    """

    def __init__(self, items: Iterator[T], depth: int) -> None:
        self._made: deque[T] = deque()
        self._depth = depth
        self._end: BaseException | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(
            target=self._work, args=(items,), name="film ahead", daemon=True
        )
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._made or self._end is not None)
            if self._made and not self._closed:
                item = self._made.popleft()
                self._changed.notify_all()
                return item
        self.close()
        if self._end is None or isinstance(self._end, StopIteration):
            raise StopIteration
        raise self._end

    def close(self) -> None:
        """Make no more. Waits for the one under way: what the thread reads is free afterwards."""
        with self._changed:
            self._closed = True
            self._made.clear()
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(_CLOSE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _work(self, items: Iterator[T]) -> None:
        try:
            while self._await_room():
                item = next(items)
                with self._changed:
                    self._made.append(item)
                    self._changed.notify_all()
                del item
        except BaseException as error:  # noqa: BLE001 - whoever takes the items is to see it
            self._ended(error)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    def _await_room(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._made) < self._depth)
            return not self._closed

    def _ended(self, how: BaseException) -> None:
        with self._changed:
            self._end = how
            self._changed.notify_all()
