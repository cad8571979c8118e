"""A TCP proxy that fails on purpose: drops connections, stalls, flips bits, slips bytes in, is not
there. Knows nothing of what it carries.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

_CHUNK = 16 * 1024
_PATIENCE_S = 10.0
_ACCEPTING_S = 0.05
"""Who connected while there was silence may still wait to be accepted, and is to wait for ever."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class FaultyProxy:
    """Carries every connection to `port` on to another local port, until told to do otherwise.

    One thread of its own carries all. Every method may be called from any thread, and has taken
    effect when it returns. Bytes are spoilt on their way to the client only: a camera that is
    asked nonsense is another matter.
    """

    def __init__(self, upstream: int, seed: int = 0) -> None:
        """Args:
        upstream: The port, on this machine, that answers when all is well.
        """
        self._upstream = upstream
        self._rng = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._flip_every: int | None = None
        self._slip_in = b""
        self._server: asyncio.Server | None = None
        self._carried: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self.port = 0
        self._do(self._listen())

    # What may be done to those who are connected

    def drop(self) -> None:
        """Reset every connection; new ones are served."""
        self._do(self._drop())

    def stall(self) -> None:
        """Carry nothing, and let new connections wait, until `resume`."""
        self._call(self._flowing.clear)

    def resume(self) -> None:
        """Carry on, with all that has piled up."""
        self._call(self._flowing.set)

    def flip(self, every_bytes: int | None) -> None:
        """Flip a bit in about every so many bytes to the client; None: no more."""
        self._flip_every = every_bytes

    def slip_in(self, data: bytes) -> None:
        """Bytes that the other side never sent, before what comes next."""
        self._slip_in = data

    # What may be done to those who want to connect

    def refuse(self) -> None:
        """Be gone as a service that ended: every connection is reset, new ones are refused."""
        self._do(self._refuse())

    def fall_silent(self) -> None:
        """Be gone as a machine without power: nothing is said on any connection, old or new, not
        even after the return."""
        self._do(self._fall_silent())

    def come_back(self) -> None:
        """After `refuse` or `fall_silent`: new connections are served."""
        self._do(self._come_back())

    def close(self) -> None:
        """Reset everything and end the thread."""
        self._do(self._refuse())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE_S)
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # In the proxy's own thread

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def _drop(self) -> None:
        tasks = tuple(self._carried)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._drop()

    async def _fall_silent(self) -> None:
        self._flowing.clear()

    async def _come_back(self) -> None:
        await asyncio.sleep(_ACCEPTING_S)
        self._flowing = asyncio.Event()  # who waits on the old one waits for ever
        self._flowing.set()
        if self._server is None:
            await self._listen()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carried.add(task)
        try:
            await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # either side has gone, or we were told to drop it
        finally:
            _reset(writer)
            self._carried.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        flowing = self._flowing
        await flowing.wait()
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        ways = [
            asyncio.create_task(_pump(reader, far_writer, flowing, bytes)),
            asyncio.create_task(_pump(far_reader, writer, flowing, self._spoil)),
        ]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                way.result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            _reset(far_writer)

    def _spoil(self, data: bytes) -> bytes:
        slipped, self._slip_in = self._slip_in, b""
        if self._flip_every is not None:
            spoilt = bytearray(data)
            for _ in range(self._how_many(len(data) / self._flip_every)):
                spoilt[self._rng.randrange(len(spoilt))] ^= 1 << self._rng.randrange(8)
            data = bytes(spoilt)
        return slipped + data

    def _how_many(self, expected: float) -> int:
        return int(expected) + (self._rng.random() < expected % 1)

    # From other threads

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE_S)

    def _call(self, what: Callable[[], None]) -> None:
        done: Future[None] = Future()

        def call() -> None:
            what()
            done.set_result(None)

        self._loop.call_soon_threadsafe(call)
        done.result(_PATIENCE_S)


async def _pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    flowing: asyncio.Event,
    spoil: Callable[[bytes], bytes],
) -> None:
    while data := await reader.read(_CHUNK):
        await flowing.wait()
        writer.write(spoil(data))
        await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close at once and rudely, as a cable that is pulled or a process that dies."""
    with contextlib.suppress(OSError):
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
