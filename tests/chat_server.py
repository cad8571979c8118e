"""A small web server that answers as a chat endpoint does, well or badly, in a given order."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[["Handler"], None]
LIST = '[{"bbox_2d": [64, 36, 128, 72], "point_2d": [96, 54], "label": "a mug"}]'
MUG = f"<think>It is blue.</think><answer>{LIST}</answer>"


class ChatServer(ThreadingHTTPServer):
    """Answers the n-th request by the n-th behaviour, and by the last one ever after.

    Attributes:
        bodies: The JSON of every request so far.
        headers: The headers of every request so far, keys in lower case.
        paths: Their paths.
        key: What a request for the list of models has to carry, unless empty.
    """

    key = ""

    daemon_threads = True

    def __init__(self, *behaviours: Behaviour) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviours = behaviours
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def __enter__(self) -> ChatServer:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        server = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.bodies.append(json.loads(body))
        server.headers.append({key.lower(): value for key, value in self.headers.items()})
        server.paths.append(self.path)
        at = min(len(server.bodies), len(server.behaviours)) - 1
        server.behaviours[at](self)

    def do_GET(self) -> None:
        given = self.headers.get("Authorization", "")
        wanted = self.server.key
        self.reply(401 if wanted and given != f"Bearer {wanted}" else 200, b'{"data": []}')

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def reply(self, status: int, body: bytes, kind: str = "application/json", **more: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for key, value in more.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


def says(text: str | None, finish: str = "stop", **message: object) -> Behaviour:
    """A completion."""
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": text, **message},
    }
    body = {"id": "x", "choices": [choice], "usage": {"completion_tokens": 21}}
    return lambda handler: handler.reply(200, json.dumps(body).encode())


def fails(status: int, body: bytes = b"", kind: str = "application/json", **more: str) -> Behaviour:
    """Another status."""
    return lambda handler: handler.reply(status, body, kind, **more)


def hangs(handler: Handler) -> None:
    """No word until the test is over."""
    handler.server.closing.wait(30.0)
    handler.close_connection = True


def drips(handler: Handler) -> None:
    """An answer that comes in drops and never ends."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(400):
        try:
            handler.wfile.write(b" ")
            handler.wfile.flush()
        except OSError:
            return
        if handler.server.closing.wait(0.05):
            return


def hangs_up(handler: Handler) -> None:
    """The connection is lost before the answer."""
    handler.close_connection = True
    handler.connection.close()


def after(seconds: float, then: Behaviour) -> Behaviour:
    """The same, later."""

    def behaviour(handler: Handler) -> None:
        time.sleep(seconds)
        then(handler)

    return behaviour
