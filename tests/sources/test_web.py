"""What lies on the web: films that end, cameras that do not, and connections that break."""

from __future__ import annotations

import io
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from source_tools import Events, counted, number_of, read_all, read_until, wait_until, write_video
from web_server import Exchange, WebServer, web_server

from streamseg.clock import RealClock
from streamseg.config import SourceConfig
from streamseg.errors import SourceError
from streamseg.sources import Source, StreamEnded
from streamseg.sources.decoding.av import open_av

FRAMES = 24


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The same film in several wrappings, by suffix."""
    folder, images = tmp_path_factory.mktemp("films"), [counted(i) for i in range(FRAMES)]
    films = {
        kind: write_video(folder / f"film.{kind}", images, faststart=True).read_bytes()
        for kind in ("mp4", "mkv", "avi")
    }
    films["ts"] = write_video(folder / "film.ts", images, codec="mpeg2video").read_bytes()
    return films


@pytest.fixture(scope="module")
def jpegs() -> list[bytes]:
    return [cv2.imencode(".jpg", counted(i))[1].tobytes() for i in range(FRAMES)]


def opened(url: str, events: Events | None = None, **config: object) -> Source:
    settings = SourceConfig.model_validate({"hwaccel": "none", "connect_timeout_s": 5.0, **config})
    quick = lambda: itertools.repeat(0.1)  # noqa: E731
    events = Events() if events is None else events
    return open_av(url, settings, RealClock(), events, schedule=quick)


def played(url: str, events: Events | None = None, **config: object) -> list[int]:
    """The numbers of the frames of what must be a file."""
    source = opened(url, events, **config)
    try:
        assert not source.info.live
        numbers = [number_of(frame.image) for frame in read_all(source)]
        assert source.dropped == {}
        return numbers
    finally:
        source.close()


def pieces(data: bytes, size: int = 2000) -> list[bytes]:
    return [data[begin : begin + size] for begin in range(0, len(data), size)]


def hls(*lines: str) -> bytes:
    head = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", "#EXT-X-MEDIA-SEQUENCE:0"]
    return "\n".join([*head, *lines, ""]).encode()


# What ends ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mp4", "mkv", "avi", "ts"])
@pytest.mark.parametrize("how", ["whole", "chunked", "closed"])
def test_a_film_plays_once_in_order_whatever_its_address_says(
    web: WebServer, films: dict[str, bytes], kind: str, how: str
) -> None:
    ways: dict[str, Callable[[Exchange], None]] = {
        "whole": lambda x: x.whole(films[kind]),
        "chunked": lambda x: x.chunked(pieces(films[kind])),
        "closed": lambda x: x.closed([films[kind]]),
    }
    web.routes["/download"] = ways[how]
    events = Events()
    assert played(web.url("/download?id=3"), events) == list(range(FRAMES))
    # Without length and duration nobody can know whether that was all: so much is said.
    assert events.kinds == (["ended"] if kind == "ts" and how != "whole" else [])


def test_a_film_goes_on_where_its_connection_broke(web: WebServer, films: dict[str, bytes]) -> None:
    """Each answer breaks off after a part; the client asks for the rest."""

    def part(x: Exchange) -> None:
        data, begin = films["ts"], x.first_byte
        x.promise(data, begin)
        x.wfile.write(data[begin : begin + 1 + len(data) // 3])

    web.routes["/film"] = part
    assert played(web.url("/film")) == list(range(FRAMES))
    assert len(web.asked) > 2


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts"])
def test_a_film_whose_connection_stays_broken_is_no_success(
    web: WebServer, films: dict[str, bytes], kind: str
) -> None:
    data = films[kind]
    web.routes["/film"] = lambda x: x.cut(data, len(data) * 2 // 3)
    events = Events()
    source = opened(web.url("/film"), events)
    with pytest.raises(SourceError, match="the connection broke after") as caught:
        read_all(source)
    source.close()
    assert caught.value.exit_code == 1


def test_chunks_that_break_off_are_no_proper_end(web: WebServer, films: dict[str, bytes]) -> None:
    data = films["mp4"]
    web.routes["/film"] = lambda x: x.chunked(pieces(data[: len(data) // 2], 500), finish=False)
    source = opened(web.url("/film"))
    with pytest.raises(SourceError, match="the connection broke after"):
        read_all(source)
    source.close()


@pytest.mark.parametrize("address", ["/film", "/film.m3u8"])
def test_a_list_with_an_end_is_a_film(
    web: WebServer, films: dict[str, bytes], address: str
) -> None:
    web.routes["/s0.ts"] = lambda x: x.whole(films["ts"])
    web.routes[address] = lambda x: x.whole(
        hls("#EXTINF:0.8,", "s0.ts", "#EXT-X-ENDLIST"), "application/vnd.apple.mpegurl"
    )
    assert played(web.url(address)) == list(range(FRAMES))


@pytest.mark.parametrize("address", ["/shot.jpg", "/snapshot"])
@pytest.mark.parametrize("how", ["whole", "chunked", "closed"])
def test_a_single_picture_is_a_film_of_one(
    web: WebServer, jpegs: list[bytes], address: str, how: str
) -> None:
    ways: dict[str, Callable[[Exchange], None]] = {
        "whole": lambda x: x.whole(jpegs[7], "image/jpeg"),
        "chunked": lambda x: x.chunked([jpegs[7]]),
        "closed": lambda x: x.closed([jpegs[7]]),
    }
    web.routes[address] = ways[how]
    assert played(web.url(address)) == [7]


def in_pages(kind: str) -> bytes:
    """Three pages or frames in one file."""
    first, *others = (Image.fromarray(counted(i)) for i in range(3))
    file = io.BytesIO()
    first.save(file, kind, save_all=True, append_images=others)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["TIFF", "AVIF"])
def test_pages_on_the_web_are_not_left_out_without_a_word(web: WebServer, kind: str) -> None:
    picture, events = in_pages(kind), Events()
    web.routes["/picture"] = lambda x: x.whole(picture)
    assert played(web.url("/picture"), events) == [0]
    assert "only the first page or frame is read over the web" in events.text


def test_an_animation_that_is_read_from_files_only(web: WebServer) -> None:
    picture = in_pages("WEBP")
    web.routes["/picture"] = lambda x: x.whole(picture)
    with pytest.raises(SourceError, match="read from files only: fetch it first"):
        opened(web.url("/picture"))


def test_a_redirect_is_followed(web: WebServer, films: dict[str, bytes]) -> None:
    web.routes["/new"] = lambda x: x.whole(films["mp4"])
    web.routes["/old"] = lambda x: x.status(302, Location="/new")
    assert played(web.url("/old")) == list(range(FRAMES))


def test_realtime_plays_a_film_on_the_web_as_if_live(
    web: WebServer, films: dict[str, bytes]
) -> None:
    web.routes["/film"] = lambda x: x.whole(films["mp4"])
    source = opened(web.url("/film"), realtime=True)
    assert source.info.live
    begun_s = time.monotonic()
    frames = read_all(source)
    assert time.monotonic() - begun_s > 0.6
    assert frames[-1].index == FRAMES - 1
    source.close()


@pytest.mark.parametrize(
    ("code", "words"),
    [(401, "401 Unauthorized"), (403, "403 Forbidden"), (404, "404 Not Found"), (500, "5XX")],
)
def test_a_refusal_is_told(web: WebServer, code: int, words: str) -> None:
    web.routes["/film.mp4"] = lambda x: x.status(code)
    with pytest.raises(SourceError, match=words) as caught:
        opened(web.url("/film.mp4").replace("://", "://me:hunter2@"))
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


# What does not end -------------------------------------------------------------------------------


def test_a_camera_keeps_the_time_at_which_its_pictures_come(
    web: WebServer, jpegs: list[bytes]
) -> None:
    """Five pictures a second, whatever rate FFmpeg takes multipart pictures to have."""
    web.routes["/cam"] = lambda x: x.camera(jpegs, fps=5)
    source = opened(web.url("/cam"))
    try:
        assert source.info.live
        first = read_until(source, lambda frame: True)
        begun_s = time.monotonic()
        later = read_until(source, lambda frame: frame.index >= first.index + 8)
        shown_s, passed_s = later.pts_s - first.pts_s, time.monotonic() - begun_s
        assert shown_s == pytest.approx((later.arrived_ns - first.arrived_ns) / 1e9)
        assert shown_s == pytest.approx(passed_s, abs=0.5)
        assert later.epoch == 0
    finally:
        source.close()


def test_a_camera_that_hangs_up_is_called_again(web: WebServer, jpegs: list[bytes]) -> None:
    web.routes["/cam"] = lambda x: x.camera(jpegs[:3], fps=20)
    events = Events()
    source = opened(web.url("/cam"), events)
    try:
        assert read_until(source, lambda frame: frame.epoch >= 2).index >= 6
        assert {"disconnected", "connected", "epoch"} <= set(events.kinds)
    finally:
        source.close()


def test_a_stream_without_end_is_live(web: WebServer, films: dict[str, bytes]) -> None:
    """A transport stream at its own pace, longer than anyone would look ahead."""
    seconds = FRAMES / 30
    parts = pieces(films["ts"], len(films["ts"]) // 40 + 1)
    web.routes["/live"] = lambda x: x.chunked(
        x.server.paced(itertools.cycle(parts), len(parts) / seconds)
    )
    source = opened(web.url("/live"))
    try:
        assert source.info.live
        read_until(source, lambda frame: frame.index > FRAMES)
    finally:
        begun_s = time.monotonic()
        source.close()
        assert time.monotonic() - begun_s < 2.0


def test_a_list_without_an_end_is_live_until_it_has_one(web: WebServer, tmp_path: Path) -> None:
    parts = transport_parts(tmp_path, 12)
    for number, part in enumerate(parts):
        web.routes[f"/{number}.ts"] = lambda x, part=part: x.whole(part)
    begun_s = time.monotonic()

    def answer(x: Exchange) -> None:
        there = min(len(parts), 4 + int((time.monotonic() - begun_s) / 0.5))
        lines = [line for i in range(there) for line in ("#EXTINF:0.5,", f"{i}.ts")]
        x.whole(hls(*lines, *(["#EXT-X-ENDLIST"] if there == len(parts) else [])))

    web.routes["/live.m3u8"] = answer
    events = Events()
    source = opened(web.url("/live.m3u8"), events)
    try:
        assert source.info.live
        read_until(source, lambda frame: frame.index > 5)
        with pytest.raises(StreamEnded):
            read_until(source, lambda frame: False, 20.0)
    finally:
        source.close()


def transport_parts(folder: Path, count: int) -> list[bytes]:
    """A film of half-second transport streams whose stamps go on from one to the next."""
    path = folder / "%d.ts"
    options = {"segment_time": "0.5", "segment_format": "mpegts"}
    with av.open(str(path), "w", format="segment", options=options) as container:
        stream = container.add_stream("mpeg2video", rate=30, options={"g": "15"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(15 * count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(counted(number % 24), "rgb24")))
        container.mux(stream.encode())
    return [(folder / f"{number}.ts").read_bytes() for number in range(count)]


def test_what_is_not_there_yet_is_waited_for(jpegs: list[bytes]) -> None:
    with web_server() as server:
        port = server.server_address[1]
    events = Events()
    source = opened(f"http://127.0.0.1:{port}/cam", events, wait_for_source=True)
    try:
        wait_until(lambda: "disconnected" in events.kinds)
        with web_server(port) as server:
            server.routes["/cam"] = lambda x: x.camera(jpegs, fps=20)
            assert read_until(source, lambda frame: True).image.shape == (48, 64, 3)
    finally:
        source.close()


def test_the_camera_of_one_picture_size_and_then_another(web: WebServer) -> None:
    small, large = (
        cv2.imencode(".jpg", np.full((side, side, 3), 90, np.uint8))[1].tobytes()
        for side in (32, 64)
    )
    web.routes["/cam"] = lambda x: x.camera([small] * 4 + [large] * 40, fps=20)
    source = opened(web.url("/cam"))
    try:
        assert read_until(source, lambda frame: frame.width == 64).epoch == 1
    finally:
        source.close()


def test_twenty_reconnects_and_a_stop_leave_nothing_behind(
    web: WebServer, jpegs: list[bytes]
) -> None:
    """Neither threads nor open files."""
    web.routes["/cam"] = lambda x: x.camera(jpegs[:3], fps=40)
    before, files = mine(), open_files()
    source = opened(web.url("/cam"))
    read_until(source, lambda frame: frame.epoch >= 20, 60.0)
    assert len(mine()) <= len(before) + 3
    source.close()
    wait_until(lambda: mine() <= before)
    wait_until(lambda: open_files() <= files)


def mine() -> set[threading.Thread]:
    """All threads but those in which the server answers."""
    return {each for each in threading.enumerate() if "process_request" not in each.name}


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
