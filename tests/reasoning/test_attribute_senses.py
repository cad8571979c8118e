"""What the attribute reasoner sees by: colour names, outlines, patterns, saliency, motion."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from streamseg.reasoning.seen import ego_motion, shape, texture
from streamseg.reasoning.seen.colour import NAMES, lightness, name_shares, word_weights
from streamseg.reasoning.seen.saliency import edges, saliency

Rgb = tuple[int, int, int]


def name_of(rgb: Rgb) -> str:
    shares = name_shares(np.full((1, 1, 3), rgb, np.uint8))[0, 0]
    return NAMES[int(np.argmax(shares))]


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((220, 30, 30), "red"),
        ((255, 140, 0), "orange"),
        ((240, 220, 30), "yellow"),
        ((30, 160, 60), "green"),
        ((0, 170, 180), "cyan"),
        ((30, 60, 210), "blue"),
        ((128, 40, 160), "purple"),
        ((255, 150, 190), "pink"),
        ((120, 70, 35), "brown"),
        ((220, 200, 160), "beige"),
        ((240, 240, 240), "white"),
        ((128, 128, 128), "gray"),
        ((20, 20, 22), "black"),
        ((90, 100, 115), "gray"),
    ],
)
def test_colours_have_their_common_names(rgb: Rgb, name: str) -> None:
    assert name_of(rgb) == name


@pytest.mark.parametrize("rgb", [(220, 30, 30), (30, 160, 60), (30, 60, 210), (128, 58, 180)])
@pytest.mark.parametrize("light", [0.45, 0.7, 1.1])
def test_names_hold_under_shading(rgb: Rgb, light: float) -> None:
    red, green, blue = (min(255, round(value * light)) for value in rgb)
    assert name_of((red, green, blue)) == name_of(rgb)


def test_memberships_add_up() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    totals = name_shares(picture).sum(axis=2, dtype=int)
    assert np.abs(totals - 255).max() <= 4


def test_a_colour_word_answers_first_to_its_own_name() -> None:
    for k, name in enumerate(NAMES):
        assert int(np.argmax(word_weights(name))) == k


def polygon(radii: list[float], side: int = 61) -> np.ndarray:
    turn = 2 * np.pi * np.arange(len(radii)) / len(radii) + 0.3
    points = np.stack([np.cos(turn), np.sin(turn)], 1) * np.asarray(radii)[:, None] + side / 2
    mask = np.zeros((side, side), np.uint8)
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 1)
    return mask > 0


def ellipse(axes: tuple[int, int], hole: int = 0) -> np.ndarray:
    mask = np.zeros((81, 81), np.uint8)
    cv2.ellipse(mask, (40, 40), axes, 25, 0, 360, 1, cv2.FILLED)
    cv2.circle(mask, (40, 40), hole, 0, cv2.FILLED) if hole else None
    return mask > 0


SHAPES = {
    "round": ellipse((28, 28)),
    "ellipse": ellipse((34, 19)),
    "ring": ellipse((28, 28), hole=15),
    "square": polygon([26.0] * 4),
    "triangle": polygon([27.0] * 3),
    "star": polygon([28.0, 13.0] * 5),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_answer_to_their_own_word_alone(name: str) -> None:
    measured = shape.describe(SHAPES[name])
    scores = {word: shape.answers_to(measured, word) or 0.0 for word in SHAPES}
    assert scores.pop(name) > 0.8
    assert max(scores.values()) < 0.2


def test_an_unmeasured_shape_says_so() -> None:
    assert shape.answers_to(shape.describe(SHAPES["round"]), "heart") is None


def test_whiskers_are_no_part_of_a_shape() -> None:
    mask = np.pad(SHAPES["round"], 8)
    mask[48, :] = True
    assert (shape.answers_to(shape.describe(mask), "round") or 0.0) > 0.7


def tiles(kind: str) -> np.ndarray:
    y, x = np.mgrid[:120, :120]
    light = np.full((120, 120), 180.0)
    if kind == "striped":
        light[np.sin((x + y) / 5.0) > 0] = 100
    elif kind == "checkered":
        light[((x // 15) + (y // 15)) % 2 == 0] = 100
    elif kind == "dotted":
        light[np.hypot(x % 24 - 12, y % 24 - 12) < 6] = 100
    noise = np.random.default_rng(1).normal(0, 2, light.shape)
    return np.repeat(np.clip(light + noise, 0, 255)[..., None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize("kind", ["plain", "striped", "checkered", "dotted"])
def test_patterns_are_told_apart(kind: str) -> None:
    measured = texture.describe(tiles(kind), 0, 0, np.ones((60, 60), bool), (2.0, 2.0))
    words = ("plain", "striped", "checkered", "dotted")
    scores = {word: texture.answers_to(measured, word) or 0.0 for word in words}
    assert max(scores, key=lambda word: scores[word]) == kind, measured


def test_too_small_for_a_pattern_is_plain() -> None:
    measured = texture.describe(tiles("striped"), 0, 0, np.ones((3, 3), bool), (1.0, 1.0))
    assert texture.answers_to(measured, "plain") == pytest.approx(1.0, abs=1e-3)


def test_rare_colours_are_salient_and_the_ground_is_not() -> None:
    picture = np.full((180, 320, 3), (120, 130, 110), np.uint8)
    picture[60:100, 100:150] = (200, 40, 40)
    found = saliency(lightness(picture))
    assert found[80, 125] > 0.8
    assert found[20, 20] == 0.0


def test_edges_are_where_the_colour_changes() -> None:
    picture = np.full((60, 60, 3), 120, np.uint8)
    picture[:, 30:] = (200, 40, 40)
    found = edges(lightness(picture))
    assert found[30, 29:31].min() == 1.0
    assert found[30, 10] == 0.0


def scene(shift: int, moved: int) -> np.ndarray:
    """A (180, 320) uint8 ground seen `shift` pixels further right, a patch on it gone `moved`."""
    rng = np.random.default_rng(4)
    ground = cv2.GaussianBlur(rng.integers(0, 256, (180, 400)).astype(np.uint8), (0, 0), 2)
    patch = cv2.GaussianBlur(rng.integers(0, 256, (50, 50)).astype(np.uint8), (0, 0), 2)
    picture = ground[:, 40 + shift : 360 + shift].copy()
    left = 120 + moved - shift
    picture[60:110, left : left + 50] = patch
    return cv2.convertScaleAbs(picture, alpha=2.0, beta=-120)


def test_motion_is_measured_against_the_camera() -> None:
    velocity, noise = ego_motion.velocities(scene(0, 0), [(scene(-4, -6), -0.1)])
    assert noise < 20.0
    assert np.median(velocity[70:100, 130:160], axis=(0, 1)) == pytest.approx((60.0, 0.0), abs=8.0)
    assert np.median(velocity[20:50, 40:280], axis=(0, 1)) == pytest.approx((0.0, 0.0), abs=5.0)


def test_without_other_frames_no_speed_is_known() -> None:
    velocity, noise = ego_motion.velocities(scene(0, 0), [])
    assert not velocity.any()
    assert noise == float("inf")
