"""SAM2's image predictor computes what transformers' own model computes, at static shapes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import Sam2Model

from streamseg.nets.sam2_decoder import ABSENT, BOX_END, BOX_START, NEGATIVE, NO_POINT, POSITIVE
from streamseg.nets.sam2_image import Sam2Image
from streamseg.nets.sam2_selftest import image_twin, selftest_sam2, selftest_video_model
from streamseg.nets.sam2_video import Sam2Video

SIZE = 128
BOX = ((12.0, 20.0, BOX_START), (90.0, 100.0, BOX_END))
INSIDE = ((50.0, 60.0, POSITIVE), (5.0, 110.0, NEGATIVE))
END = (0.0, 0.0, NO_POINT)
GAP = (64.0, 3.0, ABSENT)

Prompt = tuple[tuple[float, float, int], ...]


@pytest.fixture(scope="module")
def theirs() -> Sam2Model:
    return image_twin(selftest_video_model())


@pytest.fixture(scope="module")
def ours(theirs: Sam2Model) -> Sam2Image:
    return Sam2Image(theirs)


@pytest.fixture(scope="module")
def picture() -> Tensor:
    return torch.randn((1, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0))


def far(got: Tensor, expected: Tensor) -> float:
    """Largest difference, relative to the range of what is expected."""
    return float((got - expected).abs().max() / (expected.max() - expected.min()))


def answer(network: Sam2Image, picture: Tensor, *prompts: Prompt) -> tuple[Tensor, Tensor]:
    table = torch.tensor(prompts)
    with torch.no_grad():
        return network.answer(network.look(picture), table[..., :2], table[..., 2].long())


@pytest.mark.parametrize("prompt", [BOX, (*INSIDE, *BOX), INSIDE], ids=["box", "both", "points"])
@torch.no_grad()
def test_prompts_padded_to_a_static_shape_decode_as_theirs_unpadded(ours, theirs, picture, prompt):
    points = [point for point in prompt if point[2] in (POSITIVE, NEGATIVE)]
    has_box = len(points) < len(prompt)
    expected = theirs(
        pixel_values=picture,
        input_points=torch.tensor([[[point[:2] for point in points]]]) if points else None,
        input_labels=torch.tensor([[[point[2] for point in points]]]) if points else None,
        input_boxes=torch.tensor([[[*BOX[0][:2], *BOX[1][:2]]]]) if has_box else None,
    )
    padded = [*prompt, END] + [GAP] * (6 - len(prompt))
    table = torch.tensor([padded, padded[::-1]])  # another object besides, in another order
    logits, iou, presence = ours.prompt_decoder(
        *ours.look(picture), table[..., :2], table[..., 2].long()
    )
    for row in range(2):
        assert far(logits[row], expected.pred_masks[0, 0]) < 1e-5
        assert torch.allclose(iou[row], expected.iou_scores[0, 0], atol=1e-6)
        assert torch.allclose(presence[row], expected.object_score_logits[0, 0], atol=1e-5)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_what_is_absent_changes_nothing(picture: Tensor, precision: torch.dtype) -> None:
    """Not where it stands, how much of it there is, or where its point would lie."""
    network = Sam2Image(selftest_sam2()).to(precision)
    prompt = (*BOX, END, *INSIDE)
    logits, iou = answer(network, picture, prompt)
    whole = precision == torch.float32
    for padded in ((*prompt, GAP), (GAP, GAP, *prompt, GAP), (*prompt, *[GAP] * 40)):
        more_logits, more_iou = answer(network, picture, padded)
        assert far(more_logits, logits) < (1e-5 if whole else 0.05)
        assert torch.allclose(more_iou, iou, atol=1e-6 if whole else 0.02)
    moved = answer(network, picture, (*prompt, (1e6, -3.0, ABSENT)))
    still = answer(network, picture, (*prompt, (0.0, 0.0, ABSENT)))
    assert all(torch.equal(one, other) for one, other in zip(moved, still, strict=True))
    other_logits, _ = answer(network, picture, (*prompt, (64.0, 3.0, NEGATIVE)))
    assert far(other_logits, logits) > 0.01, "a point that is there does change it"


def test_the_encoder_is_that_of_the_video_network(ours: Sam2Image, picture: Tensor) -> None:
    video = Sam2Video(selftest_video_model())
    with torch.no_grad():
        for one, other in zip(ours.look(picture), video.look(picture), strict=True):
            assert torch.equal(one, other)


def test_in_half_precision_coordinates_stay_whole(ours: Sam2Image) -> None:
    half = Sam2Image(selftest_sam2()).bfloat16()
    prompts = half.prompt_decoder.prompts
    assert prompts.gaussian.dtype == torch.float32
    assert half.dtype == torch.bfloat16
    points, labels = torch.tensor([[[100.3, 17.9]]]), torch.tensor([[POSITIVE]])
    assert torch.equal(prompts(points, labels), ours.prompt_decoder.prompts(points, labels))
