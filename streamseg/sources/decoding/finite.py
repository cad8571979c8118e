"""Tells what has an end from what goes on for ever, once it is open; knows packets, no pictures."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

_LOOK_S = 1.0
_AHEAD_S = 10.0  # no camera sends that much more than time has passed, not even with its backlog
_MOST_BYTES = 32 * 1024 * 1024
_LISTS = frozenset({"hls", "dash"})  # their length is that of the list, not of what it lists
_CAMERAS = frozenset({"mpjpeg"})


def promises_an_end(container: InputContainer) -> bool | None:
    """Whether the container or its server says that it has an end; None when neither says."""
    name = container.format.name
    if name in _CAMERAS:
        return False
    timed = container.duration is not None and container.duration > 0
    if timed or name in _LISTS:
        return timed
    return True if has_length(container) else None


def has_length(container: InputContainer) -> bool:
    """Whether its bytes are counted: a file, or an HTTP answer with a Content-Length."""
    return container.size > 0


class Packets:
    """A container's packets, some of which may be looked at before they are taken.

    Attributes:
        error: What ended them, None while they come and after a proper end. It is not raised, so
            that the decoder can first be emptied of the pictures that it holds.
    """

    def __init__(self, demuxed: Iterator[Packet[Stream]]) -> None:
        self._demuxed = demuxed
        self._seen: deque[Packet[Stream]] = deque()
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[Packet[Stream]]:
        while (packet := self._seen.popleft() if self._seen else self._take()) is not None:
            yield packet

    def show_an_end(self, stream: VideoStream) -> bool:
        """Look ahead for a second: whether the end comes, or more than a live stream could send."""
        begun_s = time.monotonic()
        first_s: float | None = None
        size = 0
        while (elapsed_s := time.monotonic() - begun_s) < _LOOK_S and size < _MOST_BYTES:
            packet = self._take()
            if packet is None:
                return True
            self._seen.append(packet)
            size += packet.size
            if packet.stream.index != stream.index or packet.dts is None:
                continue
            now_s = float(packet.dts * packet.time_base)
            first_s = now_s if first_s is None else first_s
            if now_s - first_s > elapsed_s + _AHEAD_S:
                return True
        return False

    def _take(self) -> Packet[Stream] | None:
        try:
            return next(self._demuxed, None)
        except Exception as error:  # noqa: BLE001 - whoever reads the packets says what it means
            self.error = error.with_traceback(None)  # it would hold these packets in a cycle
            return None
