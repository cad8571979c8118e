"""What is said of files and pages that nobody could play."""

from __future__ import annotations

import errno
import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from picture_tools import played, write_scene
from PIL import Image

from streamseg.errors import StreamSegError
from streamseg.sources.decoding.diagnosis import of_file, of_host

PAGE = b"\xef\xbb\xbf\n<!-- made by hand -->\n<!DOCTYPE html><html><body>Sign in</body></html>"


LIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\ngone.ts\n#EXT-X-ENDLIST\n"
PAGES = {"/film.mp4": PAGE, "/nothing.mp4": b"", "/film.m3u8": LIST}


def zipped() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.mp4", "x" * 1000)
    return archive.getvalue()


CONTENTS = {
    "empty": (b"", "the file is empty"),
    "text": ("ein Brief, kein Film: äöü\n".encode() * 300, "it is a text file"),
    "page": (PAGE, "it is a web page, not a video"),
    "zip": (zipped(), "it is a zip archive; unpack it"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(100), "it is a PDF document"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "it is an HEIC picture"),
}


@pytest.mark.parametrize("suffix", ["mp4", "jpg", "txt", "bin"])
@pytest.mark.parametrize("kind", CONTENTS)
def test_a_file_that_is_no_film_is_named(tmp_path: Path, kind: str, suffix: str) -> None:
    content, words = CONTENTS[kind]
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    with pytest.raises(StreamSegError, match=words) as caught:
        played(path)
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)


def test_a_recording_without_its_index(tmp_path: Path) -> None:
    whole = write_scene(tmp_path / "a.mp4", "mpeg4", "yuv420p", frames=20).read_bytes()
    cut = tmp_path / "b.mp4"
    cut.write_bytes(whole[: whole.index(b"moov") - 4])
    with pytest.raises(StreamSegError, match=r"the recording was cut off \(no index"):
        played(cut)


def test_an_encrypted_film(tmp_path: Path) -> None:
    film = write_scene(tmp_path / "a.mp4", "libx264", "yuv420p").read_bytes()
    locked = film.replace(b"avc1\0\0\0\0", b"encv\0\0\0\0").replace(b"avcC", b"free")
    (tmp_path / "b.mp4").write_bytes(locked)
    with pytest.raises(StreamSegError, match="it is encrypted"):
        played(tmp_path / "b.mp4")


def test_nothing_is_said_of_what_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(bytes(range(128, 256)) * 20)
    assert of_file(str(tmp_path / "a.mp4")) is None
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert of_file(str(tmp_path / "a.png")) is None
    assert of_file(str(tmp_path / "missing")) == "No such file or directory"


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page = PAGES.get(self.path)
        self.send_response(404 if page is None else 200)
        self.send_header("Content-Length", str(len(page or b"")))
        self.end_headers()
        self.wfile.write(page or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/film.mp4", "it is a web page, not a video"),
        ("/nothing.mp4", "the answer holds nothing"),
        ("/film.m3u8", "it is a playlist .* segments"),
    ],
)
def test_what_came_in_place_of_a_film(site: str, address: str, words: str) -> None:
    with pytest.raises(StreamSegError, match=words):
        played(site + address)


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_host_that_is_not_known(scheme: str) -> None:
    failed = OSError(errno.EIO, "Input/output error")
    words = of_host(f"{scheme}://me:secret@no-such-host.invalid/x", failed)
    assert words is not None
    assert words.startswith("its host has no address")
    assert of_host(f"{scheme}://127.0.0.1/x", failed) is None
    assert of_host(f"{scheme}://no-such-host.invalid/x", OSError(errno.ENOENT, "")) is None


def test_a_hash_in_a_web_address(site: str) -> None:
    with pytest.raises(StreamSegError, match=r"404.*write '#' as %23"):
        played(f"{site}/missing#1.mp4")
