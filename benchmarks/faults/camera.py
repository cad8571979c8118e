"""A network camera of our own, a process that can be killed: MPEG-TS with H.264 over TCP.

    python -m streamseg.benchmarks.faults.camera FOLDER PORT SHOWING

Shows the reel in FOLDER to whoever connects, at its rate, whatever the client keeps up with, and
signs the pictures of each connection with a number of its own, from SHOWING on. Prints
`ready PORT` once it serves. A line `size W H` on its standard input changes the picture's size in
the middle of the stream; the end of the input ends it.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

from streamseg.benchmarks.faults.reel import FPS, SIZES, Reel, Signature, number_at

_SHOWINGS = 256
_PER_BOOT = 32
_KEY_EVERY = 12
_RATE = Fraction(FPS)


class Camera:
    """Serves the reel to any number of clients, each from a key picture on."""

    def __init__(self, folder: Path, port: int, showing: int) -> None:
        self.size = SIZES[0]
        self._reel = Reel(folder)
        self._showings = itertools.count(showing)
        self._begun_s = time.monotonic()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=16)
        self.port = int(self._listener.getsockname()[1])

    def serve(self) -> None:
        """Take clients for ever, each in a thread."""
        while True:
            client, _ = self._listener.accept()
            showing = next(self._showings) % _SHOWINGS
            threading.Thread(target=self._show, args=(client, showing), daemon=True).start()

    def _show(self, client: socket.socket, showing: int) -> None:
        with client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            output = av.open(_Wire(client), "w", format="mpegts", options={"flush_packets": "1"})
            with contextlib.suppress(OSError, av.FFmpegError):  # until the client has gone
                self._stream(output, showing)
            with contextlib.suppress(OSError, av.FFmpegError):  # it wants no trailer
                output.close()

    def _stream(self, output: av.container.OutputContainer, showing: int) -> None:
        size, encoder = self.size, _encoder(self.size)
        stream = output.add_mux_stream("h264", rate=_RATE, width=size[0], height=size[1])
        for tick in self._ticks():
            if size != self.size:
                size, encoder = self.size, _encoder(self.size)
            image = self._reel.picture(size, Signature(showing, number_at(tick)))
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = tick, 1 / _RATE
            for packet in encoder.encode(frame):
                packet.stream = stream
                output.mux(packet)

    def _ticks(self) -> Iterator[int]:
        """The moments of the camera's own time; those that a slow client misses are left out."""
        last = -1
        while True:
            tick = int((time.monotonic() - self._begun_s) * FPS)
            if tick == last:
                time.sleep(max(0.0, self._begun_s + (last + 1) / FPS - time.monotonic()))
                continue
            last = tick
            yield tick


class _Wire:
    """A socket as the file that the muxer writes to."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client

    def write(self, data: bytes) -> int:
        self._client.sendall(data)
        return len(data)


def _encoder(size: tuple[int, int]) -> av.VideoCodecContext:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = size
    encoder.pix_fmt = "yuv420p"
    encoder.time_base, encoder.framerate = 1 / _RATE, _RATE
    encoder.gop_size = _KEY_EVERY
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "18", "threads": "1"}
    return encoder


class CameraProcess:
    """The camera as a process: kill it, start it again, change its picture's size."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._boots = itertools.count()
        self.port = 0
        self.start()

    def start(self) -> None:
        """On the same port as before; returns once it serves.

        Raises:
            RuntimeError: It did not come up.
        """
        showing = next(self._boots) * _PER_BOOT % _SHOWINGS
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(self._folder), str(self.port), str(showing)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        said = self._process.stdout.readline().split()
        if said[:1] != ["ready"]:
            raise RuntimeError(f"the camera did not start: expected 'ready PORT', got {said}")
        self.port = int(said[1])

    def resize(self, size: tuple[int, int]) -> None:
        """Change the picture's size, one of `reel.SIZES`, while it streams."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"size {size[0]} {size[1]}\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """SIGKILL: nothing is said to any client. May be called twice."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def main() -> None:
    folder, port, showing = sys.argv[1:]
    camera = Camera(Path(folder), int(port), int(showing))
    threading.Thread(target=camera.serve, daemon=True).start()
    print("ready", camera.port, flush=True)
    for line in sys.stdin:
        _, width, height = line.split()
        camera.size = (int(width), int(height))


if __name__ == "__main__":
    main()
