"""SAM2 in parts, at shapes that the loop's own tests do not meet: equal to torch on ONNX Runtime.

What the loop needs, the encoder too, is in test_sam2_loop.py: the command lets pass what is equal.
Full size and TensorRT are in test_every_part.py.
"""

from __future__ import annotations

import pytest
import torch

from streamseg.engines.onnxruntime import OnnxRuntimeEngine
from streamseg.export import sam2_image, sam2_video
from streamseg.export.onnx import to_model
from streamseg.export.part import Part
from streamseg.export.precision import lower
from streamseg.export.verify import LIMITS, reference, verify
from streamseg.nets.sam2_decoder import ABSENT, NO_POINT
from streamseg.nets.sam2_image import Sam2Image
from streamseg.nets.sam2_selftest import selftest_sam2, selftest_sam2_video

SMALL_VIDEO = sam2_video.Sam2VideoShapes(objects=(3,), frames=(2, 7), rows=24)
SMALL_IMAGE = sam2_image.Sam2ImageShapes(objects=(3,), points=2)
SMALL_NAMES = ["sam2_image_decoder_n3_p2", "sam2_video_attention_n3_f2"]


@pytest.fixture(scope="module")
def small() -> dict[str, Part]:
    image = sam2_image.parts(Sam2Image(selftest_sam2()), SMALL_IMAGE)
    video = sam2_video.parts(selftest_sam2_video(), SMALL_VIDEO)
    return {part.name: part for part in (*image, *video)}


def test_the_parts_are_all_there(small) -> None:
    video = ("encoder", "seed", "attention_n3_f2", "attention_n3_f7", "track_n3", "memory_n3")
    image = ("encoder", "decoder_n3_p2")
    assert set(small) == {f"sam2_video_{kind}" for kind in video} | {
        f"sam2_image_{kind}" for kind in image
    }


@pytest.mark.parametrize("name", SMALL_NAMES)
def test_a_part_is_equal_on_onnx_runtime(small: dict[str, Part], name: str) -> None:
    part = small[name]
    engine = OnnxRuntimeEngine(part.name, to_model(part).SerializeToString())
    assert [spec.name for spec in engine.inputs] == list(part.inputs), "an input is not used"
    verdict = verify(engine, part.inputs, reference(part), LIMITS["fp32"])
    assert verdict.passed, str(verdict)


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
def test_half_precision_keeps_what_the_loop_holds(small, name, precision) -> None:
    part = lower(small[name], precision)
    held = {key: tensor for key, tensor in part.inputs.items() if key in part.exact}
    assert all(tensor.dtype == torch.float32 for tensor in held.values())
    outputs = reference(part)
    for key in part.exact & outputs.keys():
        assert outputs[key].dtype == torch.float32


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
