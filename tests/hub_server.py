"""A small web server that answers as the Hugging Face hub and as a plain one; can break off."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0" * 39 + "1"


class Hub(ThreadingHTTPServer):
    """Serves `files` (path to bytes). `break_after` cuts the next answers off, in bytes.

    Attributes:
        requests: (method, path, Range header) of every request so far.
        lie_about_sha: Announce a wrong checksum.
        gated: Repositories whose files are refused to whoever has not accepted their licence.
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
        self.gated: set[str] = set()

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
        if listed := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/tree)?(?:/.*)?", path.split("?")[0]):
            self._describe(listed[1], as_tree=listed[2] is not None)
            return
        if any(path.startswith(f"/{repo}/") for repo in hub.gated):
            self.send_response(401)
            self.send_header("X-Error-Code", "GatedRepo")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
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

    def _describe(self, repo: str, *, as_tree: bool) -> None:
        """The hub's own description of a repository: its commit and its files."""
        names = {
            path.removeprefix(f"/{repo}/"): len(data) for path, data in self.server.files.items()
        }
        names = {name: size for name, size in names.items() if not name.startswith("/")}
        told: object = {
            "id": repo,
            "sha": COMMIT,
            "siblings": [{"rfilename": name} for name in names],
        }
        if as_tree:
            told = [
                {"type": "file", "path": name, "size": size, "oid": "0" * 40}
                for name, size in names.items()
            ]
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

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
