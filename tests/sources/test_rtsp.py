"""A real RTSP server: killed, restarted, frozen, of another size, behind a password."""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from source_tools import Events, RtspServer, read_until, wait_until

from streamseg.clock import RealClock
from streamseg.config import SourceConfig
from streamseg.errors import SourceError
from streamseg.sources import Source
from streamseg.sources.decoding.av import open_av
from streamseg.sources.gstreamer.opening import open_gstreamer

CONFIG = SourceConfig(stall_s=0.8, connect_timeout_s=4.0)
DECODE = "rtph264depay ! h264parse ! avdec_h264"

Opener = Callable[[str, Events], Source]


def quick_waits() -> Iterator[float]:
    return itertools.repeat(0.1)


def through_av(url: str, events: Events) -> Source:
    return open_av(url, CONFIG, RealClock(), events, schedule=quick_waits)


def through_gstreamer(url: str, events: Events) -> Source:
    pipeline = f"gst:rtspsrc location={url} latency=0 protocols=tcp ! {DECODE}"
    return open_gstreamer(pipeline, CONFIG, RealClock(), events, schedule=quick_waits)


OPENERS = pytest.mark.parametrize("opener", [through_av, through_gstreamer])


@pytest.fixture
def serve() -> Iterator[Callable[..., RtspServer]]:
    servers: list[RtspServer] = []

    def start(**options: object) -> RtspServer:
        servers.append(RtspServer(**options))  # type: ignore[arg-type]
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@OPENERS
def test_killed_restarted_resized(serve: Callable[..., RtspServer], opener: Opener) -> None:
    server, events = serve(size=(320, 240)), Events()
    source = opener(server.url, events)
    try:
        info = source.info
        assert (info.live, info.width, info.height) == (True, 320, 240)
        first = read_until(source, lambda frame: True)
        assert (first.epoch, first.image.shape) == (0, (240, 320, 3))
        later = read_until(source, lambda frame: frame.index >= first.index + 10)
        assert 0.2 < later.pts_s - first.pts_s < 2.0

        server.resize(480, 360)
        resized = read_until(source, lambda frame: frame.width == 480)
        assert resized.epoch > first.epoch
        assert resized.image.shape == (360, 480, 3)

        server.kill()
        wait_until(lambda: events.kinds.count("disconnected") >= 2)
        server.restart((160, 120))
        again = read_until(source, lambda frame: frame.width == 160)
        assert again.epoch >= 2
        assert again.index > resized.index
        assert "connected" in events.kinds
        assert events.kinds.count("epoch") == again.epoch
    finally:
        begun_s = time.monotonic()
        source.close()
        assert time.monotonic() - begun_s < 2.0


@OPENERS
def test_frozen_is_a_stall_then_goes_on(serve: Callable[..., RtspServer], opener: Opener) -> None:
    server, events = serve(size=(160, 120)), Events()
    source = opener(server.url, events)
    try:
        read_until(source, lambda frame: frame.index > 5)
        server.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: "stalled" in events.kinds)
        server.process.send_signal(signal.SIGCONT)
        assert read_until(source, lambda frame: frame.epoch > 0).width == 160
    finally:
        server.process.send_signal(signal.SIGSTOP)  # closing must not need its answer
        begun_s = time.monotonic()
        source.close()
        assert time.monotonic() - begun_s < 2.0


@OPENERS
def test_a_password_is_used_and_never_shown(
    serve: Callable[..., RtspServer], opener: Opener
) -> None:
    server, events = serve(login=("admin", "hunter2")), Events()
    url = server.url.replace("://", "://admin:hunter2@")
    source = opener(url, events)
    try:
        read_until(source, lambda frame: True)
        assert "***@127.0.0.1" in source.info.name
        server.kill()
        wait_until(lambda: events.kinds.count("disconnected") >= 2)
        assert "hunter2" not in source.info.name + events.text
    finally:
        source.close()


@OPENERS
def test_a_wrong_password_is_a_clear_error(
    serve: Callable[..., RtspServer], opener: Opener
) -> None:
    server = serve(login=("admin", "hunter2"))
    with pytest.raises(SourceError, match=r"(?i)unauthorized") as caught:
        opener(server.url.replace("://", "://admin:letmein@"), Events())
    assert "letmein" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_path_that_is_not_there(serve: Callable[..., RtspServer]) -> None:
    with pytest.raises(SourceError, match="404"):
        through_av(serve().url + "/nothing", Events())


@OPENERS
def test_nobody_listens(opener: Opener) -> None:
    with pytest.raises(SourceError) as caught:
        opener("rtsp://admin:hunter2@127.0.0.1:1/x", Events())
    assert "hunter2" not in str(caught.value)
