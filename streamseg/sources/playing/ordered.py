"""A source that drops nothing: a thread decodes a few frames ahead and waits for the reader."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from streamseg.clock import Clock
from streamseg.config import SourceConfig
from streamseg.sources.connection import Connection
from streamseg.sources.playing.epochs import FrameMaker
from streamseg.sources.playing.mailbox import Mailbox
from streamseg.types import Event, Frame, SourceInfo

_CLOSE_S = 1.5


class OrderedSource:
    """Every picture of one connection, in order."""

    def __init__(
        self,
        name: str,
        connection: Connection,
        config: SourceConfig,
        clock: Clock,
        on_event: Callable[[Event], None],
    ) -> None:
        self._connection = connection
        self._maker = FrameMaker(config, clock, on_event, live=False)
        self._maker.set_fps(connection.fps)
        self._mailbox = Mailbox(config.decode_ahead, keep_newest=False)
        self._stopping = threading.Event()
        self._info = SourceInfo(
            name=name,
            live=False,
            fps=connection.fps,
            frame_count=connection.frame_count,
            width=connection.width,
            height=connection.height,
            pixel_aspect=connection.pixel_aspect,
        )
        self._thread = threading.Thread(target=self._run, name="source decode", daemon=True)
        self._thread.start()

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def dropped(self) -> Mapping[str, int]:
        return {}

    def read(self, timeout_s: float) -> Frame | None:
        """The next frame; see `Source.read`."""
        return self._mailbox.get(timeout_s)

    def close(self) -> None:
        """Stop decoding; a decoder that hangs is left behind in its thread."""
        self._stopping.set()
        self._mailbox.close()
        if threading.current_thread() is not self._thread:
            self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        try:
            self._decode()
        except Exception as error:  # noqa: BLE001 - the reader is to see it, whatever it is
            self._mailbox.end(error)
        finally:
            self._connection.close()

    def _decode(self) -> None:
        while not self._stopping.is_set():
            picture = self._connection.read()
            if picture is not None and not self._mailbox.put(self._maker.make(picture)):
                return
