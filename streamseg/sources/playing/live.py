"""A live source: keeps the newest frame, notices silence, reconnects for ever; knows no backend."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping

from streamseg.allocator import give_back_free_memory
from streamseg.clock import Clock
from streamseg.config import SourceConfig
from streamseg.errors import SourceError
from streamseg.sources import StreamEnded, never
from streamseg.sources.connection import Connection, Picture
from streamseg.sources.opening import LOOK_S
from streamseg.sources.playing.epochs import FrameMaker
from streamseg.sources.playing.feed import Connect, Feed, StallError
from streamseg.sources.playing.mailbox import Mailbox
from streamseg.sources.playing.outage import Outage
from streamseg.sources.playing.reconnect import Schedule, growing_waits, short_waits
from streamseg.types import Event, Frame, SourceInfo

_CLOSE_S = 1.0
_GRACE_S = 0.5  # a backend that minds the time limit itself has the better words for it
_LEAST_WAIT_S = 0.2
_MOST_LEFT_BEHIND = 8  # feeds that hang; beyond it, wait for one to let go before trying again


class LiveSource:
    """Follows a stream through silence and reconnects.

    One thread follows; each connection is read in a `Feed` of its own. The first connection has
    to succeed, unless `config.wait_for_source`: a wrong address is worth an error, a camera that
    reboots is not.
    """

    def __init__(
        self,
        name: str,
        connect: Connect,
        config: SourceConfig,
        clock: Clock,
        on_event: Callable[[Event], None],
        *,
        schedule: Schedule = short_waits,
        first_schedule: Schedule = growing_waits,
        wait: Callable[[float], object] | None = None,
        paced: bool = False,
        is_over: Callable[[Connection], bool] = lambda connection: False,
    ) -> None:
        """Prepare; nothing runs before `start`.

        Args:
            name: For people; holds no password.
            connect: Opens one connection; called anew for each attempt, in the feed's thread.
            schedule: The waits in seconds before each attempt, once it has worked.
            first_schedule: Likewise, until then.
            wait: Sleeps that long; by default until then or until `close`.
            paced: A file played as if live: it has an end and silences of its own.
            is_over: Whether a later connection shows that the stream has ended: a broadcast
                whose recording is there instead.
        """
        self._name = name
        self._connect = connect
        self._config = config
        self._clock = clock
        self._on_event = on_event
        self._schedule = schedule
        self._first_schedule = first_schedule
        self._paced = paced
        self._is_over = is_over
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._ready = threading.Event()
        self._failure: Exception | None = None
        self._lock = threading.RLock()  # an event's receiver may call close()
        self._feed: Feed | None = None
        self._left_behind: list[Feed] = []
        self._skipped = 0
        self._maker = FrameMaker(config, clock, on_event, live=not paced)
        self._outage = Outage(config.connect_timeout_s + _GRACE_S)
        self._mailbox = Mailbox(1, keep_newest=True)
        self._info = SourceInfo(name=name, live=True)
        self._thread = threading.Thread(target=self._run, name="source follow", daemon=True)

    def start(self, stopped: Callable[[], bool] = never) -> LiveSource:
        """Connect for the first time, and return self once connected.

        Args:
            stopped: Looked at a few times a second; once it is true, connecting is given up.

        Raises:
            StreamEnded: `stopped` said so before it was connected.
            SourceError: The first connection failed and `config.wait_for_source` is off.
        """
        self._thread.start()
        try:
            while not self._ready.wait(LOOK_S):
                if stopped():
                    raise StreamEnded
        except BaseException:  # Ctrl-C while a dead address is being tried
            self.close()
            raise
        if self._failure is not None:
            self.close()
            raise self._failure
        return self

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def dropped(self) -> Mapping[str, int]:
        """Frames overtaken by a newer one before they were read."""
        return {"overtaken": self._mailbox.dropped + self._skipped}

    def read(self, timeout_s: float) -> Frame | None:
        """The newest frame not yet read; see `Source.read`."""
        return self._mailbox.get(timeout_s)

    def close(self) -> None:
        """Stop within 2 s; a feed that hangs is left behind."""
        if self._stopping.is_set():
            return
        deadline_s = time.monotonic() + _CLOSE_S
        self._stopping.set()
        self._mailbox.close()
        with self._lock:
            feed = self._feed
        if feed is not None:
            feed.leave()
            if feed.is_current:  # called from an event: this thread cannot wait for itself
                return
            feed.join(max(0.0, deadline_s - time.monotonic()))
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(max(0.0, deadline_s - time.monotonic()))

    def _run(self) -> None:
        try:
            self._follow()
        except Exception as error:  # noqa: BLE001 - the reader is to see it, whatever it is
            self._mailbox.end(error)
        finally:
            self._ready.set()

    def _follow(self) -> None:
        waits = self._first_schedule()
        while not self._stopping.is_set():
            begun_s = time.monotonic()
            feed = self._begin_feed()
            how = self._watch(feed)
            if self._stopping.is_set():
                return
            if self._paced or not isinstance(how, SourceError) or not self._worth_waiting():
                self._give_up(how)
                return
            if feed.pictures:
                waits = self._schedule()
                self._outage.over(feed.first_s)
            wait_s = next(waits)
            if self._outage.has_worked and not feed.pictures:  # an attempt that hung has waited
                wait_s = max(_LEAST_WAIT_S, wait_s - (time.monotonic() - begun_s))
            self._pause(how, wait_s)

    def _begin_feed(self) -> Feed:
        with self._lock:
            self._feed = Feed(self._connect, self._opened, self._accept)
            if self._stopping.is_set():  # close() looked before this feed was there
                self._feed.leave()
            return self._feed

    def _watch(self, feed: Feed) -> Exception:
        silence_s = math.inf if self._paced else self._config.stall_s
        how = feed.watch(self._outage.patience_s(), silence_s)
        with self._lock:
            self._feed = None if not self._stopping.is_set() else self._feed
        if feed.alive:
            self._left_behind.append(feed)
        return how

    def _worth_waiting(self) -> bool:
        return self._ready.is_set() or self._config.wait_for_source

    def _give_up(self, how: Exception) -> None:
        if not self._ready.is_set():
            self._failure = how
        self._mailbox.end(how)

    def _pause(self, how: SourceError, wait_s: float) -> None:
        kind, what = "disconnected", str(how)
        if isinstance(how, StallError):
            kind, what = "stalled", f"{self._name}: {how}"
        if self._outage.worth_telling():
            self._tell(kind, f"{what}; connecting again in {wait_s:.3g} s")
        with self._lock:
            self._maker.break_epoch("the source was connected again")
        self._ready.set()
        give_back_free_memory()
        self._wait(wait_s)
        while not self._stopping.is_set() and self._hanging() >= _MOST_LEFT_BEHIND:
            self._wait(wait_s)

    def _hanging(self) -> int:
        self._left_behind = [feed for feed in self._left_behind if feed.alive]
        return len(self._left_behind)

    def _opened(self, feed: Feed, connection: Connection) -> None:
        with self._lock:
            if feed is not self._feed:
                return
            if self._outage.has_worked and self._is_over(connection):
                raise StreamEnded
            self._maker.set_fps(connection.fps)
            self._info = SourceInfo(
                name=self._name,
                live=True,
                fps=connection.fps,
                frame_count=connection.frame_count,
                width=connection.width,
                height=connection.height,
                pixel_aspect=connection.pixel_aspect,
            )
        again = self._ready.is_set()
        self._ready.set()
        if again:
            self._tell("connected", f"{self._name}: connected again")

    def _accept(self, feed: Feed, picture: Picture) -> None:
        with self._lock:
            if feed is not self._feed:
                return
            self._skipped += picture.skipped
            self._mailbox.put(self._maker.make(picture))

    def _tell(self, kind: str, message: str) -> None:
        self._on_event(Event(kind, message, self._clock.now_ns()))
