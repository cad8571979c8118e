"""A video file as a reel: frames are found again by seeking, and known by their time stamps."""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator

from streamseg.errors import SourceError
from streamseg.sources import Source, StreamEnded
from streamseg.sources.connection import Picture
from streamseg.sources.decoding.video import VideoConnection
from streamseg.types import Image, SourceInfo

_STEP = 16  # pixels between those that a picture is known again by
_NO_STAMP = -(2**63)
_KEYS_BACK = (0, 1, 4)
"""How many entries before the nearest one to begin at, tried in turn; what served is kept to.
Containers without an index (MPEG transport streams) land late, by one entry."""

Play = Callable[[VideoConnection], Source]


class Noting:
    """A connection that notes, of every picture that it passes on, how to find it again.

    Attributes:
        stamps: Time stamps in nanoseconds, `_NO_STAMP` for a picture without one.
        prints: Fingerprints.
        keys: Frames that decoding can begin with.
        in_order: The stamps that there are grow, and the first picture has one.
    """

    def __init__(self, connection: VideoConnection) -> None:
        self._connection = connection
        self.stamps = array("q")
        self.prints = array("L")
        self.keys = array("l")
        self.in_order = True
        self._newest = _NO_STAMP

    @property
    def width(self) -> int:
        return self._connection.width

    @property
    def height(self) -> int:
        return self._connection.height

    @property
    def pixel_aspect(self) -> float:
        return self._connection.pixel_aspect

    @property
    def fps(self) -> float | None:
        return self._connection.fps

    @property
    def frame_count(self) -> int | None:
        return self._connection.frame_count

    def read(self) -> Picture | None:
        picture = self._connection.read()
        if picture is not None:
            self._note(picture)
        return picture

    def close(self) -> None:
        self._connection.close()

    def _note(self, picture: Picture) -> None:
        stamp = _NO_STAMP if picture.pts_ns is None else picture.pts_ns
        if stamp == _NO_STAMP:
            self.in_order = self.in_order and len(self.stamps) > 0
        elif stamp <= self._newest:
            self.in_order = False
        self._newest = max(self._newest, stamp)
        if picture.key:
            self.keys.append(len(self.stamps))
        self.stamps.append(stamp)
        self.prints.append(fingerprint(picture.image))


class VideoReel:
    """What PyAV decodes, opened again for every second reading and then kept open.

    A stretch is decoded from the entry before it. Pictures are told by their stamps, and the first
    one of a stretch also by what it shows, so that none is taken for its neighbour and none comes
    from a decoder that began where it could not. Where stamps do not grow, or nobody can seek,
    pictures are counted from the beginning: slow, and told of.

    Args:
        opens: Opens it anew, silently.
        first: Open already, for the first reading.
        play: Makes a source that drops nothing of a connection.
        tell: Called with a kind and a message when something is worth an event.
    """

    def __init__(
        self,
        opens: Callable[[], VideoConnection],
        first: VideoConnection,
        play: Callable[[Noting], Source],
        tell: Callable[[str, str], None],
    ) -> None:
        self._opens = opens
        self._noted = Noting(first)
        self._source = play(self._noted)
        self._tell = tell
        self._connection: VideoConnection | None = None
        self._at = -1
        self._sought_in_vain = False
        self._back = 0

    @property
    def info(self) -> SourceInfo:
        return self._source.info

    def first_reading(self) -> Source:
        return self._source

    def read_from(self, at: int) -> Iterator[Image]:
        picture = self._find(at)
        while picture is not None:
            self._at += 1
            yield picture.image
            if self._at >= len(self._noted.stamps):
                return
            picture = self._next()
            if picture is not None and not self._is(picture, self._at):
                picture = self._find(self._at)

    def entry(self, at: int) -> int:
        noted = self._noted
        if not noted.in_order or self._sought_in_vain:
            return 0
        place = bisect_right(noted.keys, at)
        return noted.keys[place - 1] if place else 0

    def close(self) -> None:
        self._source.close()
        self._leave()

    def _find(self, at: int) -> Picture | None:
        """The picture of frame `at`; from then on the connection stands behind it, at `at`."""
        if self._connection is not None and self._at == at:
            picture = self._next()
            if picture is not None and self._is(picture, at):
                return picture
        stamped = at
        while stamped and self._noted.stamps[stamped] == _NO_STAMP:
            stamped -= 1
        picture = self._seek(stamped) if self._can_seek() else None
        if picture is None:
            picture, stamped = self._count_to(at), at
        for _ in range(at - stamped):
            picture = self._next()
        self._at = at
        return picture

    def _can_seek(self) -> bool:
        if not self._noted.in_order and not self._sought_in_vain:
            self._give_up_seeking("its time stamps do not grow from frame to frame")
        return not self._sought_in_vain

    def _seek(self, at: int) -> Picture | None:
        """Decode from an entry before `at`, from an earlier one where that does not lead there,
        from the beginning where there is none."""
        place = bisect_right(self._noted.keys, at) - 1
        damaged = None
        for back in (back for back in _KEYS_BACK if back >= self._back):
            if place <= back:
                return self._count_to(at)
            found = self._decode_from(self._noted.keys[place - back], at)
            if found is not None and self._is(found, at):
                if self._looks_like(found, at):
                    self._back = back
                    return found
                damaged = back if damaged is None else damaged
        if damaged is not None:  # a decoder that conceals damage need not show the same twice
            return self._decode_from(self._noted.keys[place - damaged], at)
        self._give_up_seeking("seeking does not lead to the frame asked for")
        return None

    def _decode_from(self, key: int, at: int) -> Picture | None:
        """Seek to frame `key` and decode up to `at`; what comes may be a later one."""
        stamps = self._noted.stamps
        try:
            if self._connection is None:
                self._connection = self._opens()
            self._connection.seek(stamps[key], stamps[at])
        except SourceError:
            return None
        return self._next()

    def _give_up_seeking(self, why: str) -> None:
        self._sought_in_vain = True
        self._tell(
            "slow_film",
            f"{self.info.name}: {why}, so it is read from the beginning each time; in another "
            "container (ffmpeg -i VIDEO -c copy NEW.mkv) it is read in a fraction of the time",
        )

    def _count_to(self, at: int) -> Picture | None:
        self._leave()
        self._connection = self._opens()
        picture = self._next()
        for _ in range(at):
            if picture is None:
                break
            picture = self._next()
        return picture

    def _next(self) -> Picture | None:
        """The next picture, None where it ends."""
        assert self._connection is not None
        try:
            while (picture := self._connection.read()) is None:
                pass
        except StreamEnded:
            return None
        return picture

    def _is(self, picture: Picture, at: int) -> bool:
        stamp = _NO_STAMP if picture.pts_ns is None else picture.pts_ns
        return not self._noted.in_order or stamp == self._noted.stamps[at]

    def _looks_like(self, picture: Picture, at: int) -> bool:
        return fingerprint(picture.image) == self._noted.prints[at]

    def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def fingerprint(image: Image) -> int:
    """A number that another picture hardly has."""
    return zlib.adler32(image[::_STEP, ::_STEP].tobytes())
