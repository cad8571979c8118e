"""SAM2 as a segmenter, held against transformers' own forward pass computed by hand."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sam2_reference import BALL, BARE, MUG, balanced, iou, make_frame, reference

from streamseg import weights
from streamseg.config import EngineConfig, Sam2Config, SegmentationConfig
from streamseg.errors import CheckpointError
from streamseg.eye import Eye, sight_of
from streamseg.nets.sam2_image import Sam2Image
from streamseg.nets.sam2_selftest import selftest_sam2
from streamseg.segmentation import build
from streamseg.segmentation.sam2 import Sam2Segmenter
from streamseg.types import Target


@pytest.fixture(scope="module")
def network():
    return selftest_sam2()


@pytest.fixture
def segmenter(network) -> Sam2Segmenter:
    return Sam2Segmenter(Sam2Image(network))


@pytest.mark.parametrize("target", [MUG, BALL, BARE], ids=["mug", "ball", "box only"])
@pytest.mark.parametrize("shape", [(180, 320), (97, 61), (128, 128)])
def test_agrees_with_transformers_forward(target: Target, shape: tuple[int, int]) -> None:
    network, frame = balanced(), make_frame(2, 180, 320)
    height, width = shape
    if shape != (180, 320):
        frame = make_frame(2, height, width)
        target = Target((5, 6, width - 9, height - 4), ((20.0, 30.0),), ((1.0, 2.0),))
    expected, score = reference(network, frame, target)
    assert 0.02 < expected.mean() < 0.98
    [got] = Sam2Segmenter(Sam2Image(network)).segment(frame, [target])
    assert got.mask.shape == expected.shape
    assert got.mask.dtype == np.bool_
    assert iou(got.mask, expected) > 0.999
    assert got.score == pytest.approx(score, abs=1e-4)


def test_a_mask_does_not_depend_on_its_company() -> None:
    segmenter, frame = Sam2Segmenter(Sam2Image(balanced())), make_frame(3)
    together = segmenter.segment(frame, [MUG, BARE, BALL])
    for target, among in zip([MUG, BARE, BALL], together, strict=True):
        [alone] = segmenter.segment(frame, [target])
        assert iou(alone.mask, among.mask) > 0.999
        assert alone.score == pytest.approx(among.score, abs=1e-5)


def test_prompts_matter() -> None:
    segmenter, frame = Sam2Segmenter(Sam2Image(balanced(5))), make_frame(3)
    one, other = segmenter.segment(frame, [MUG, BARE])
    assert iou(one.mask, other.mask) < 0.999


def test_positive_and_negative_points_are_told_apart() -> None:
    segmenter, frame = Sam2Segmenter(Sam2Image(balanced(5))), make_frame(3)
    swapped = Target(MUG.box, positive=MUG.negative, negative=MUG.positive)
    one, other = segmenter.segment(frame, [MUG, swapped])
    assert one.score != pytest.approx(other.score, abs=1e-6)


def test_the_picture_is_encoded_once_per_frame(network, segmenter: Sam2Segmenter) -> None:
    encoded: list[int] = []
    patches = network.vision_encoder.backbone.patch_embed.projection
    handle = patches.register_forward_hook(lambda *_: encoded.append(1))
    try:
        frame = make_frame()
        segmenter.segment(frame, [MUG, BARE, BALL])
        segmenter.segment(frame, [BALL])
        assert len(encoded) == 1
        segmenter.segment(make_frame(1), [BALL])
        assert len(encoded) == 2
        frame.forget()
        segmenter.segment(frame, [BALL])
        assert len(encoded) == 3
    finally:
        handle.remove()


def test_the_memoised_embedding_says_its_size(segmenter: Sam2Segmenter) -> None:
    frame = make_frame()
    segmenter.segment(frame, [MUG])
    features = 4 * (16 * 32 * 32 + 32 * 16 * 16 + 128 * 8 * 8)
    assert frame.nbytes == frame.image.nbytes + features


def test_a_stage_that_sees_with_the_same_eyes_leaves_its_look(network) -> None:
    """And one whose weights, precision or device differ does not."""
    frame, image = make_frame(), Sam2Image(network)
    plain, rounded = EngineConfig(), EngineConfig(precision="bf16")
    twin = Sam2Image(selftest_sam2())
    Eye(twin, twin.dtype, sight_of(twin.image_encoder, plain)).look(frame)
    kept = frame.nbytes
    Sam2Segmenter(image, sight=sight_of(image.image_encoder, plain)).segment(frame, [MUG])
    assert frame.nbytes == kept
    Sam2Segmenter(image, sight=sight_of(image.image_encoder, rounded)).segment(frame, [MUG])
    assert frame.nbytes > kept
    other, kept = Sam2Image(selftest_sam2(seed=1)), frame.nbytes
    Sam2Segmenter(other, sight=sight_of(other.image_encoder, plain)).segment(frame, [MUG])
    assert frame.nbytes > kept


def test_two_segmenters_do_not_share_an_embedding() -> None:
    frame = make_frame()
    first = Sam2Segmenter(Sam2Image(balanced(1))).segment(frame, [MUG])[0]
    second = Sam2Segmenter(Sam2Image(balanced(2))).segment(frame, [MUG])[0]
    assert second.score != pytest.approx(first.score, abs=1e-6)


def test_no_targets_costs_nothing(network, segmenter: Sam2Segmenter) -> None:
    frame = make_frame()
    assert segmenter.segment(frame, []) == []
    assert frame.nbytes == frame.image.nbytes


@pytest.mark.parametrize(
    "box",
    [
        (400, 10, 500, 60),
        (-90, -90, -10, -10),
        (50, 50, 50, 90),
        (90, 60, 40, 90),
        (10.0, 10.0, float("nan"), 40.0),
        (10.0, float("-inf"), 20.0, 40.0),
    ],
)
def test_a_box_off_the_picture_gives_an_empty_mask(segmenter: Sam2Segmenter, box) -> None:
    frame = make_frame()
    empty, found = segmenter.segment(frame, [Target(box), MUG])
    assert not empty.mask.any()
    assert empty.mask.shape == (180, 320)
    assert empty.score == 0.0
    assert found.mask.any()
    assert found.score > 0.0


def test_points_off_the_picture_are_left_out(segmenter: Sam2Segmenter) -> None:
    frame = make_frame()
    outside = Target(MUG.box, positive=((900.0, 10.0),), negative=((-5.0, 20.0),))
    [got], [bare] = (segmenter.segment(frame, [t]) for t in (outside, Target(MUG.box)))
    assert np.array_equal(got.mask, bare.mask)
    assert got.score == bare.score


def test_box_margin_cuts_the_mask_and_covers_the_box(network) -> None:
    frame = make_frame()
    [whole] = Sam2Segmenter(Sam2Image(network)).segment(frame, [MUG])
    assert whole.mask.mean() > 0.8
    [cut] = Sam2Segmenter(Sam2Image(network), box_margin=0.1).segment(frame, [MUG])
    rows, columns = np.nonzero(cut.mask)
    assert columns.min() >= 102
    assert columns.max() < 198
    assert rows.min() >= 42
    assert rows.max() < 138
    assert cut.mask[50:130, 110:190].mean() > 0.8


def test_half_precision_stays_close() -> None:
    frame = make_frame()
    [full] = Sam2Segmenter(weights.load_sam2_image("selftest-sam2", "cpu")).segment(frame, [MUG])
    half = Sam2Segmenter(weights.load_sam2_image("selftest-sam2", "cpu").bfloat16())
    [rough] = half.segment(frame, [MUG])
    assert iou(full.mask, rough.mask) > 0.95
    assert rough.score == pytest.approx(full.score, abs=0.03)


def test_threads_get_the_same_answer() -> None:
    segmenter = Sam2Segmenter(Sam2Image(balanced()))
    alone = [segmenter.segment(make_frame(i), [MUG, BARE]) for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda i: segmenter.segment(make_frame(i % 4), [MUG, BARE]), range(8)))
    for i, run in enumerate(runs):
        for expected, got in zip(alone[i % 4], run, strict=True):
            assert iou(expected.mask, got.mask) > 0.999


def test_selftest_config_gives_regions_on_many_pictures() -> None:
    config = SegmentationConfig(
        backend="sam2",
        sam2=Sam2Config(checkpoint="selftest-sam2", device="cpu", box_margin=0.1),
    )
    segmenter = build(config)
    for seed in range(5):
        found = segmenter.segment(make_frame(seed), [MUG, BARE])
        for target, got in zip([MUG, BARE], found, strict=True):
            x0, y0, x1, y1 = (int(value) for value in target.box)
            assert got.mask[y0:y1, x0:x1].mean() > 0.7
            assert 0.0 < got.score <= 1.0


def test_a_missing_checkpoint_is_refused_by_name(tmp_path) -> None:
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        Sam2Segmenter.from_config(Sam2Config(checkpoint=str(tmp_path)))


def test_torchvision_is_not_needed() -> None:
    program = (
        "import sys; sys.modules['torchvision'] = None; sys.modules['timm'] = None\n"
        "from streamseg.config import Sam2Config\n"
        "from streamseg.segmentation.sam2 import Sam2Segmenter\n"
        "Sam2Segmenter.from_config(Sam2Config(checkpoint='selftest-sam2', device='cpu'))\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
