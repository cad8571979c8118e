"""SAM2 as a segmenter, held against transformers' own forward pass computed by hand."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from streamseg import weights
from streamseg.config import Sam2Config, SegmentationConfig
from streamseg.errors import CheckpointError
from streamseg.nets.sam2_image import Sam2Image
from streamseg.nets.sam2_selftest import selftest_sam2
from streamseg.segmentation import build
from streamseg.segmentation.sam2 import Sam2Segmenter
from streamseg.types import Frame, Mask, Target

MUG = Target(box=(110, 50, 190, 130), positive=((150.0, 90.0),), negative=((60.0, 20.0),))
BALL = Target(box=(10, 10, 60, 80), positive=((30.0, 40.0),), negative=((70.0, 5.0),))
BARE = Target(box=(200, 100, 300, 170))


@pytest.fixture(scope="module")
def network():
    return selftest_sam2()


@pytest.fixture
def segmenter(network) -> Sam2Segmenter:
    return Sam2Segmenter(Sam2Image(network))


def make_frame(seed: int = 0, height: int = 180, width: int = 320) -> Frame:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    image.flags.writeable = False
    return Frame(index=seed, pts_ns=0, epoch=0, image=image)


def iou(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


def reference(network, frame: Frame, target: Target) -> tuple[Mask, float]:
    """The official steps one by one: float picture in [0, 1], resize, normalise, one forward."""
    size = network.config.prompt_encoder_config.image_size
    picture = torch.tensor(frame.image).permute(2, 0, 1)[None] / 255.0
    picture = functional.interpolate(
        picture, size=(size, size), mode="bilinear", align_corners=False, antialias=True
    )
    mean = torch.tensor([0.485, 0.456, 0.406])[None, :, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[None, :, None, None]
    scale = torch.tensor([size / frame.width, size / frame.height])
    x0, y0, x1, y1 = target.box
    box = (torch.tensor([[x0, y0], [x1 - 1, y1 - 1]]) * scale).reshape(1, 1, 4)
    points = torch.tensor([*target.positive, *target.negative]).reshape(1, 1, -1, 2) * scale
    labels = torch.tensor([1] * len(target.positive) + [0] * len(target.negative))
    with torch.no_grad():
        output = network(
            pixel_values=(picture - mean) / std,
            input_boxes=box,
            input_points=points if len(labels) else None,
            input_labels=labels.reshape(1, 1, -1) if len(labels) else None,
        )
    best = int(output.iou_scores[0, 0].argmax())
    logits = functional.interpolate(
        output.pred_masks[0, :, best][None],
        size=(frame.height, frame.width),
        mode="bilinear",
        align_corners=False,
    )
    return logits[0, 0].numpy() > 0, float(output.iou_scores[0, 0, best])


def balanced(seed: int = 1):
    """A network whose masks cover about half of the picture, so that a difference would show."""
    network = selftest_sam2(seed)
    for mlp in network.mask_decoder.output_hypernetworks_mlps:
        mlp.proj_out.bias.data.sub_(1.0)
    return network


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
    handle = network.vision_encoder.register_forward_hook(lambda *_: encoded.append(1))
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
