"""What the camera shows, with the truth: a short scene played to and fro, each picture signed with
who shows it and which it is, so that a decoded picture can be looked up.
"""

from __future__ import annotations

import zlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamseg.types import Image, Mask

SIZES = ((320, 180), (384, 216))
"""Width and height; the first is drawn, the other made from it. Both divide by the cells."""
FPS = 25
FRAMES = 75
SEED = 1
ABSENT = "the brown disc"
SENTENCES: dict[str, tuple[int, ...]] = {
    "the pink square": (1,),
    "the black square": (2,),
    "every pink thing": (1, 3),
    ABSENT: (),
}
"""Sentences about the scene and the ids of what they mean."""

STRIP_PX = 12
_CELLS = 32
_DARK, _BRIGHT = 16, 235
_STEP = 4
_FAR_OFF = 60  # of 255: more than the encoder's blur at the edges of flat shapes
_DAMAGED_SHARE = 0.004


class Signature(NamedTuple):
    """Who shows a picture and which it is: both in [0, 256)."""

    showing: int
    number: int


def draw(folder: Path) -> None:
    """Draw the scene once, for the camera's processes and for those who judge."""
    import cv2

    from streamseg import synthetic

    scene = synthetic.scene("easy", SEED, size=SIZES[0], fps=FPS, frames=FRAMES)
    drawn = [scene.frame(index) for index in range(FRAMES)]
    for size in SIZES:
        images = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image, _ in drawn]
        labels = [cv2.resize(ids, size, interpolation=cv2.INTER_NEAREST) for _, ids in drawn]
        np.save(_pictures(folder, size), np.stack(images))
        np.save(_truths(folder, size), np.stack(labels).astype(np.uint8))


class Reel:
    """The pictures that `draw` left in a folder, mapped, not loaded."""

    def __init__(self, folder: Path) -> None:
        self._pictures = {size: np.load(_pictures(folder, size), mmap_mode="r") for size in SIZES}
        self._truths = {size: np.load(_truths(folder, size), mmap_mode="r") for size in SIZES}

    def picture(self, size: tuple[int, int], signature: Signature) -> Image:
        """A new (H, W, 3) picture, signed."""
        image = np.array(self._pictures[size][signature.number])
        _sign(image, signature)
        return image

    def truth(self, size: tuple[int, int], number: int, sentence: str) -> Mask:
        """(H, W): where that is which the sentence means."""
        mask: Mask = np.isin(self._truths[size][number], SENTENCES[sentence])
        mask[-STRIP_PX:] = False
        return mask

    def is_whole(self, image: Image, number: int) -> bool:
        """Whether a decoded picture shows what was shown, but for the encoder's own losses."""
        height, width = image.shape[:2]
        shown = self._pictures[width, height][number][:-STRIP_PX:_STEP, ::_STEP]
        got = image[:-STRIP_PX:_STEP, ::_STEP]
        off = np.abs(got.astype(np.int16) - shown).max(axis=2) > _FAR_OFF
        return float(off.mean()) <= _DAMAGED_SHARE


def number_at(tick: int) -> int:
    """Which picture is shown at the tick-th moment: to and fro, so that nothing ever jumps."""
    position = tick % (2 * FRAMES - 2)
    return min(position, 2 * FRAMES - 2 - position)


def read_signature(image: Image) -> Signature | None:
    """The signature of a decoded picture; None where it cannot be read."""
    height, width = image.shape[:2]
    if (width, height) not in SIZES:
        return None
    row = image[height - STRIP_PX // 2, :, 1].reshape(_CELLS, -1)
    bits = row[:, row.shape[1] // 2] > 128
    word = int.from_bytes(np.packbits(bits).tobytes(), "big")
    if _check(word >> 16) != word & 0xFFFF or (word >> 16) & 0xFF >= FRAMES:
        return None
    return Signature(word >> 24, (word >> 16) & 0xFF)


def _sign(image: Image, signature: Signature) -> None:
    front = signature.showing << 8 | signature.number
    word = front << 16 | _check(front)
    bits = np.unpackbits(np.frombuffer(word.to_bytes(4, "big"), np.uint8))
    cells: NDArray[np.uint8] = np.where(bits, np.uint8(_BRIGHT), np.uint8(_DARK))
    image[-STRIP_PX:] = np.repeat(cells, image.shape[1] // _CELLS)[None, :, None]


@cache
def _check(front: int) -> int:
    return zlib.crc32(front.to_bytes(2, "big")) & 0xFFFF


def _pictures(folder: Path, size: tuple[int, int]) -> Path:
    return folder / f"pictures-{size[0]}x{size[1]}.npy"


def _truths(folder: Path, size: tuple[int, int]) -> Path:
    return folder / f"truths-{size[0]}x{size[1]}.npy"
