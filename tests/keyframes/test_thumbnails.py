"""Thumbnails: the right size and colours, made once per frame."""

from __future__ import annotations

import numpy as np
import pytest
from scenery import frame, plain, scenery

from streamseg.keyframes.thumbnails import colour_codes, thumbnail


@pytest.mark.parametrize(
    ("size", "small"),
    [
        ((640, 360), (160, 90)),
        ((1920, 1080), (160, 90)),
        ((480, 640), (120, 160)),
        ((100, 50), (160, 80)),
        ((1, 2000), (1, 160)),
    ],
)
def test_the_longest_side_is_fixed_and_the_aspect_kept(
    size: tuple[int, int], small: tuple[int, int]
) -> None:
    made = thumbnail(frame(plain((200, 30, 90), *size)))
    assert made.rgb.shape == (small[1], small[0], 3)
    assert made.grey.shape == made.codes.shape == (small[1], small[0])
    assert made.coarse.shape == (36, 64)
    assert (made.rgb == (200, 30, 90)).all()


def test_it_is_remembered_on_the_frame_and_counted_in_its_bytes() -> None:
    picture = frame(scenery(0))
    made = thumbnail(picture)
    assert thumbnail(picture) is made
    assert picture.nbytes == picture.image.nbytes + made.nbytes


def test_it_shows_the_picture_and_not_single_pixels() -> None:
    noise = np.random.default_rng(0).integers(0, 2, (360, 640, 1), np.uint8) * 255
    made = thumbnail(frame(np.repeat(noise, 3, axis=2)))
    assert abs(float(made.grey.mean()) - 127.5) < 3
    assert made.grey.std() < 40


def test_codes_keep_the_five_high_bits_of_each_channel() -> None:
    rgb = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [8, 16, 24]]], np.uint8)
    assert colour_codes(rgb).tolist() == [[31 << 10, 31 << 5, 31, 1 << 10 | 2 << 5 | 3]]
