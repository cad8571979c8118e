"""A real HTTP server in the test's process: whole files, chunks, cameras, broken connections."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_BOUNDARY = "picture"
_RANGE = re.compile(r"bytes=(\d+)-(\d*)$")
_BROKEN = (BrokenPipeError, ConnectionResetError)


class Exchange(BaseHTTPRequestHandler):
    """One request and the ways to answer it; each way is the whole answer."""

    protocol_version = "HTTP/1.1"
    server: WebServer

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        answer = self.server.routes.get(path)
        try:
            if answer is None:
                self.status(404)
            else:
                answer(self)
        except _BROKEN:
            pass  # the client has left
        self.close_connection = True  # whatever was promised

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def status(self, code: int, **headers: str) -> None:
        """An answer without a body."""
        self.head(code, Content_Length="0", **headers)

    def head(self, code: int = 200, **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Connection": "close", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    @property
    def first_byte(self) -> int:
        """Where the client wants to begin."""
        asked = _RANGE.match(self.headers.get("Range", ""))
        return int(asked[1]) if asked else 0

    def promise(self, data: bytes, begin: int, kind: str = "application/octet-stream") -> None:
        """The head of an answer that holds `data` from `begin` on, of a server that can seek."""
        headers = {"Content_Type": kind, "Accept_Ranges": "bytes"}
        headers["Content_Length"] = str(len(data) - begin)
        if "Range" in self.headers:
            headers["Content_Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        self.head(206 if "Range" in self.headers else 200, **headers)

    def whole(self, data: bytes, kind: str = "application/octet-stream") -> None:
        """With its length, and from any byte that is asked for."""
        self.promise(data, self.first_byte, kind)
        self.wfile.write(data[self.first_byte :])

    def cut(self, data: bytes, after: int) -> None:
        """Promises all of it, and breaks off; never resumes."""
        self.head(Content_Length=str(len(data)))
        self.wfile.write(data[:after])

    def closed(self, pieces: Iterator[bytes] | list[bytes]) -> None:
        """Without a length: the end of the connection is the end."""
        self.head()
        for piece in pieces:
            self.wfile.write(piece)

    def chunked(self, pieces: Iterator[bytes] | list[bytes], *, finish: bool = True) -> None:
        """In chunks; `finish` sends the last, empty one."""
        self.head(Transfer_Encoding="chunked", Connection="keep-alive")
        for piece in pieces:
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        if finish:
            self.wfile.write(b"0\r\n\r\n")

    def camera(self, jpegs: Iterator[bytes] | list[bytes], fps: float) -> None:
        """A multipart stream of pictures, as network cameras send it."""
        self.head(Content_Type=f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        for jpeg in self.server.paced(jpegs, fps):
            part = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n"
            self.wfile.write(part.encode() + b"\r\n" + jpeg + b"\r\n")


Answer = Callable[[Exchange], None]


class WebServer(ThreadingHTTPServer):
    """Serves `routes`, remembers what was asked for."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Exchange)
        self.routes: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.closing = threading.Event()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def paced(self, pieces: Iterator[bytes] | list[bytes], per_second: float) -> Iterator[bytes]:
        """One after another at their rate, until the server closes."""
        begun_s = time.monotonic()
        for number, piece in enumerate(pieces):
            if self.closing.wait(max(0.0, begun_s + number / per_second - time.monotonic())):
                return
            yield piece


@contextmanager
def web_server(port: int = 0) -> Iterator[WebServer]:
    server = WebServer(port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
