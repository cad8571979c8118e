"""Silence, reconnects, hanging reads and the end, with connections made for the test."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

import pytest
from source_tools import Events, HangingConnection, ListConnection, picture, read_all, wait_until

from streamseg.clock import RealClock
from streamseg.config import SourceConfig
from streamseg.errors import SourceError
from streamseg.sources import StreamEnded
from streamseg.sources.connection import Connection
from streamseg.sources.playing.live import LiveSource
from streamseg.sources.playing.reconnect import growing_waits, short_waits

CONFIG = SourceConfig(stall_s=0.2, connect_timeout_s=0.3)


def live(
    connect: Callable[[], Connection],
    events: Events,
    config: SourceConfig = CONFIG,
    wait: Callable[[float], object] | None = None,
) -> LiveSource:
    return LiveSource("rtsp://camera/1", connect, config, RealClock(), events, wait=wait)


class Script:
    """Connects to one thing after another; an exception stands for a failed attempt."""

    def __init__(self, *attempts: Connection | Exception) -> None:
        self._attempts = iter(attempts)

    def __call__(self) -> Connection:
        attempt = next(self._attempts, SourceError("cannot open rtsp://camera/1: refused"))
        if isinstance(attempt, Exception):
            raise attempt
        return attempt


class Waits:
    """Waits no time, remembers how long it should have been, and stops after enough."""

    def __init__(self, enough: int) -> None:
        self.asked: list[float] = []
        self._enough = enough
        self.done = threading.Event()

    def __call__(self, seconds: float) -> None:
        self.asked.append(round(seconds, 1))  # what the attempt took has been taken off
        if len(self.asked) >= self._enough:
            self.done.set()
            time.sleep(0.01)


def test_what_has_worked_is_tried_again_soon_for_ever() -> None:
    waits, events = Waits(25), Events()
    broken = ListConnection([picture(0.0), SourceError("broken")])
    source = live(Script(broken), events, wait=waits).start()
    assert waits.done.wait(10)
    source.close()
    assert waits.asked[:25] == list(itertools.islice(short_waits(), 25))
    assert events.kinds == ["disconnected"] * 5, "an outage is told of a few times, not at each try"
    assert "broken; connecting again in 0.5 s" in events[0].message


def test_what_never_answered_is_tried_ever_less_often() -> None:
    waits, config = Waits(25), CONFIG.model_copy(update={"wait_for_source": True})
    source = live(Script(), Events(), config, wait=waits).start()
    assert waits.done.wait(10)
    source.close()
    assert waits.asked[:25] == list(itertools.islice(growing_waits(), 25))


def test_waits_start_over_once_pictures_came() -> None:
    waits, events = Waits(9), Events()
    refused = SourceError("refused")
    working = [ListConnection([picture(0.0), SourceError("broken")]) for _ in range(2)]
    source = live(
        Script(working[0], *[refused] * 6, working[1], refused), events, wait=waits
    ).start()
    assert waits.done.wait(10)
    source.close()
    assert waits.asked[:9] == [0.5, 1, 1, 1, 1, 1, 1, 0.5, 1]
    assert "connected" in events.kinds


def test_a_broadcast_that_comes_back_with_an_end_is_over() -> None:
    first = ListConnection([picture(0.0), SourceError("the other side ended the stream")])
    recording = ListConnection([picture(0.0)])
    source = LiveSource(
        "http://site/1",
        Script(first, recording),
        CONFIG,
        RealClock(),
        Events(),
        wait=lambda _: None,
        is_over=lambda connection: connection is recording,
    ).start()
    assert len(read_all(source)) == 1
    assert recording.closed.wait(5)
    source.close()


def test_a_reconnect_begins_an_epoch_and_indices_go_on() -> None:
    events, released = Events(), threading.Event()
    first = ListConnection([picture(0.0), picture(0.1), SourceError("broken")])
    second = HangingConnection([picture(0.0)], released)
    source = live(Script(first, second), events, wait=lambda _: time.sleep(0.05)).start()
    frames = []
    while not frames or frames[-1].epoch == 0:
        frame = source.read(5.0)
        assert frame is not None
        frames.append(frame)
    released.set()
    source.close()
    assert frames[-1].index == 2
    assert events.kinds[:3] == ["disconnected", "connected", "epoch"]
    assert first.closed.is_set()


def test_silence_is_a_stall_and_a_late_picture_of_the_old_connection_is_not_shown() -> None:
    events, released = Events(), threading.Event()
    hanging = HangingConnection([picture(0.0)], released)
    source = live(Script(hanging), events, wait=lambda _: time.sleep(0.01)).start()
    assert source.read(5.0) is not None
    wait_until(lambda: "stalled" in events.kinds)
    assert "no picture for 0.2 s" in events.text
    released.set()
    wait_until(hanging.closed.is_set)
    assert source.read(0) is None
    source.close()


def test_a_connection_without_pictures_is_a_stall() -> None:
    events, released = Events(), threading.Event()
    source = live(Script(HangingConnection([], released)), events, wait=time.sleep).start()
    wait_until(lambda: "stalled" in events.kinds)
    released.set()
    source.close()


def test_the_first_connection_must_succeed() -> None:
    with pytest.raises(SourceError, match="refused"):
        live(Script(), Events()).start()


def test_the_first_connection_may_be_waited_for() -> None:
    events, released = Events(), threading.Event()
    connection = HangingConnection([picture(0.0)], released)
    config = CONFIG.model_copy(update={"wait_for_source": True})
    script = Script(SourceError("refused"), connection)
    source = live(script, events, config, wait=lambda _: None).start()
    assert source.read(5.0) is not None
    assert (source.info.width, source.info.fps) == (4, 30.0)
    released.set()
    source.close()


def test_only_the_newest_frame_is_shown() -> None:
    events, released = Events(), threading.Event()
    pictures = [picture(i / 30, skipped=1 if i == 2 else 0) for i in range(5)]
    connection = HangingConnection(pictures, released)
    source = live(Script(connection), events)
    source.start()
    wait_until(lambda: sum(source.dropped.values()) == 5)
    frame = source.read(1.0)
    assert frame is not None
    assert frame.index == 5
    assert source.read(0) is None
    released.set()
    source.close()


def test_close_ends_a_blocked_read_and_leaves_a_hanging_connection_behind() -> None:
    events, released = Events(), threading.Event()
    source = live(
        Script(HangingConnection([picture(0.0)], released)),
        events,
        CONFIG.model_copy(update={"stall_s": 60.0}),
    ).start()
    source.read(5.0)
    closer = threading.Timer(0.1, source.close)
    closer.start()
    begun_s = time.monotonic()
    with pytest.raises(StreamEnded):
        source.read(30.0)
    closer.join(10)
    assert time.monotonic() - begun_s < 2.1
    source.close()
    released.set()


def test_close_while_connecting_hangs() -> None:
    released = threading.Event()

    def connect() -> Connection:
        released.wait(20)
        raise SourceError("too late")

    source = live(connect, Events(), CONFIG.model_copy(update={"connect_timeout_s": 60.0}))
    threading.Timer(0.1, source.close).start()
    begun_s = time.monotonic()
    source.start()
    with pytest.raises(StreamEnded):
        source.read(1.0)
    assert time.monotonic() - begun_s < 2.1
    released.set()


def test_close_from_an_event_does_not_lock_up() -> None:
    sources: list[LiveSource] = []

    def on_event(event: object) -> None:
        sources[0].close()

    connection = ListConnection([picture(0.0), None, picture(9.0), picture(9.1)])
    source = LiveSource("camera", lambda: connection, CONFIG, RealClock(), on_event)
    sources.append(source)
    source.start()
    wait_until(connection.closed.is_set)
    with pytest.raises(StreamEnded):
        source.read(1.0)


def test_a_bug_in_a_backend_reaches_the_reader() -> None:
    connection = ListConnection([picture(0.0), ZeroDivisionError("a bug")])
    source = live(Script(connection), Events()).start()
    with pytest.raises(ZeroDivisionError):
        read_all(source)
    source.close()
