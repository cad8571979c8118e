"""The proxy itself: what it carries when told nothing, and each way in which it fails."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from streamseg.benchmarks.faults.proxy import FaultyProxy

SAID = bytes(range(256)) * 64


class Answerer:
    """Says SAID for every byte it hears: two may come together."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        try:
            with client:
                while asked := client.recv(100):
                    client.sendall(SAID * len(asked))
        except OSError:
            pass  # reset on purpose


@pytest.fixture
def proxy() -> Iterator[FaultyProxy]:
    answerer = Answerer()
    with FaultyProxy(answerer.port) as between:
        yield between
    answerer.close()


@pytest.fixture
def client(proxy: FaultyProxy) -> Iterator[socket.socket]:
    with connect(proxy) as connected:
        assert ask(connected) == SAID
        yield connected


def connect(proxy: FaultyProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def ask(client: socket.socket, size: int = len(SAID)) -> bytes:
    client.sendall(b"?")
    heard = b""
    while len(heard) < size:
        data = client.recv(65536)
        assert data, "closed"
        heard += data
    return heard


def hears_nothing(client: socket.socket) -> bool:
    client.sendall(b"?")
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.settimeout(10)
    return True


def test_dropped_connections_are_reset_and_new_ones_served(
    proxy: FaultyProxy, client: socket.socket
) -> None:
    proxy.drop()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with connect(proxy) as another:
        assert ask(another) == SAID


def test_a_stall_holds_back_and_loses_nothing(proxy: FaultyProxy, client: socket.socket) -> None:
    proxy.stall()
    assert hears_nothing(client)
    proxy.resume()
    assert ask(client, 2 * len(SAID)) == SAID * 2


def test_bits_are_flipped_at_about_the_rate_asked_for(
    proxy: FaultyProxy, client: socket.socket
) -> None:
    proxy.flip(256)
    heard = ask(client)
    wrong = [a ^ b for a, b in zip(heard, SAID, strict=True) if a != b]
    assert 30 <= len(wrong) <= 66
    assert any(bin(each).count("1") == 1 for each in wrong)
    proxy.flip(None)
    assert ask(client) == SAID


def test_bytes_are_slipped_in_once(proxy: FaultyProxy, client: socket.socket) -> None:
    proxy.slip_in(b"noise")
    assert ask(client, len(SAID) + 5) == b"noise" + SAID
    assert ask(client) == SAID


def test_who_refuses_is_back_on_the_same_port(proxy: FaultyProxy, client: socket.socket) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.come_back()
    with connect(proxy) as another:
        assert ask(another) == SAID


def test_who_fell_silent_never_answers_an_old_connection(
    proxy: FaultyProxy, client: socket.socket
) -> None:
    proxy.fall_silent()
    with connect(proxy) as waiting:
        proxy.come_back()
        assert hears_nothing(client)
        assert hears_nothing(waiting)
        with connect(proxy) as another:
            assert ask(another) == SAID
