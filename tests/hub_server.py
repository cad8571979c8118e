"""A small web server that answers as the Hugging Face hub and as a plain one; can break off."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0" * 39 + "1"


class Hub(ThreadingHTTPServer):
    """Serves `files` (path to bytes). `break_after` cuts the next answers off, in bytes.

    Attributes:
        requests: (method, path, Range header) of every request so far.
        lie_about_sha: Announce a wrong checksum.
        ranges: Understand Range, as real servers do.
    """

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.requests: list[tuple[str, str, str | None]] = []
        self.break_after: int | None = None
        self.lie_about_sha = False
        self.ranges = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Hub:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def _answer(self, body: bool) -> None:
        hub = self.server
        hub.requests.append((self.command, self.path, self.headers.get("Range")))
        path = self.path.replace(f"/resolve/{COMMIT}/", "/").replace("/resolve/main/", "/")
        data = hub.files.get(path)
        if data is None:
            self.send_error(404)
            return
        start = 0
        wanted = self.headers.get("Range")
        if wanted and hub.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        self._headers(data, path, start)
        if body:
            end = len(data) if hub.break_after is None else start + hub.break_after
            self.wfile.write(data[start:end])
            self.close_connection = True

    def _headers(self, data: bytes, path: str, start: int) -> None:
        sha = hashlib.sha256(data).hexdigest()
        if self.server.lie_about_sha:
            sha = hashlib.sha256(b"another").hexdigest()
        etag = sha[:40] if path.endswith(".json") else sha
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
