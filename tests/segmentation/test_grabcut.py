"""GrabCut cuts what the box and the points say, and says when it cannot."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from builders import frame
from hypothesis import given, settings
from hypothesis import strategies as st

from streamseg.config import GrabCutConfig
from streamseg.segmentation.grabcut import GrabCutSegmenter
from streamseg.types import Box, Image, Mask, Point, Target

WIDTH, HEIGHT = 320, 240
RED, BLUE = (200, 40, 40), (40, 60, 200)


def ground() -> Image:
    rng = np.random.default_rng(5)
    noise = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH, 3)).astype(np.float32), (0, 0), 1.5)
    return np.clip(150 + 50 * noise, 0, 255).astype(np.uint8)


def shape(kind: str) -> Mask:
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    if kind == "disc":
        cv2.circle(canvas, (160, 120), 45, 1, -1)
    elif kind == "ring":
        cv2.circle(canvas, (160, 120), 34, 1, 14)
    elif kind == "small ring":
        cv2.circle(canvas, (160, 120), 14, 1, 7)
    elif kind == "square":
        canvas[80:150, 120:210] = 1
    return canvas.astype(bool)


def drawn(*parts: tuple[Mask, tuple[int, int, int]]) -> Image:
    image = ground()
    for mask, colour in parts:
        image[mask] = colour
    return image


def box_of(mask: Mask) -> Box:
    ys, xs = np.nonzero(mask)
    return (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))


def iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def cut(
    image: Image, box: Box, positive: tuple[Point, ...] = (), negative: tuple[Point, ...] = ()
) -> tuple[Mask, float]:
    segmenter = GrabCutSegmenter(GrabCutConfig())
    out = segmenter.segment(frame(image=image), [Target(box, positive, negative)])[0]
    assert out.mask.shape == image.shape[:2]
    assert out.mask.dtype == np.bool_
    assert 0.0 <= out.score <= 1.0
    return out.mask, out.score


@pytest.mark.parametrize("kind", ["disc", "ring", "small ring", "square"])
def test_cuts_shapes_with_their_holes(kind: str) -> None:
    truth = shape(kind)
    mask, score = cut(drawn((truth, RED)), box_of(truth))
    assert iou(mask, truth) > 0.93
    assert score > 0.8


def test_a_loose_box_is_enough() -> None:
    truth = shape("disc")
    x0, y0, x1, y1 = box_of(truth)
    mask, _ = cut(drawn((truth, RED)), (x0 - 14, y0 - 10, x1 + 9, y1 + 16))
    assert iou(mask, truth) > 0.95


def test_a_big_picture_is_cut_small_and_refined_at_full_size() -> None:
    size = (1920, 1440)
    truth = cv2.resize(shape("disc").view(np.uint8), size).astype(bool)
    image = cv2.resize(drawn((shape("disc"), RED)), size)
    mask, _ = cut(image, box_of(truth))
    assert iou(mask, truth) > 0.97


def test_points_choose_between_two_parts_of_a_box() -> None:
    left, right = np.zeros((2, HEIGHT, WIDTH), bool)
    left[90:150, 90:150] = True
    right[90:150, 165:225] = True
    image = drawn((left, RED), (right, BLUE))
    both = (88.0, 88.0, 227.0, 152.0)
    mask, _ = cut(image, both, positive=((120, 120),), negative=((195, 120),))
    assert iou(mask, left) > 0.9
    mask, _ = cut(image, both, positive=((195, 120),), negative=((120, 120),))
    assert iou(mask, right) > 0.9


def test_several_targets_keep_their_order_and_do_not_touch_one_another() -> None:
    left, right = np.zeros((2, HEIGHT, WIDTH), bool)
    left[40:100, 40:100] = True
    right[130:200, 200:280] = True
    segmenter = GrabCutSegmenter(GrabCutConfig())
    item = frame(image=drawn((left, RED), (right, BLUE)))
    targets = [Target(box_of(right)), Target(box_of(left))]
    out = segmenter.segment(item, targets)
    assert [iou(a.mask, b) > 0.95 for a, b in zip(out, (right, left), strict=True)] == [True, True]
    alone = segmenter.segment(item, targets[1:])
    assert (alone[0].mask == out[1].mask).all()
    assert segmenter.segment(item, []) == []


def test_an_object_like_its_ground_still_gets_a_mask_in_its_box_with_a_low_score() -> None:
    mask, score = cut(np.full((HEIGHT, WIDTH, 3), 120, np.uint8), (100, 80, 200, 160))
    ys, xs = np.nonzero(mask)
    assert mask.any()
    assert 95 <= xs.min() <= xs.max() < 205
    assert 75 <= ys.min() <= ys.max() < 165
    assert score < 0.7


@pytest.mark.parametrize(
    "box",
    [
        (400.0, 300.0, 500.0, 380.0),
        (50.0, 50.0, 50.0, 90.0),
        (90.0, 90.0, 40.0, 40.0),
        (float("nan"), 0.0, 10.0, 10.0),
    ],
)
def test_a_box_without_pixels_is_an_empty_mask_with_score_0(box: Box) -> None:
    mask, score = cut(drawn((shape("disc"), RED)), box)
    assert not mask.any()
    assert score == 0.0


def test_threads_share_it_and_get_what_one_thread_gets() -> None:
    segmenter = GrabCutSegmenter(GrabCutConfig())
    kinds = ["disc", "ring", "square", "disc"]
    items = [(frame(image=drawn((shape(k), RED))), [Target(box_of(shape(k)))]) for k in kinds]
    alone = [segmenter.segment(*item)[0] for item in items]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda item: segmenter.segment(*item)[0], items))
    for one, other in zip(alone, together, strict=True):
        assert (one.mask == other.mask).all()
        assert one.score == other.score
    assert (together[0].mask == together[3].mask).all()


@settings(max_examples=30, deadline=None)
@given(
    box=st.tuples(*[st.floats(-60, 120)] * 4),
    points=st.lists(st.tuples(st.floats(-20, 100), st.floats(-20, 80)), max_size=3),
    others=st.lists(st.tuples(st.floats(-20, 100), st.floats(-20, 80)), max_size=3),
)
def test_any_box_and_points_give_a_mask(box: Box, points: list[Point], others: list[Point]) -> None:
    image = cv2.resize(drawn((shape("disc"), RED)), (80, 60))
    cut(image, box, tuple(points), tuple(others))
