"""One connection opened and read in a thread of its own, which can be left behind when it hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from streamseg.errors import SourceError
from streamseg.sources import StreamEnded
from streamseg.sources.connection import Connection, Picture

Connect = Callable[[], Connection]
"""Opens a connection; raises SourceError or SourceSpecError. Called from a feed's thread."""


class StallError(SourceError):
    """Silence for longer than it was given."""


class Feed:
    """The life of one connection, from `connect` to the exception it ends with.

    Blocking calls into drivers and network stacks cannot be interrupted from outside, so nobody
    waits for this thread: `leave` tells it to stop at its next breath, and that is all.

    Attributes:
        pictures: How many came.
        first_s: Seconds to the first of them.
    """

    def __init__(
        self,
        connect: Connect,
        on_open: Callable[[Feed, Connection], None],
        on_picture: Callable[[Feed, Picture], None],
    ) -> None:
        self._connect = connect
        self._on_open = on_open
        self._on_picture = on_picture
        self._left = threading.Event()
        self._changed = threading.Condition()
        self._outcome: Exception | None = None
        self._begun_s = self._heard_s = time.monotonic()
        self.pictures = 0
        self.first_s = 0.0
        self._thread = threading.Thread(target=self._run, name="source feed", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def watch(self, first_s: float, silence_s: float) -> Exception:
        """Wait until the connection ends, and return how.

        Args:
            first_s: Seconds to connect, and again to the first picture; longer is a stall.
            silence_s: Seconds between pictures; longer is a stall. The feed is left then.
        """
        with self._changed:
            while self._outcome is None and not self._left.is_set():
                limit_s = silence_s if self.pictures else first_s
                left_s = self._heard_s + limit_s - time.monotonic()
                if left_s <= 0:
                    self._left.set()
                    return StallError(f"no picture for {limit_s:g} s")
                self._changed.wait(min(left_s, silence_s))  # the limit changes with the first
            return self._outcome or StreamEnded()

    @property
    def is_current(self) -> bool:
        """Whether the caller runs in this feed's thread."""
        return threading.current_thread() is self._thread

    def leave(self) -> None:
        """Stop at the next breath; wakes `watch`. Does not wait."""
        with self._changed:
            self._left.set()
            self._changed.notify_all()

    def join(self, timeout_s: float) -> None:
        """Give the thread a moment to close its connection."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._read_all()
            outcome: Exception = StreamEnded()
        except SourceError as error:
            # Told in words. Its traceback would hold this feed and its connection in a cycle, and
            # with them a decoder and its threads, until Python looks for cycles.
            outcome = error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - whoever watches decides what to do about it
            outcome = error
        with self._changed:
            self._outcome = outcome
            self._changed.notify_all()

    def _read_all(self) -> None:
        connection = self._connect()
        try:
            self._on_open(self, connection)
            self._heard_s = time.monotonic()
            while not self._left.is_set():
                picture = connection.read()
                if picture is not None and not self._left.is_set():
                    self._heard_s = time.monotonic()
                    if not self.pictures:
                        self.first_s = self._heard_s - self._begun_s
                    self.pictures += 1
                    self._on_picture(self, picture)
        finally:
            connection.close()
