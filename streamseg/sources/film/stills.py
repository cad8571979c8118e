"""Reels without a decoder's state: image files, synthetic scenes, pictures in memory."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

from streamseg.errors import SourceError
from streamseg.sources import Source, StreamEnded
from streamseg.sources.arrays import Order, checked_image
from streamseg.sources.connection import Connection, Picture
from streamseg.sources.decoding.images import ImageConnection
from streamseg.sources.synthetic import SyntheticSource
from streamseg.types import Frame, Image, SourceInfo


class NotingFiles:
    """A connection that notes which file each picture comes from."""

    def __init__(self, connection: ImageConnection) -> None:
        self._connection = connection
        self.files = array("l")
        self.width, self.height = connection.width, connection.height
        self.pixel_aspect = connection.pixel_aspect
        self.fps = connection.fps
        self.frame_count = connection.frame_count

    def read(self) -> Picture | None:
        picture = self._connection.read()
        self.files.append(self._connection.file)
        return picture

    def close(self) -> None:
        self._connection.close()


class ImagesReel:
    """Image files, each with all its pages; a file with many is read from its first page on.

    Args:
        opens: Opens the files from the one with the given number on.
        first: All of them, for the first reading.
        play: Makes a source that drops nothing of a connection.
    """

    def __init__(
        self,
        opens: Callable[[int], ImageConnection],
        first: ImageConnection,
        play: Callable[[Connection], Source],
    ) -> None:
        self._opens = opens
        self._noted = NotingFiles(first)
        self._source = play(self._noted)

    @property
    def info(self) -> SourceInfo:
        return self._source.info

    def first_reading(self) -> Source:
        return self._source

    def read_from(self, at: int) -> Iterator[Image]:
        connection = self._opens(self._noted.files[at])
        try:
            for _ in range(at - self.entry(at)):
                connection.read()
            while (picture := connection.read()) is not None:
                yield picture.image
        except StreamEnded:
            return
        finally:
            connection.close()

    def entry(self, at: int) -> int:
        return bisect_left(self._noted.files, self._noted.files[at])

    def close(self) -> None:
        self._source.close()


class SceneReel:
    """A synthetic scene, whose frames are computed."""

    def __init__(self, source: SyntheticSource) -> None:
        self._source = source

    @property
    def info(self) -> SourceInfo:
        return self._source.info

    def first_reading(self) -> Source:
        return self._source

    def read_from(self, at: int) -> Iterator[Image]:
        for index in range(at, len(self._source.scene)):
            yield self._source.scene.frame(index)[0]

    def entry(self, at: int) -> int:
        return at

    def close(self) -> None:
        self._source.close()


class PicturesReel:
    """Pictures in memory, the caller's own.

    Args:
        items: (H, W, 3) uint8 arrays, pairs `(array, pts_ns)`, or frames.
        order: Of arrays' channels.
        source: The same pictures in order.
    """

    def __init__(self, items: Sequence[object], order: Order, source: Source) -> None:
        self._items = items
        self._order = order
        self._source = source

    @property
    def info(self) -> SourceInfo:
        return self._source.info

    def first_reading(self) -> Source:
        return self._source

    def read_from(self, at: int) -> Iterator[Image]:
        for index in range(at, len(self._items)):
            item = self._items[index]
            if isinstance(item, Frame):
                yield checked_image(item.image, "rgb", f"frame {index}", copy=False)
            else:
                image = item[0] if isinstance(item, tuple) and len(item) == 2 else item
                yield checked_image(image, self._order, f"frame {index}")

    def entry(self, at: int) -> int:
        if at >= len(self._items):
            raise SourceError(f"expected a frame below {len(self._items)}, got {at}")
        return at

    def close(self) -> None:
        self._source.close()
