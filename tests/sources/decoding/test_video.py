"""What the decoder does that no file or server here can show: cameras, silent ends, odd rates."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from pathlib import Path

import av
import cv2
import pytest
from source_tools import Events, counted, number_of, read_all, write_video

from streamseg.clock import RealClock
from streamseg.config import SourceConfig
from streamseg.errors import SourceError
from streamseg.masking import Masker
from streamseg.sources import StreamEnded, open_source
from streamseg.sources.connection import Picture
from streamseg.sources.decoding.video import VideoConnection, VideoRequest


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


def raw(path: Path, codec: str, kind: str, fps: int, options: dict[str, str]) -> Path:
    """A stream of pictures without a container, 24 of them."""
    with av.open(str(path), "w", format=kind) as container:
        stream = container.add_stream(codec, rate=fps, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(24):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(counted(number), "rgb24")))
        container.mux(stream.encode())
    return path


X264 = {"preset": "ultrafast", "x264-params": "bframes=2:b-adapt=0"}


@pytest.mark.parametrize(
    ("codec", "kind", "options"),
    [
        ("libx264", "h264", X264),
        ("libx265", "hevc", {"preset": "ultrafast", "x265-params": "log-level=0"}),
        ("mpeg2video", "mpeg2video", {}),
        ("mpeg4", "m4v", {}),
        ("wrapped_avframe", "yuv4mpegpipe", {}),
    ],
)
def test_a_raw_stream_has_the_rate_of_its_own_headers(
    tmp_path: Path, codec: str, kind: str, options: dict[str, str]
) -> None:
    path = raw(tmp_path / f"raw.{kind}", codec, kind, 50, options)
    rates = [None] if kind == "yuv4mpegpipe" else [None, 10.0]  # what has stamps keeps them
    for fps in rates:
        seconds = 23 / (fps or 50)
        config = SourceConfig(hwaccel="none", fps=fps)
        source = open_source(str(path), config, RealClock())
        frames = read_all(source)
        source.close()
        assert source.info.fps == (fps or 50.0)
        assert len(frames) == 24
        assert [frames[0].pts_s, frames[-1].pts_s] == pytest.approx([0.0, seconds], abs=1e-6)


def to_the_end(connection: VideoConnection) -> list[Picture]:
    pictures = []
    try:
        while True:
            pictures.append(connection.read())
    except (SourceError, StreamEnded):  # the end of what is live is a fault
        return [picture for picture in pictures if picture is not None]


@pytest.mark.parametrize("kind", ["avi", "ts", "mp4", "mkv"])
@pytest.mark.parametrize("live", [False, True])
def test_pictures_stored_out_of_order_are_shown_in_order(
    tmp_path: Path, kind: str, live: bool
) -> None:
    """B-frames, also in AVI, which does not say when they are to be shown."""
    formats = {"ts": "mpegts", "mkv": "matroska"}
    path = raw(tmp_path / f"a.{kind}", "libx264", formats.get(kind, kind), 25, X264)
    connection = VideoConnection(request(str(path), live=live, options={"flags": "low_delay"}))
    shown = to_the_end(connection)
    connection.close()
    assert [number_of(picture.image) for picture in shown] == list(range(24))
    stamps = [picture.pts_ns for picture in shown if picture.pts_ns is not None]
    assert {after - before for before, after in itertools.pairwise(stamps)} == {40_000_000}
    assert len(stamps) >= 22


def test_files_put_together_lose_nothing_at_the_seam(tmp_path: Path) -> None:
    """A transport stream that jumps is called corrupt there, and is whole."""
    one = write_video(tmp_path / "1.ts", [counted(i) for i in range(24)], codec="mpeg2video")
    path = tmp_path / "both.ts"
    path.write_bytes(one.read_bytes() * 2)
    source = open_source(str(path), SourceConfig(hwaccel="none"), RealClock())
    frames = read_all(source)
    source.close()
    assert [number_of(frame.image) for frame in frames] == [*range(24), *range(24)]


def test_a_clock_of_33_bits_that_runs_over_goes_on(tmp_path: Path) -> None:
    """Transport streams count to 2 ** 33 ninety-thousandths: 26.5 hours."""
    over = 2**33 // 3000  # in frames of 1/30 s
    path = write_video(
        tmp_path / "a.ts",
        [counted(i) for i in range(24)],
        codec="mpeg2video",
        pts=[over - 12 + i for i in range(24)],
    )
    source = open_source(str(path), SourceConfig(hwaccel="none"), RealClock())
    frames = read_all(source)
    source.close()
    assert [frame.epoch for frame in frames] == [0] * 24
    assert frames[-1].pts_s - frames[0].pts_s == pytest.approx(23 / 30, abs=1e-3)


def test_a_rate_that_nobody_states_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "a.mjpeg"
    path.write_bytes(b"".join(cv2.imencode(".jpg", counted(i))[1].tobytes() for i in range(3)))
    for fps, told in ((None, 1), (10.0, 0)):
        events = Events()
        source = open_source(str(path), SourceConfig(hwaccel="none", fps=fps), RealClock(), events)
        assert len(read_all(source)) == 3
        source.close()
        assert events.kinds.count("rate") == told
