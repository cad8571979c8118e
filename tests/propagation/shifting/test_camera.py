"""How far the camera moved, judged by the ground alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from streamseg.propagation.shifting import camera
from streamseg.types import Frame, Image

RNG = np.random.default_rng(3)
GROUND = np.asarray(
    cv2.GaussianBlur(RNG.integers(0, 255, (480, 800, 3), dtype=np.uint8), (0, 0), 6), np.uint8
)
GROUND = np.clip((GROUND.astype(np.int32) - 127) * 6 + 127, 0, 255).astype(np.uint8)
BALL = (200, 100, 280, 180)


def frame(index: int, image: Image) -> Frame:
    return Frame(index, index * 33_000_000, 0, np.ascontiguousarray(image))


def seen(x: int = 40, y: int = 30, ball_x: int | None = None) -> Image:
    image = GROUND[y : y + 360, x : x + 640].copy()
    if ball_x is not None:
        image[100:180, ball_x : ball_x + 80] = (220, 30, 30)
    return image


@pytest.mark.parametrize(("dx", "dy"), [(8, 0), (-6, 4), (0, -10)])
def test_a_pan_is_measured_to_a_pixel(dx: int, dy: int) -> None:
    moved = camera.shift(frame(0, seen(40, 30)), frame(1, seen(40 - dx, 30 - dy)), ())
    assert moved[0] * 640 == pytest.approx(dx, abs=1.0)
    assert moved[1] * 640 == pytest.approx(dy, abs=1.0)


def test_an_object_that_moves_is_not_the_camera() -> None:
    one, two = frame(0, seen(ball_x=200)), frame(1, seen(ball_x=212))
    assert camera.shift(one, two, [BALL, (212, 100, 292, 180)]) == (0.0, 0.0)


def test_on_a_plain_ground_nothing_tells() -> None:
    plain = np.full((360, 640, 3), 128, np.uint8)
    other = plain.copy()
    plain[100:180, 200:280], other[100:180, 230:310] = 255, 255
    moved = camera.shift(frame(0, plain), frame(1, other), [BALL, (230, 100, 310, 180)])
    assert moved == (0.0, 0.0)


def test_noise_is_no_motion() -> None:
    noise = [RNG.normal(0, 4, (360, 640, 3)) for _ in range(2)]
    one, two = (
        frame(k, np.clip(seen() + each, 0, 255).astype(np.uint8)) for k, each in enumerate(noise)
    )
    assert camera.shift(one, two, ()) == (0.0, 0.0)


def test_where_objects_fill_the_picture_nothing_tells() -> None:
    whole = [(0.0, 0.0, 640.0, 360.0)]
    assert camera.shift(frame(0, seen(40)), frame(1, seen(50)), whole) == (0.0, 0.0)
