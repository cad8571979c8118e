"""The salient object of a crop: a network that takes brightness for it, and the real one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from builders import box_mask, frame, painted
from tiny_onnx import brightness, mean_colour, saying

from streamseg import segmentation
from streamseg.config import SalientConfig, SegmentationConfig
from streamseg.errors import CheckpointError
from streamseg.segmentation.better import BetterOfTwo
from streamseg.segmentation.salient import SalientSegmenter
from streamseg.types import Box, Image, Mask, Segmented, Target

SIZE = (160, 120)
U2NETP = Path(__file__).parents[3] / "shared" / "models" / "u2netp-320.onnx"
LIGHT, OTHER = (50, 30, 90, 80), (110, 30, 130, 80)


@pytest.fixture
def segmenter(tmp_path: Path) -> SalientSegmenter:
    path = brightness(tmp_path / "brightness.onnx", 64)
    return SalientSegmenter.from_config(SalientConfig(network=str(path)))


def cut(segmenter: SalientSegmenter, image: Image, box: Box) -> Segmented:
    (found,) = segmenter.segment(frame(image=image), [Target(box)])
    return found


def iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def scene(*boxes: tuple[int, int, int, int]) -> Image:
    return painted(dict.fromkeys(boxes, (250, 250, 250)), SIZE)


def test_what_stands_out_in_the_box_is_cut(segmenter: SalientSegmenter) -> None:
    found = cut(segmenter, scene(LIGHT), (45.0, 25.0, 95.0, 85.0))
    assert found.mask.shape == (120, 160)
    assert found.mask.dtype == np.bool_
    assert iou(found.mask, box_mask(LIGHT, SIZE)) > 0.93
    assert found.score > 0.9


def test_a_network_that_leaves_its_sizes_open_takes_the_configs(tmp_path: Path) -> None:
    path = brightness(tmp_path / "open.onnx", "side")
    open_one = SalientSegmenter.from_config(SalientConfig(network=str(path), side=64))
    fixed = brightness(tmp_path / "fixed.onnx", 64)
    closed = SalientSegmenter.from_config(SalientConfig(network=str(fixed)))
    image, box = scene(LIGHT), (45.0, 25.0, 95.0, 85.0)
    assert (cut(open_one, image, box).mask == cut(closed, image, box).mask).all()
    assert iou(cut(open_one, image, box).mask, box_mask(LIGHT, SIZE)) > 0.9


def test_what_stands_out_beside_the_box_is_not(segmenter: SalientSegmenter) -> None:
    found = cut(segmenter, scene(LIGHT, OTHER), (45.0, 25.0, 100.0, 85.0))
    assert iou(found.mask, box_mask(LIGHT, SIZE)) > 0.93


def test_a_box_at_the_border_or_beyond_is_cut_as_far_as_it_lies_within(
    segmenter: SalientSegmenter,
) -> None:
    corner = (0, 0, 40, 30)
    found = cut(segmenter, scene(corner), (-20.0, -10.0, 45.5, 34.5))
    assert iou(found.mask, box_mask(corner, SIZE)) > 0.9


@pytest.mark.parametrize(
    "box",
    [
        (200.0, 10.0, 240.0, 50.0),
        (50.0, 50.0, 50.2, 80.0),
        (float("nan"), 0.0, 40.0, 40.0),
        (80.0, 80.0, 40.0, 40.0),
    ],
)
def test_a_box_that_holds_nothing_gives_nothing(segmenter: SalientSegmenter, box: Box) -> None:
    found = cut(segmenter, scene(LIGHT), box)
    assert not found.mask.any()
    assert found.score == 0.0


def test_where_nothing_stands_out_nothing_is_cut(segmenter: SalientSegmenter) -> None:
    found = cut(segmenter, scene(), (45.0, 25.0, 95.0, 85.0))
    assert not found.mask.any()
    assert found.score == 0.0


def test_several_targets_come_back_in_order(segmenter: SalientSegmenter) -> None:
    targets = [Target((105.0, 25.0, 135.0, 85.0)), Target((45.0, 25.0, 95.0, 85.0))]
    one, two = segmenter.segment(frame(image=scene(LIGHT, OTHER)), targets)
    assert iou(one.mask, box_mask(OTHER, SIZE)) > 0.9
    assert iou(two.mask, box_mask(LIGHT, SIZE)) > 0.9


def test_a_blurred_thing_is_cut_less_surely(segmenter: SalientSegmenter) -> None:
    sharp = scene(LIGHT)
    box = (40.0, 20.0, 100.0, 90.0)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 9)
    assert cut(segmenter, blurred, box).score < cut(segmenter, sharp, box).score - 0.1


def test_another_kind_of_network_is_refused(tmp_path: Path) -> None:
    path = mean_colour(tmp_path / "mean.onnx", (1, 3, 32, 32))
    with pytest.raises(CheckpointError, match=r"mean\.onnx: expected one picture .*got picture"):
        SalientSegmenter.from_config(SalientConfig(network=str(path)))


def test_a_network_that_is_not_there_is_told(tmp_path: Path) -> None:
    config = SalientConfig(network=str(tmp_path / "none.onnx"))
    with pytest.raises(CheckpointError, match=r"nothing is at .*none\.onnx"):
        SalientSegmenter.from_config(config)


def test_the_backend_takes_the_better_of_it_and_grabcut(tmp_path: Path) -> None:
    flat = np.zeros((1, 1, 32, 32), np.float32)  # says nothing: GrabCut's mask stands
    path = saying(tmp_path / "flat.onnx", (1, 3, 32, 32), {"map": flat})
    config = SegmentationConfig(backend="salient", salient=SalientConfig(network=str(path)))
    both = segmentation.build(config)
    assert isinstance(both, BetterOfTwo)
    (found,) = both.segment(frame(image=scene(LIGHT)), [Target((45.0, 25.0, 95.0, 85.0))])
    assert iou(found.mask, box_mask(LIGHT, SIZE)) > 0.85
    assert found.score > 0.6


def test_in_a_hurry_the_network_is_not_run(tmp_path: Path) -> None:
    dark = np.zeros((1, 1, 32, 32), np.float32)
    path = saying(tmp_path / "flat.onnx", (1, 3, 32, 32), {"map": dark})
    both = segmentation.build(
        SegmentationConfig(backend="salient", salient=SalientConfig(network=str(path)))
    )
    assert isinstance(both, segmentation.Sketcher)
    assert isinstance(both, BetterOfTwo)
    both._first = None  # type: ignore[assignment]
    target = Target((45.0, 25.0, 95.0, 85.0))
    (found,) = both.sketch(frame(image=scene(LIGHT)), [target])
    assert iou(found.mask, box_mask(LIGHT, SIZE)) > 0.85
    assert 0.3 < found.score < 1.0


@pytest.mark.skipif(not U2NETP.is_file(), reason="no ../shared/models/u2netp-320.onnx")
def test_the_real_one_cuts_a_thing_of_two_colours_whole() -> None:
    rng = np.random.default_rng(3)
    noise = cv2.GaussianBlur(rng.normal(0, 40, (240, 320, 3)).astype(np.float32), (0, 0), 2)
    image = np.clip(120 + noise, 0, 255).astype(np.uint8)
    thing = np.zeros((240, 320), np.uint8)
    cv2.ellipse(thing, (160, 120), (36, 70), 0, 0, 360, 1, -1)
    image[(thing > 0) & (np.arange(240)[:, None] < 120)] = (230, 60, 50)
    image[(thing > 0) & (np.arange(240)[:, None] >= 120)] = (40, 60, 200)
    real = SalientSegmenter.from_config(SalientConfig(network=str(U2NETP)))
    found = cut(real, image, (122.0, 48.0, 198.0, 192.0))
    assert iou(found.mask, thing > 0) > 0.85
