"""One life of the worker process: started, spoken to in lines, ended; meanings are not its own."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import streamseg
from streamseg.reasoning.worker.wire import MAX_LINE_BYTES

LAST_WORDS_BYTES = 4096
STOP_GRACE_S = 0.25
"""Between closing its input and killing it."""
DEATH_GRACE_S = 0.75
"""Between the end of its output and its own; an interpreter takes a while to fold up."""


class ProcessError(Exception):
    """The process died, hung, or spoke nonsense; the message says which."""


class Wake:
    """Lets another thread end `WorkerProcess.receive` at once."""

    def __init__(self) -> None:
        self.read_fd, self._write_fd = os.pipe()
        os.set_blocking(self.read_fd, False)
        os.set_blocking(self._write_fd, False)

    def ring(self) -> None:
        with contextlib.suppress(BlockingIOError):  # Full: it is ringing already.
            os.write(self._write_fd, b"\0")

    def quiet(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.read_fd, 4096)

    def close(self) -> None:
        os.close(self.read_fd)
        os.close(self._write_fd)


class WorkerProcess:
    """A Python process that runs `module`, with lines in and out; used by one thread.

    Args:
        module: Run as `python -m module`, finding packages where this process does.
        arguments: For it.
        pass_fds: Descriptors that it inherits.
        wake: Ends `receive` early when rung.

    Raises:
        ProcessError: It cannot be started.
    """

    def __init__(
        self, module: str, arguments: Sequence[str], pass_fds: Sequence[int], wake: Wake
    ) -> None:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=pass_fds,
                process_group=0,  # Ctrl-C in the terminal is the parent's to handle.
                env={**os.environ, "PYTHONPATH": _import_path()},
            )
        except OSError as error:
            raise ProcessError(f"cannot be started: {error}") from None
        self._stdin = _there(self._process.stdin)
        self._stdout = _there(self._process.stdout)
        self._stderr = _there(self._process.stderr)
        self._wake = wake
        self._received = bytearray()
        self._last_words = bytearray()
        self._selector = selectors.DefaultSelector()
        for fd in (self._stdout.fileno(), self._stderr.fileno(), wake.read_fd):
            self._selector.register(fd, selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, line: bytes) -> None:
        """Write one line.

        Raises:
            ProcessError: Nobody reads any more.
        """
        try:
            while line:
                line = line[self._stdin.write(line) :]
        except OSError:
            raise self._death() from None

    def receive(self, timeout_s: float | None) -> bytes | None:
        """The next line, or None after `timeout_s` or a ring of the wake.

        Raises:
            ProcessError: The process ended, or sent a line longer than MAX_LINE_BYTES.
        """
        if (line := self._take_line()) is not None:
            return line
        for key, _ in self._selector.select(timeout_s):
            if key.fd == self._wake.read_fd:
                self._wake.quiet()
            elif key.fd == self._stderr.fileno():
                self._hear_last_words()
            elif chunk := os.read(key.fd, 65536):
                self._received += chunk
            else:
                raise self._death()
        return self._take_line()

    def stop(self) -> None:
        """End it: asked by closing its input, then killed."""
        with contextlib.suppress(OSError):
            self._stdin.close()
        try:
            self._process.wait(STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._selector.close()
        self._stdout.close()
        self._stderr.close()

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self.kill()
        self.stop()

    def _take_line(self) -> bytes | None:
        end = self._received.find(b"\n")
        if end < 0:
            if len(self._received) > MAX_LINE_BYTES:
                raise ProcessError(f"sent a line of more than {MAX_LINE_BYTES} bytes")
            return None
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line

    def _hear_last_words(self) -> bool:
        chunk = os.read(self._stderr.fileno(), 65536)
        if not chunk:
            self._selector.unregister(self._stderr.fileno())
        self._last_words += chunk
        del self._last_words[:-LAST_WORDS_BYTES]
        return bool(chunk)

    def _death(self) -> ProcessError:
        """How it ended, with the last line it wrote to its standard error."""
        try:
            code = self._process.wait(DEATH_GRACE_S)
            how = f"was ended by {_signal_name(-code)}" if code < 0 else f"exited with code {code}"
        except subprocess.TimeoutExpired:
            how = "closed its output"
        os.set_blocking(self._stderr.fileno(), False)
        with contextlib.suppress(BlockingIOError, KeyError):
            while self._hear_last_words():
                pass
        words = self._last_words.decode(errors="replace").strip().splitlines()
        return ProcessError(f"{how}: {words[-1][:300]}" if words else how)


def _there(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _import_path() -> str:
    """Where the child finds this package, and what the user's environment adds.

    Not all of `sys.path`: it would stand before the child's standard library, and a user's script
    folder may hold a file named like one of its modules.
    """
    own = str(Path(streamseg.__file__).parents[1])
    return os.pathsep.join(filter(None, [own, os.environ.get("PYTHONPATH")]))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
