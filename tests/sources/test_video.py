"""What the decoder does that no file or server here can show: cameras, silent ends, odd rates."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest
from source_tools import counted, write_video

from streamseg.errors import SourceError
from streamseg.sources.masking import Masker
from streamseg.sources.video import VideoConnection, VideoRequest


def request(location: str, **options: object) -> VideoRequest:
    values: dict[str, object] = {"name": "camera", "live": True, "mask": Masker(location)}
    values |= {"tell": lambda kind, message: None} | options
    return VideoRequest(location, **values)  # type: ignore[arg-type]


def test_a_device_that_is_no_camera() -> None:
    """Reaches the driver: PyAV has Video4Linux built in, and what it says is passed on."""
    with pytest.raises(SourceError, match="cannot open camera: Inappropriate ioctl"):
        VideoConnection(request("/dev/null", format="v4l2"))


def test_a_live_stream_that_ends_is_a_fault(tmp_path: Path) -> None:
    film = write_video(tmp_path / "a.mkv", [counted(i) for i in range(3)])
    connection = VideoConnection(request(str(film)))

    def read_on() -> None:
        while True:
            connection.read()

    with pytest.raises(SourceError, match="the other side ended the stream"):
        read_on()
    connection.close()


def test_a_host_that_never_answers_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"rtsp://u:secret@127.0.0.1:{server.getsockname()[1]}/1"
        begun_s = time.monotonic()
        with pytest.raises(SourceError, match=r"no answer within 0\.3 s"):
            VideoConnection(request(url, open_timeout_s=0.3, read_timeout_s=0.3))
        assert time.monotonic() - begun_s < 10


def test_reading_in_another_thread_than_opened(tmp_path: Path) -> None:
    film = write_video(tmp_path / "a.mp4", [counted(i) for i in range(3)])
    connection = VideoConnection(request(str(film), live=False))
    read: list[object] = []
    thread = threading.Thread(target=lambda: read.append(connection.read()))
    thread.start()
    thread.join(10)
    connection.close()
    assert read[0] is not None
