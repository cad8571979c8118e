"""Plays image files as a stream: single pictures at a given rate, animations at their own."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from streamseg.errors import SourceError
from streamseg.masking import legible
from streamseg.sources import StreamEnded
from streamseg.sources.connection import Picture
from streamseg.sources.decoding.diagnosis import of_file
from streamseg.sources.pictures.stills import Still, StillReader, UnreadableError


class ImageConnection:
    """Image files in the order given, with all their pages and frames. One that cannot be read is
    told of and left out; its place in time stays.

    Attributes:
        file: Position among the files of the one that the last picture came from.
    """

    pixel_aspect = 1.0

    def __init__(
        self,
        name: str,
        paths: Sequence[str],
        fps: float,
        max_pixels: int,
        tell: Callable[[str, str], None],
    ) -> None:
        """Read the first image.

        Args:
            max_pixels: A larger picture is refused before it is decoded.
            tell: Called with a kind and a message when a picture is left out or changed.

        Raises:
            SourceError: None of the files can be read as an image.
        """
        self._name = name
        self._paths = paths
        self._tell = tell
        self._reader = StillReader(max_pixels, tell)
        self._fps = fps
        self.file = 0
        self._places = 0
        self._shown_ns = 0
        self._failures: list[str] = []
        self._pictures = self._read_all()
        self._first = next(self._pictures, None)
        if self._first is None:
            raise SourceError(self._why_none())
        self._height, self._width = (int(side) for side in self._first.image.shape[:2])
        self._frame_count = self._reader.count(paths[0]) if len(paths) == 1 else len(paths)

    @property
    def width(self) -> int:
        return self._width

    @property
    def height(self) -> int:
        return self._height

    @property
    def fps(self) -> float | None:
        return self._fps

    @property
    def frame_count(self) -> int | None:
        """Of one file its frames; of many the files, each of which may turn out to hold more."""
        return self._frame_count

    def read(self) -> Picture | None:
        """The next image that can be read."""
        picture, self._first = self._first or next(self._pictures, None), None
        if picture is None:
            raise StreamEnded
        return picture

    def close(self) -> None:
        self._pictures.close()

    def _read_all(self) -> Generator[Picture, None, None]:
        for number, path in enumerate(self._paths):
            self.file = number
            seen = 0
            try:
                for still in self._reader.read(path, legible(path)):
                    yield self._placed(still)
                    seen += 1
            except UnreadableError as error:
                self._leave_out(path, seen, str(error))
                self._places += not seen

    def _placed(self, still: Still) -> Picture:
        pts_ns = self._shown_ns + round(self._places * 1e9 / self._fps)
        if still.seconds is None:
            self._places += 1
        else:
            self._shown_ns += round(still.seconds * 1e9)
        return Picture(still.image, pts_ns)

    def _leave_out(self, path: str, seen: int, why: str) -> None:
        why = of_file(path) or why
        if seen:
            self._tell("truncated", f"{legible(path)} is cut off after {seen} frames: {why}")
        else:
            self._failures.append(why)
        if not seen and len(self._paths) > 1:
            self._tell("damaged", f"{legible(path)} cannot be read as an image; left out: {why}")

    def _why_none(self) -> str:
        if len(self._paths) == 1:
            return f"{self._name} cannot be read as an image: {self._failures[0]}"
        return (
            f"none of the {len(self._paths)} files of {self._name} can be read as an image; "
            f"the first: {self._failures[0]}"
        )
