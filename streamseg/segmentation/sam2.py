"""SAM2 cuts targets from one frame: box and points to masks. Knows no tracks and no time."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from streamseg import weights
from streamseg.config import Sam2Config
from streamseg.errors import MissingDependencyError
from streamseg.types import Box, Frame, Image, Mask, Segmented, Target

try:
    import torch
    from torch.nn import functional
except ImportError:
    raise MissingDependencyError("torch", "neural") from None

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import Sam2Model

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class _Prompt:
    """One target in the network's pixels: `points` are x, y, label (1 on the object, 0 off it)."""

    index: int
    box: Box
    points: tuple[tuple[float, float, int], ...]


class Sam2Segmenter:
    """SAM2's image predictor (SAM 2, section 4) over transformers' `Sam2Model`.

    A picture is encoded once and its embedding memoised on the frame. Targets with equally
    many points are decoded in one batch: nothing is padded, so a target's mask does not
    depend on its company. May be called from several threads.

    Args:
        network: In eval mode, on its device, in its dtype.
        box_margin: Masks are cut at the target's box grown by this share of its size on each
            side; None leaves them as SAM2 made them.
    """

    def __init__(self, network: Sam2Model, box_margin: float | None = None) -> None:
        self._network = network
        self._box_margin = box_margin
        self._size = cast(int, network.prompt_encoder.input_image_size)
        self._memo_key = object()
        weight = network.no_memory_embedding
        self._device, self._dtype = weight.device, weight.dtype
        self._scale, self._shift = _normalisation(self._device)

    @classmethod
    def from_config(cls, config: Sam2Config) -> Sam2Segmenter:
        """Load the checkpoint that the config names.

        Raises:
            CheckpointError: The weights are missing or of another shape.
            MissingDependencyError: torch or transformers is not installed.
        """
        network = weights.load_sam2(config.checkpoint, config.device, config.dtype)
        return cls(network, config.box_margin)

    def segment(self, frame: Frame, targets: Sequence[Target]) -> list[Segmented]:
        """One mask per target, in order, (H, W) bool at the frame's resolution.

        Of SAM2's three candidates the one with the best predicted IoU is taken, and that IoU
        is the score. A target whose box lies off the picture gets an empty mask and score 0.
        """
        results = [_nothing(frame) for _ in targets]
        with torch.inference_mode():
            for batch in _batches(self._prompts(frame, targets)):
                logits, scores = self._decode(self._embedding(frame), batch)
                for prompt, low, score in zip(batch, logits, scores.tolist(), strict=True):
                    mask = _upsample(low, frame.height, frame.width)
                    self._clip(mask, targets[prompt.index].box)
                    if mask.any():
                        results[prompt.index] = Segmented(mask, min(max(score, 0.0), 1.0))
        return results

    def preprocess(self, image: Image) -> Tensor:
        """(H, W, 3) uint8 RGB → (1, 3, S, S) normalised, on the network's device, in its dtype.

        As SAM2's own transform: bilinear with antialiasing to a square, the aspect ratio not
        kept, then ImageNet's mean and deviation.
        """
        # A copy, since the frame's memory may be read-only, which torch refuses to share.
        pixels = torch.tensor(image, device=self._device).permute(2, 0, 1)[None].float()
        size = (self._size, self._size)
        pixels = functional.interpolate(pixels, size=size, mode="bilinear", antialias=True)
        return pixels.mul_(self._scale).add_(self._shift).to(self._dtype)

    def _embedding(self, frame: Frame) -> tuple[Tensor, ...]:
        """The image embedding and the two high-resolution features, from fine to coarse."""

        def encode() -> tuple[Tensor, ...]:
            return tuple(self._network.get_image_embeddings(self.preprocess(frame.image)))

        return frame.memo(self._memo_key, encode)

    def _prompts(self, frame: Frame, targets: Sequence[Target]) -> Iterable[_Prompt]:
        x_scale, y_scale = self._size / frame.width, self._size / frame.height
        for index, target in enumerate(targets):
            box = _inside(target.box, frame)
            if box is None:
                continue
            x0, y0, x1, y1 = box
            labelled = [(*point, 1) for point in target.positive]
            labelled += [(*point, 0) for point in target.negative]
            yield _Prompt(
                index,
                # SAM2 was trained on boxes whose far corner is the last pixel, not one past it.
                (x0 * x_scale, y0 * y_scale, (x1 - 1) * x_scale, (y1 - 1) * y_scale),
                tuple(
                    (x * x_scale, y * y_scale, label)
                    for x, y, label in labelled
                    if 0 <= x < frame.width and 0 <= y < frame.height
                ),
            )

    def _decode(
        self, embedding: tuple[Tensor, ...], prompts: Sequence[_Prompt]
    ) -> tuple[Tensor, Tensor]:
        """Mask logits (N, S/4, S/4) float32 and predicted IoU (N,) of the best candidates."""
        points = torch.tensor([prompt.points for prompt in prompts], device=self._device)
        has_points = points.numel() > 0
        output = self._network(
            image_embeddings=embedding,
            input_boxes=torch.tensor([[prompt.box for prompt in prompts]], device=self._device),
            input_points=points[None, :, :, :2] if has_points else None,
            input_labels=points[None, :, :, 2].int() if has_points else None,
            multimask_output=True,
        )
        scores, best = output.iou_scores[0].float().max(dim=1)
        rows = torch.arange(len(prompts), device=self._device)
        return output.pred_masks[0][rows, best].float(), scores

    def _clip(self, mask: Mask, box: Box) -> None:
        if self._box_margin is None:
            return
        x0, y0, x1, y1 = box
        x_margin, y_margin = self._box_margin * (x1 - x0), self._box_margin * (y1 - y0)
        mask[: max(0, math.floor(y0 - y_margin))] = False
        mask[max(0, math.ceil(y1 + y_margin)) :] = False
        mask[:, : max(0, math.floor(x0 - x_margin))] = False
        mask[:, max(0, math.ceil(x1 + x_margin)) :] = False


