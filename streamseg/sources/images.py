"""Reads a list of image files as a stream of pictures at a given rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from streamseg.errors import SourceError
from streamseg.masking import legible
from streamseg.sources import StreamEnded
from streamseg.sources.connection import Picture
from streamseg.types import Image


class ImageConnection:
    """Image files in the order given. One that cannot be read is told of and left out."""

    def __init__(
        self, name: str, paths: Sequence[str], fps: float, on_damage: Callable[[str], None]
    ) -> None:
        """Read the first image.

        Raises:
            SourceError: None of the files can be read as an image.
        """
        self._name = name
        self._paths = paths
        self._on_damage = on_damage
        self._next = 0
        self._fps = fps
        self._first = self._read()
        if self._first is None:
            raise SourceError(
                f"none of the {len(paths)} files of {name} can be read as an image; "
                "check that they are whole"
            )
        self._height, self._width = (int(side) for side in self._first.image.shape[:2])

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
        return len(self._paths)

    def read(self) -> Picture | None:
        """The next image that can be read."""
        picture, self._first = self._first or self._read(), None
        if picture is None:
            raise StreamEnded
        return picture

    def close(self) -> None:
        self._next = len(self._paths)

    def _read(self) -> Picture | None:
        while self._next < len(self._paths):
            position, self._next = self._next, self._next + 1
            image = _load(self._paths[position])
            if image is not None:
                return Picture(image, round(position * 1e9 / self._fps))
            self._on_damage(
                f"{legible(self._paths[position])} cannot be read as an image; left out"
            )
        return None


def _load(path: str) -> Image | None:
    """(H, W, 3) uint8 RGB, turned upright as its EXIF says; None when it cannot be read."""
    try:
        encoded = np.fromfile(path, dtype=np.uint8)
        image = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    except (OSError, cv2.error):
        return None
    if image is None:
        return None
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image), dtype=np.uint8)
