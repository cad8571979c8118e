"""Turns and mirrors a picture the way its metadata asks: EXIF, display matrix, GStreamer's tag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from streamseg.types import Image


class Turn(NamedTuple):
    """One of the eight ways to lay a picture down: first transposed, then mirrored.

    Attributes:
        transpose: Exchange rows and columns.
        mirror_x: Exchange left and right of what came of it.
        mirror_y: Exchange top and bottom of what came of it.
    """

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False


AS_STORED = Turn()

_BY_EXIF = (
    AS_STORED,
    Turn(mirror_x=True),
    Turn(mirror_x=True, mirror_y=True),
    Turn(mirror_y=True),
    Turn(transpose=True),
    Turn(transpose=True, mirror_x=True),
    Turn(transpose=True, mirror_x=True, mirror_y=True),
    Turn(transpose=True, mirror_y=True),
)
"""Orientation 1 to 8 of EXIF 2.32 (and TIFF 6.0)."""

_BY_TAG = {
    "rotate-0": 1,
    "flip-rotate-0": 2,
    "rotate-180": 3,
    "flip-rotate-180": 4,
    "flip-rotate-270": 5,
    "rotate-90": 6,
    "flip-rotate-90": 7,
    "rotate-270": 8,
}
"""GStreamer's image-orientation as EXIF's number: mirrored first, then rotated clockwise."""


def from_exif(orientation: object) -> Turn:
    """The turn of an EXIF orientation; anything but 1 to 8 means as stored."""
    if isinstance(orientation, int) and 1 <= orientation <= len(_BY_EXIF):
        return _BY_EXIF[orientation - 1]
    return AS_STORED


def from_tag(orientation: str) -> Turn:
    """The turn of GStreamer's image-orientation tag; an unknown word means as stored."""
    return from_exif(_BY_TAG.get(orientation))


def from_matrix(matrix: Sequence[int]) -> Turn:
    """The turn nearest to a display matrix: nine numbers a b u, c d v, x y w, as in ISO 14496-12,
    under which the pixel (p, q) shows at (a p + c q, b p + d q).
    """
    a, b, _, c, d = (int(number) for number in matrix[:5])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Turn(False, a < 0, d < 0)
    return Turn(True, c < 0, b < 0)


def turned(image: Image, turn: Turn) -> Image:
    """(H, W, 3) uint8, C-contiguous: the picture as it is meant to be seen, itself if as stored."""
    if turn.transpose:
        image = np.asarray(cv2.transpose(image), np.uint8)
    if turn.mirror_x or turn.mirror_y:
        how = -1 if turn.mirror_x and turn.mirror_y else int(turn.mirror_x)
        image = np.asarray(cv2.flip(image, how), np.uint8)
    return image
