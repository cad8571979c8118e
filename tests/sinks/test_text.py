"""Text is rendered by whichever font OpenCV has, fits where it must, and is remembered."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from streamseg.sinks.text import TextPainter, blit, shade

FONTS = [False, True] if hasattr(cv2, "FontFace") else [False]


@pytest.fixture(params=FONTS, ids=lambda truetype: "truetype" if truetype else "hershey")
def painter(request: pytest.FixtureRequest) -> TextPainter:
    return TextPainter(truetype=request.param)


@pytest.mark.parametrize("size_px", [9, 12, 15, 30])
def test_all_strings_of_a_size_are_equally_high_and_inked(
    painter: TextPainter, size_px: int
) -> None:
    pictures = [painter.coverage(text, size_px) for text in ("mug", "Ågy|", "x")]
    assert len({picture.shape[0] for picture in pictures}) == 1
    assert all(picture.max() > 150 for picture in pictures)
    assert pictures[0].shape[1] > pictures[2].shape[1]


def test_edges_are_smooth(painter: TextPainter) -> None:
    assert len(np.unique(painter.coverage("Oval", 15))) > 10


def test_long_text_is_cut_to_the_width(painter: TextPainter) -> None:
    assert painter.fitted("the blue mug " * 80, 15, 150).shape[1] <= 150
    np.testing.assert_array_equal(painter.fitted("mug", 15, 150), painter.coverage("mug", 15))


def test_an_empty_string_has_a_picture(painter: TextPainter) -> None:
    assert painter.coverage("", 15).max() == 0


def test_the_cache_is_bounded(painter: TextPainter) -> None:
    for number in range(600):
        painter.coverage(str(number), 9)
    assert len(painter._cache) <= 256


def test_blit_blends_and_clips() -> None:
    canvas = np.zeros((10, 10, 3), np.uint8)
    coverage = np.full((6, 6), 255, np.uint8)
    coverage[0, 0] = 0
    blit(canvas, coverage, 7, 7, (200, 100, 50))
    blit(canvas, coverage, -20, 0, (255, 255, 255))
    np.testing.assert_array_equal(canvas[9, 9], (200, 100, 50))
    np.testing.assert_array_equal(canvas[7, 7], 0)
    assert canvas[:7].max() == 0


def test_shade_darkens_in_place_and_clips() -> None:
    canvas = np.full((10, 10, 3), 200, np.uint8)
    shade(canvas, -5, -5, 4, 4)
    assert canvas[3, 3].max() < 100
    assert canvas[4, 4].min() == 200
