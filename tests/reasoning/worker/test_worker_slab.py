"""Pictures through shared memory: exact, read-only on the far side, safe when it grows."""

from __future__ import annotations

import os

import numpy as np
import pytest

from streamseg.errors import ReasoningError
from streamseg.reasoning.worker.slab import FrameSlab, SlabView
from streamseg.types import Image


def pictures(*sizes: tuple[int, int]) -> list[Image]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, 3), np.uint8) for height, width in sizes]


def test_pictures_of_any_size_arrive_exactly() -> None:
    slab = FrameSlab()
    view = SlabView(slab.fd)
    for images in (pictures((7, 5), (480, 640)), pictures((720, 1280), (3, 3), (9, 1))):
        for image, offset in zip(images, slab.put(images), strict=True):
            assert (view.image(offset, *image.shape[:2]) == image).all()
    slab.close()


def test_the_slab_is_reused_and_only_grows() -> None:
    slab = FrameSlab()
    slab.put(pictures((480, 640)))
    size = slab.size
    slab.put(pictures((48, 64)))
    assert slab.size == size
    slab.put(pictures((1080, 1920)))
    assert slab.size > size
    slab.close()


def test_a_view_is_read_only_and_outlives_growth() -> None:
    slab = FrameSlab()
    view = SlabView(slab.fd)
    small, large = pictures((4, 4), (1080, 1920))
    slab.put([small])
    old = view.image(0, 4, 4)
    with pytest.raises(ValueError, match="read-only"):
        old[0, 0] = 1
    slab.put([large])
    assert (view.image(0, 1080, 1920) == large).all()
    assert (old.ravel() == large.ravel()[: old.size]).all()
    slab.close()


def test_pictures_that_are_not_contiguous_are_copied_right() -> None:
    slab = FrameSlab()
    (image,) = pictures((40, 60))
    (offset,) = slab.put([image[::2, ::-1]])
    assert (SlabView(slab.fd).image(offset, 20, 60) == image[::2, ::-1]).all()
    slab.close()


def test_a_place_outside_the_slab_is_refused() -> None:
    slab = FrameSlab()
    view = SlabView(slab.fd)
    with pytest.raises(ReasoningError, match="empty slab"):
        view.image(0, 1, 1)
    slab.put(pictures((8, 8)))
    with pytest.raises(ReasoningError, match="expected a picture within"):
        view.image(slab.size - 10, 2, 2)
    with pytest.raises(ReasoningError, match="expected a picture within"):
        view.image(-3, 1, 1)
    slab.close()


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="seals belong to Linux")
def test_nobody_can_shrink_it_under_a_reader() -> None:
    slab = FrameSlab()
    slab.put(pictures((8, 8)))
    with pytest.raises(PermissionError):
        os.ftruncate(slab.fd, 0)
    slab.close()