def _normalisation(device: torch.device) -> tuple[Tensor, Tensor]:
    """Scale and shift (1, 3, 1, 1) that take pixels in [0, 255] to ImageNet's normalised ones."""
    mean = torch.tensor(IMAGENET_MEAN, device=device).reshape(1, 3, 1, 1)
    std = torch.tensor(IMAGENET_STD, device=device).reshape(1, 3, 1, 1)
    return 1.0 / (255.0 * std), -mean / std


def _batches(prompts: Iterable[_Prompt]) -> Iterable[list[_Prompt]]:
    """Prompts with equally many points together."""
    by_points: defaultdict[int, list[_Prompt]] = defaultdict(list)
    for prompt in prompts:
        by_points[len(prompt.points)].append(prompt)
    return by_points.values()


def _inside(box: Box, frame: Frame) -> Box | None:
    """The part of the box on the picture, None when that is less than a pixel wide or high."""
    if not all(math.isfinite(value) for value in box):
        return None
    x0, y0 = max(0.0, box[0]), max(0.0, box[1])
    x1, y1 = min(float(frame.width), box[2]), min(float(frame.height), box[3])
    return (x0, y0, x1, y1) if x1 - x0 >= 1 and y1 - y0 >= 1 else None


def _upsample(logits: Tensor, height: int, width: int) -> Mask:
    """(h, w) logits → (height, width) bool, bilinear, object where above 0."""
    full = functional.interpolate(logits[None, None], size=(height, width), mode="bilinear")
    mask: Mask = (full[0, 0] > 0).cpu().numpy()
    return mask


def _nothing(frame: Frame) -> Segmented:
    return Segmented(np.zeros((frame.height, frame.width), dtype=bool), 0.0)
