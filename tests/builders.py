"""Small builders of the package's types, for tests."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from streamseg.sources import StreamEnded
from streamseg.types import Frame, Mask, SourceInfo


def frame(
    index: int = 0,
    *,
    size: tuple[int, int] = (64, 48),
    fps: float = 30.0,
    epoch: int = 0,
    image: np.ndarray | None = None,
) -> Frame:
    """A grey frame of `size` (width, height), or one that shows `image`."""
    if image is None:
        image = np.full((size[1], size[0], 3), 128, np.uint8)
    return Frame(index, round(index * 1e9 / fps), epoch, image)


def box_mask(box: tuple[int, int, int, int], size: tuple[int, int] = (64, 48)) -> Mask:
    """A (H, W) bool mask that is True inside the box."""
    mask = np.zeros((size[1], size[0]), bool)
    x0, y0, x1, y1 = box
    mask[y0:y1, x0:x1] = True
    return mask


def painted(
    boxes: dict[tuple[int, int, int, int], tuple[int, int, int]],
    size: tuple[int, int] = (64, 48),
) -> np.ndarray:
    """A grey picture (H, W, 3) with boxes filled in the colours given."""
    image = np.full((size[1], size[0], 3), 128, np.uint8)
    for (x0, y0, x1, y1), colour in boxes.items():
        image[y0:y1, x0:x1] = colour
    return image


class ListSource:
    """A source that plays a list of frames, then ends; `live` only changes what it says."""

    def __init__(self, frames: Iterable[Frame], *, live: bool = False, fps: float = 30.0) -> None:
        self._frames = iter(frames)
        self.info = SourceInfo("list", live=live, fps=fps)
        self.dropped: dict[str, int] = {}
        self.closed = False

    def read(self, timeout_s: float) -> Frame:
        try:
            return next(self._frames)
        except StopIteration:
            raise StreamEnded from None

    def close(self) -> None:
        self.closed = True
