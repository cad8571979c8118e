"""A stop while a source is being opened: heard soon, and nothing is left open or running."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from source_tools import Events, ListConnection, wait_until

from streamseg.clock import RealClock
from streamseg.config import SourceConfig
from streamseg.errors import SourceError
from streamseg.sources import StreamEnded, open_source
from streamseg.sources.opening import open_unless


def after(seconds: float) -> Callable[[], bool]:
    """A `stopped` that becomes true."""
    at_s = time.monotonic() + seconds
    return lambda: time.monotonic() >= at_s


@pytest.fixture
def silent_host() -> Iterator[str]:
    """Takes connections and never says a word, as a camera does that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def gives_up(spec: str, **config: object) -> None:
    before = set(threading.enumerate())
    settings = SourceConfig.model_validate({"connect_timeout_s": 1.5, **config})
    begun_s = time.monotonic()
    with pytest.raises(StreamEnded):
        open_source(spec, settings, RealClock(), Events(), after(0.3))
    assert time.monotonic() - begun_s < 2.3
    wait_until(lambda: set(threading.enumerate()) <= before)


@pytest.mark.parametrize("scheme", ["rtsp", "http", "tcp"])
def test_a_host_that_says_nothing(silent_host: str, scheme: str) -> None:
    gives_up(f"{scheme}://{silent_host}/film.mp4")


def test_a_pipeline_that_gives_nothing() -> None:
    gives_up("gst:appsrc is-live=true ! video/x-raw")


def test_a_pipe_without_a_writer(tmp_path: Path) -> None:
    """Opening it blocks in the kernel until someone writes."""
    pipe = tmp_path / "pipe.mkv"
    os.mkfifo(pipe)
    begun_s = time.monotonic()
    with pytest.raises(StreamEnded):
        open_source(str(pipe), SourceConfig(), RealClock(), Events(), after(0.3))
    assert time.monotonic() - begun_s < 2.3
    pipe.open("wb").close()  # lets the opening go


def test_a_camera_that_is_waited_for(silent_host: str) -> None:
    gives_up(f"rtsp://{silent_host}/1", wait_for_source=True)


def test_what_is_opened_too_late_is_closed() -> None:
    late, released = ListConnection([]), threading.Event()

    def connect() -> ListConnection:
        released.wait(20)
        return late

    with pytest.raises(StreamEnded):
        open_unless(connect, after(0.1))
    released.set()
    assert late.closed.wait(10)


def test_what_is_opened_in_time_is_given_and_errors_are_passed_on() -> None:
    connection = ListConnection([])
    assert open_unless(lambda: connection) is connection
    assert not connection.closed.is_set()

    def refuse() -> ListConnection:
        raise SourceError("refused")

    with pytest.raises(SourceError, match="refused"):
        open_unless(refuse)
