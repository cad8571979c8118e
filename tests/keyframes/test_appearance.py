"""Measures of pictures and masks: each answers to what it is named after."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scenery import frame, plain, scenery, with_patch

from streamseg.keyframes.appearance import object_look, scene_look, shrink_labels
from streamseg.keyframes.thumbnails import thumbnail
from streamseg.types import Mask


def disc(radius: int, height: int = 180, width: int = 320) -> Mask:
    canvas = np.zeros((height, width), np.uint8)
    cv2.circle(canvas, (width // 2, height // 2), radius, 1, -1)
    return canvas.astype(bool)


def test_a_plain_picture_is_empty_and_a_busy_one_is_not() -> None:
    empty = scene_look(thumbnail(frame(plain((90, 90, 90)))))
    busy = scene_look(thumbnail(frame(scenery(0))))
    assert (empty.edges, empty.colours) == (0.0, 0.0)
    assert 0.0 < busy.edges <= 1.0
    assert 0.2 < busy.colours <= 1.0


def test_area_and_compactness_of_a_disc_and_of_lace() -> None:
    small = thumbnail(frame(plain((90, 90, 90))))
    look = object_look(small, disc(40))
    assert look is not None
    assert look.area == pytest.approx(np.pi * 40**2 / (320 * 180), rel=0.05)
    assert look.compactness > 0.75
    lace = disc(40)
    lace[:, ::6] = lace[:, 1::6] = False
    ragged = object_look(small, lace)
    assert ragged is not None
    assert ragged.compactness < 0.3


def test_contrast_is_that_of_object_and_surroundings() -> None:
    mask = np.zeros((180, 320), bool)
    mask[60:100, 100:140] = True
    contrasts = []
    for shade in (100, 120, 180, 255):
        picture = with_patch(plain((100, 100, 100)), (shade, shade, shade), 100, 60, 40)
        look = object_look(thumbnail(frame(picture)), mask)
        assert look is not None
        contrasts.append(look.contrast)
    assert contrasts[0] == 0.0
    assert contrasts == sorted(contrasts)
    assert contrasts[-1] > 0.5


def test_a_mask_without_pixels_has_no_look_and_a_full_one_has() -> None:
    small = thumbnail(frame(plain((90, 90, 90))))
    assert object_look(small, np.zeros((180, 320), bool)) is None
    full = object_look(small, np.ones((180, 320), bool))
    assert full is not None
    assert full.area == 1.0


@pytest.mark.parametrize("size", [(1080, 1920), (360, 640), (90, 160), (50, 30)])
def test_labels_are_thinned_without_a_copy(size: tuple[int, int]) -> None:
    labels = np.zeros(size, np.uint16)
    small = shrink_labels(labels)
    assert max(small.shape) <= 320
    assert np.shares_memory(small, labels)
