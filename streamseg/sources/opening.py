"""Opens a connection so that a stop is heard meanwhile; knows no backend."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from streamseg.sources import StreamEnded, never

LOOK_S = 0.2
"""How often whoever waits for a source looks whether to give up."""


class _Closable(Protocol):
    def close(self) -> None: ...


Opened = TypeVar("Opened", bound=_Closable)


def open_unless(connect: Callable[[], Opened], stopped: Callable[[], bool] = never) -> Opened:
    """What `connect` opens, in a thread of its own, which is left behind when `stopped` is true.

    A call into a driver or a network stack cannot be interrupted from outside. Left behind, it
    ends with its own time limit, and what it opened is closed at once.

    Raises:
        StreamEnded: It was stopped.
        Exception: Whatever `connect` raises.
    """
    attempt = _Attempt(connect)
    try:
        while not attempt.done.wait(LOOK_S):
            if stopped():
                raise StreamEnded
        return attempt.result()
    except BaseException:  # Ctrl-C too
        attempt.leave()
        raise


class _Attempt(Generic[Opened]):
    """One call of `connect` in a thread of its own."""

    def __init__(self, connect: Callable[[], Opened]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._left = False
        self._opened: Opened | None = None
        self._error: BaseException | None = None
        self.done = threading.Event()
        threading.Thread(target=self._run, name="source open", daemon=True).start()

    def result(self) -> Opened:
        if self._error is not None:
            raise self._error
        assert self._opened is not None
        return self._opened

    def leave(self) -> None:
        """Nobody wants it any more: what is open is closed, and what will be, once it is."""
        with self._lock:
            self._left = True
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _run(self) -> None:
        try:
            opened = self._connect()
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            self._error = error
        else:
            with self._lock:
                left = self._left
                self._opened = None if left else opened
            if left:
                opened.close()
        finally:
            self.done.set()
