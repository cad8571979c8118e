"""A camera behind a proxy that fails on purpose; its pictures are drawn once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from source_tools import RtspServer

from streamseg.benchmarks.faults import reel
from streamseg.benchmarks.faults.camera import CameraProcess
from streamseg.benchmarks.faults.proxy import FaultyProxy


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reel")
    reel.draw(folder)
    return folder


@pytest.fixture
def camera(drawn: Path) -> Iterator[CameraProcess]:
    """Shows the reel as MPEG-TS over TCP."""
    process = CameraProcess(drawn)
    yield process
    process.kill()


@pytest.fixture
def proxy(camera: CameraProcess) -> Iterator[FaultyProxy]:
    """Before the camera."""
    with FaultyProxy(camera.port) as between:
        yield between


@pytest.fixture
def rtsp() -> Iterator[RtspServer]:
    """Shows a white ball on black."""
    server = RtspServer((320, 240))
    yield server
    server.kill()


@pytest.fixture
def rtsp_proxy(rtsp: RtspServer) -> Iterator[FaultyProxy]:
    """Before the RTSP server."""
    with FaultyProxy(rtsp.port) as between:
        yield between
