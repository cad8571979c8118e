"""How well masks fit: box, edges and points, and the mask that fits better is kept."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from builders import box_mask, frame

from streamseg.segmentation.better import BetterOfTwo
from streamseg.segmentation.fit import fit
from streamseg.types import Box, Frame, Image, Mask, Point, Segmented, Target

SIZE = (200, 160)
BOX: Box = (60.0, 40.0, 121.0, 121.0)


def disc(axes: tuple[int, int] = (30, 40), at: tuple[int, int] = (90, 80)) -> Mask:
    canvas = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    cv2.ellipse(canvas, at, axes, 0, 0, 360, 1, -1)
    return canvas > 0


def scene() -> Image:
    rng = np.random.default_rng(2)
    noise = cv2.GaussianBlur(rng.normal(0, 20, (160, 200, 3)).astype(np.float32), (0, 0), 2)
    image = np.clip(120 + noise, 0, 255).astype(np.uint8)
    image[disc()] = (210, 60, 50)
    return image


FRAME = frame(image=scene())
NOTHING = np.zeros((160, 200), np.bool_)


def test_a_mask_on_the_things_edges_fits_its_box_best() -> None:
    best = fit(FRAME, Target(BOX), disc())
    assert best > 0.8
    for worse in (
        disc((22, 30)),
        disc((40, 50)),
        disc(at=(105, 80)),
        disc() | box_mask((60, 40, 190, 60), SIZE),
        disc() & (np.arange(160)[:, None] < 80),
        box_mask((60, 40, 121, 121), SIZE),
    ):
        assert fit(FRAME, Target(BOX), worse) < best - 0.15


def on_ground(mask: Mask) -> Frame:
    image = scene()
    image[disc()] = image[0:1, 0:1]
    image[mask] = (210, 60, 50)
    return frame(image=image)


def test_what_fills_its_box_fits_it_and_a_leak_that_the_box_has_cut_does_not() -> None:
    full = box_mask((60, 40, 121, 121), SIZE)
    assert fit(on_ground(full), Target(BOX), full) > 0.9
    wide = box_mask((20, 10, 180, 150), SIZE)  # the thing goes on beyond the box
    assert fit(on_ground(wide), Target(BOX), full) < 0.2


def test_nothing_fits_nothing() -> None:
    assert fit(FRAME, Target(BOX), NOTHING) == 0.0
    assert fit(FRAME, Target((300.0, 300.0, 320.0, 320.0)), disc()) == 0.0
    assert fit(FRAME, Target((10.0, 10.0, 11.0, 11.0)), disc()) == 0.0


@pytest.mark.parametrize(
    ("positive", "negative", "share"),
    [
        (((90.0, 80.0),), ((61.0, 41.0),), 1.0),
        (((90.0, 80.0),), ((90.0, 100.0),), 0.5),
        (((61.0, 41.0),), ((90.0, 100.0),), 0.2),
        (((500.0, 80.0),), (), 1.0),
    ],
)
def test_points_are_obeyed(
    positive: tuple[Point, ...], negative: tuple[Point, ...], share: float
) -> None:
    plain = fit(FRAME, Target(BOX), disc())
    pointed = fit(FRAME, Target(BOX, positive, negative), disc())
    assert pointed == pytest.approx(share * plain)


class Always:
    """A segmenter that gives the same masks, whatever the target."""

    def __init__(self, *masks: Mask) -> None:
        self._masks = masks

    def segment(self, frame: Frame, targets: Sequence[Target]) -> list[Segmented]:
        return [Segmented(mask, 0.9) for mask, _ in zip(self._masks, targets, strict=True)]


LEAK = box_mask((30, 20, 180, 150), SIZE)


def test_the_mask_that_fits_better_is_kept_for_each_target() -> None:
    targets = [Target(BOX)] * 4
    first, second = Always(disc(), LEAK, NOTHING, NOTHING), Always(LEAK, disc(), disc(), NOTHING)
    found = BetterOfTwo(first, second).segment(FRAME, targets)
    for k in range(3):
        assert np.array_equal(found[k].mask, disc()), k
    assert not found[3].mask.any()
    assert found[3].score == 0.0


def test_two_that_agree_are_believed_more() -> None:
    most = disc((28, 37))
    (alone,) = BetterOfTwo(Always(most), Always(NOTHING)).segment(FRAME, [Target(BOX)])
    (agreed,) = BetterOfTwo(Always(most), Always(most)).segment(FRAME, [Target(BOX)])
    assert alone.score == pytest.approx(fit(FRAME, Target(BOX), most))
    assert alone.score < 0.9
    assert agreed.score == pytest.approx(alone.score + 0.25 * (1.0 - alone.score))


def test_of_two_that_fit_alike_the_first_is_kept() -> None:
    one, two = disc(), disc()
    (found,) = BetterOfTwo(Always(one), Always(two)).segment(FRAME, [Target(BOX)])
    assert found.mask is one
