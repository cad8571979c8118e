"""Real things for sources to read: videos written with PyAV, an RTSP server in its own process."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np

from streamseg.sources import Source, StreamEnded
from streamseg.sources.connection import Picture
from streamseg.types import Event, Frame, Image

SERVER = Path(__file__).parent / "sources" / "rtsp_server.py"


class Events(list[Event]):
    """An `on_event` that remembers."""

    def __call__(self, event: Event) -> None:
        self.append(event)

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self]

    @property
    def text(self) -> str:
        return "\n".join(event.message for event in self)


class ListConnection:
    """A connection over pictures and exceptions given beforehand; blocks when told to."""

    def __init__(self, script: Sequence[Picture | Exception | None], fps: float | None = 30.0):
        self._script = iter(script)
        self.fps = fps
        self.width, self.height, self.frame_count = 4, 3, None
        self.pixel_aspect = 1.0
        self.closed = threading.Event()

    def read(self) -> Picture | None:
        item = next(self._script, StreamEnded())
        if isinstance(item, Exception):
            raise item
        return item

    def close(self) -> None:
        self.closed.set()


class HangingConnection(ListConnection):
    """Gives its pictures, then blocks until `released`, as a read from a dead camera does."""

    def __init__(self, script: Sequence[Picture | None], released: threading.Event) -> None:
        super().__init__(script)
        self._released = released

    def read(self) -> Picture | None:
        try:
            return super().read()
        except StreamEnded:
            self._released.wait(20)
            return None


def picture(pts_s: float | None, size: tuple[int, int] = (4, 3), skipped: int = 0) -> Picture:
    """A grey picture of `size` (width, height)."""
    pts_ns = None if pts_s is None else round(pts_s * 1e9)
    return Picture(np.full((size[1], size[0], 3), 128, np.uint8), pts_ns, skipped)


def counted(number: int, size: tuple[int, int] = (64, 48)) -> Image:
    """A picture whose brightness says its number, up to 24."""
    return np.full((size[1], size[0], 3), 10 + 10 * number, np.uint8)


def number_of(image: Image) -> int:
    """The number that `counted` painted, through a lossy codec."""
    return round((float(image.mean()) - 10) / 10)


def write_video(
    path: Path,
    images: Sequence[Image],
    *,
    fps: int = 30,
    pts: Sequence[int] | None = None,
    faststart: bool = False,
    codec: str = "mpeg4",
) -> Path:
    """Encode pictures; `pts` in frame intervals, by default 0, 1, 2, …"""
    options = {"movflags": "faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=fps)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 8_000_000
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts = number if pts is None else pts[number]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read_all(source: Source, pause_s: float = 0.0) -> list[Frame]:
    """Every frame to the end of the stream, resting after each."""
    frames = []
    try:
        while True:
            frame = source.read(5.0)
            assert frame is not None, "no frame for 5 s"
            frames.append(frame)
            time.sleep(pause_s)
    except StreamEnded:
        return frames


def read_until(source: Source, wanted: Callable[[Frame], bool], limit_s: float = 15.0) -> Frame:
    """Read on until a frame is as wanted."""
    deadline_s = time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        frame = source.read(0.5)
        if frame is not None and wanted(frame):
            return frame
    raise AssertionError(f"no such frame within {limit_s} s")


def wait_until(condition: Callable[[], bool], limit_s: float = 10.0) -> None:
    """Wait for something that other threads bring about."""
    deadline_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline_s, f"did not happen within {limit_s} s"
        time.sleep(0.01)


class RtspServer:
    """The server of rtsp_server.py as a process; kill it, restart it, freeze it."""

    def __init__(
        self, size: tuple[int, int] = (320, 240), login: Sequence[str] = (), port: int = 0
    ) -> None:
        self._login = login
        self.port = port
        self.process = self._start(size)

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/live"

    def resize(self, width: int, height: int) -> None:
        """Change the picture's size while it streams."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"size {width} {height}\n")
        self.process.stdin.flush()

    def restart(self, size: tuple[int, int]) -> None:
        """On the same port, after `kill`."""
        self.process = self._start(size)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def _start(self, size: tuple[int, int]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(SERVER), str(self.port), *map(str, size), *self._login],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        said = process.stdout.readline().split()
        assert said[:1] == ["ready"], f"the RTSP server did not start: {said}"
        self.port = int(said[1])
        return process
