"""Small builders of the package's types, for tests."""

from __future__ import annotations

import numpy as np

from streamseg.types import Frame, Mask


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
