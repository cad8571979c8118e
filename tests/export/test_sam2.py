"""Every part of SAM2: equal to torch in ONNX Runtime, and compiled by TensorRT for two cards."""

from __future__ import annotations

import pytest
import torch
from transformers import Sam2VideoConfig, Sam2VideoModel

from streamseg.engines.onnxruntime import OnnxRuntimeEngine
from streamseg.export import sam2_image, sam2_video
from streamseg.export.onnx import to_model
from streamseg.export.part import Part
from streamseg.export.precision import lower
from streamseg.export.tensorrt import build_plan
from streamseg.export.verify import LIMITS, reference, verify
from streamseg.nets.sam2_decoder import ABSENT, NO_POINT
from streamseg.nets.sam2_image import Sam2Image
from streamseg.nets.sam2_selftest import (
    image_twin,
    selftest_sam2,
    selftest_sam2_video,
    with_seeded_weights,
)
from streamseg.nets.sam2_video import Sam2Video

TARGETS = ("sm86", "sm89")
SMALL_VIDEO = sam2_video.Sam2VideoShapes(objects=(3,), frames=(2, 7), rows=24)
SMALL_IMAGE = sam2_image.Sam2ImageShapes(objects=(3,), points=2)
SMALL_NAMES = ["sam2_image_encoder", "sam2_image_decoder_n3_p2", "sam2_video_attention_n3_f2"]
"""At selftest size; the parts for video that the loop needs are in test_sam2_loop.py."""
FULL_NAMES = [
    "sam2_image_encoder",
    "sam2_image_decoder_n2_p8",
    "sam2_video_seed",
    "sam2_video_attention_n1_f7",
    "sam2_video_track_n1",
    "sam2_video_memory_n1",
]
"""Full-size sam2.1-hiera-tiny at 1024²; the other counts and lengths differ in shape alone."""


@pytest.fixture(scope="module")
def small() -> dict[str, Part]:
    image = sam2_image.parts(Sam2Image(selftest_sam2()), SMALL_IMAGE)
    video = sam2_video.parts(selftest_sam2_video(), SMALL_VIDEO)
    return {part.name: part for part in (*image, *video)}


@pytest.fixture(scope="module")
def full() -> dict[str, Part]:
    model = with_seeded_weights(Sam2VideoModel(Sam2VideoConfig()))
    image = sam2_image.parts(Sam2Image(image_twin(model)), sam2_image.Sam2ImageShapes(objects=(2,)))
    shapes = sam2_video.Sam2VideoShapes(objects=(1,), frames=(7,), rows=1024)
    video = sam2_video.parts(Sam2Video(model), shapes)
    # The encoder is the same one: once will do.
    return {part.name: part for part in (*image, *video) if part.name != "sam2_video_encoder"}


def prove(part: Part) -> None:
    """ONNX Runtime gives what torch gives, and TensorRT takes every layer, for each card."""
    model = to_model(part).SerializeToString()
    engine = OnnxRuntimeEngine(part.name, model)
    assert [spec.name for spec in engine.inputs] == list(part.inputs), "an input is not used"
    verdict = verify(engine, part.inputs, reference(part), LIMITS["fp32"])
    assert verdict.passed, str(verdict)
    for target in TARGETS:
        assert build_plan(part.name, model, target)


def test_the_parts_are_all_there(small, full) -> None:
    video = ("encoder", "seed", "attention_n3_f2", "attention_n3_f7", "track_n3", "memory_n3")
    image = ("encoder", "decoder_n3_p2")
    assert set(small) == {f"sam2_video_{kind}" for kind in video} | {
        f"sam2_image_{kind}" for kind in image
    }
    assert sorted(full) == sorted(FULL_NAMES)


@pytest.mark.parametrize("name", SMALL_NAMES)
def test_a_small_part_is_equal_everywhere(small: dict[str, Part], name: str) -> None:
    prove(small[name])


@pytest.mark.parametrize("name", FULL_NAMES)
def test_a_full_size_part_is_equal_everywhere(full: dict[str, Part], name: str) -> None:
    prove(full[name])


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("sam2_image_encoder", "fp16"),
        ("sam2_video_attention_n3_f7", "fp16"),
        ("sam2_video_attention_n3_f7", "bf16"),
        ("sam2_image_decoder_n3_p2", "bf16"),
        ("sam2_video_track_n3", "bf16"),
    ],
)
def test_half_precision_compiles_and_keeps_what_the_loop_holds(small, name, precision) -> None:
    part = lower(small[name], precision)
    held = {key: tensor for key, tensor in part.inputs.items() if key in part.exact}
    assert all(tensor.dtype == torch.float32 for tensor in held.values())
    outputs = reference(part)
    for key in part.exact & outputs.keys():
        assert outputs[key].dtype == torch.float32
    model = to_model(part).SerializeToString()
    assert build_plan(part.name, model, "sm86")


def test_the_examples_leave_slots_and_points_empty(small: dict[str, Part]) -> None:
    assert (small["sam2_video_attention_n3_f7"].inputs["ages"] < 0).any()
    assert (small["sam2_video_attention_n3_f7"].inputs["since"] < 0).any()
    decoder = sam2_image.Sam2ImageParts(Sam2Image(selftest_sam2())).make("decoder", 1, 5)
    labels = decoder.inputs["labels"]
    assert (labels == ABSENT).sum() == 3
    assert (labels == NO_POINT).sum() == 1


def test_a_bank_shorter_than_the_networks_is_refused() -> None:
    with pytest.raises(ValueError, match="up to 7 frames"):
        sam2_video.parts(selftest_sam2_video(), sam2_video.Sam2VideoShapes(frames=(1, 4)))
