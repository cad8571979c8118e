"""SAM2 cuts targets from one frame: box and points to masks. Knows no tracks and no time."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from streamseg import weights
from streamseg.config import Sam2Config
from streamseg.errors import MissingDependencyError
from streamseg.types import Box, Frame, Mask, Segmented, Target

try:
    import torch
except ImportError:
    raise MissingDependencyError("torch", "neural") from None

from torch import Tensor
from torch.nn import functional as F

from streamseg.engines.torch import ABSENT, BOX_END, BOX_START, NEGATIVE, NO_POINT, POSITIVE
from streamseg.eye import Encoder, Eye, Features, sight_of


class Network(Encoder, Protocol):
    """What is called of `streamseg.nets.sam2_image.Sam2Image`; see there for shapes."""

    def answer(
        self, features: Features, points: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True, slots=True)
class _Prompt:
    """One target in the network's pixels: `points` are x, y, label."""

    index: int
    points: tuple[tuple[float, float, int], ...]


class Sam2Segmenter:
    """SAM2's image predictor (SAM 2, section 4).

    A picture is encoded once and its features memoised on the frame. Targets are decoded in one
    batch, those with fewer points filled up with absent ones, which have no influence: a target's
    mask does not depend on its company. May be called from several threads.

    Args:
        network: On its device.
        box_margin: Masks are cut at the target's box grown by this share of its size on each
            side; None leaves them as SAM2 made them.
        sight: Of the network's encoder: see `streamseg.eye.sight_of`.
    """

    def __init__(
        self, network: Network, box_margin: float | None = None, sight: Hashable | None = None
    ) -> None:
        self._network = network
        self._box_margin = box_margin
        self._eye = Eye(network, network.dtype, sight)

    @classmethod
    def from_config(cls, config: Sam2Config) -> Sam2Segmenter:
        """Load the checkpoint that the config names.

        Raises:
            CheckpointError: The weights are missing or of another shape.
            MissingDependencyError: torch or transformers is not installed.
        """
        network = weights.load_sam2_image(config.checkpoint, config.device)
        sight = sight_of(network.image_encoder, config.engine)
        if config.engine.is_plain:
            return cls(network, config.box_margin, sight)
        from streamseg.engines.sam2_image import on_engines

        engines = on_engines(network, config, weights.cache_dir() / "engines")
        return cls(engines, config.box_margin, sight)

    def engines(self) -> dict[str, object]:
        """Which engines run the network; nothing where it runs as it is."""
        summary = getattr(self._network, "summary", None)
        return {} if summary is None else summary()

    def segment(self, frame: Frame, targets: Sequence[Target]) -> list[Segmented]:
        """One mask per target, in order, (H, W) bool at the frame's resolution.

        Of SAM2's three candidates the one with the best predicted IoU is taken, and that IoU
        is the score. A target whose box lies off the picture gets an empty mask and score 0.

        Raises:
            EngineError: Nothing that the config allows runs the network.
        """
        results = [_nothing(frame) for _ in targets]
        prompts = list(self._prompts(frame, targets))
        if not prompts:
            return results
        with torch.inference_mode():
            logits, scores = self._decode(self._eye.look(frame), prompts)
            for prompt, low, score in zip(prompts, logits, scores.tolist(), strict=True):
                mask = _upsample(low, frame.height, frame.width)
                self._clip(mask, targets[prompt.index].box)
                if mask.any():
                    results[prompt.index] = Segmented(mask, min(max(score, 0.0), 1.0))
        return results

    def _prompts(self, frame: Frame, targets: Sequence[Target]) -> Iterator[_Prompt]:
        x_scale, y_scale = self._network.size / frame.width, self._network.size / frame.height
        for index, target in enumerate(targets):
            box = _inside(target.box, frame)
            if box is None:
                continue
            x0, y0, x1, y1 = box
            # SAM2 was trained on boxes whose far corner is the last pixel, not one past it.
            points = [(x0, y0, BOX_START), (x1 - 1, y1 - 1, BOX_END), (0.0, 0.0, NO_POINT)]
            labelled = [(*point, POSITIVE) for point in target.positive]
            labelled += [(*point, NEGATIVE) for point in target.negative]
            points += [
                (x, y, label)
                for x, y, label in labelled
                if 0 <= x < frame.width and 0 <= y < frame.height
            ]
            yield _Prompt(index, tuple((x * x_scale, y * y_scale, label) for x, y, label in points))

    def _decode(self, features: Features, prompts: Sequence[_Prompt]) -> tuple[Tensor, Tensor]:
        """Mask logits (n, S/4, S/4) float32 and predicted IoU (n,) of the best candidates."""
        most = max(len(prompt.points) for prompt in prompts)
        gap = (0.0, 0.0, ABSENT)
        table = torch.tensor(
            [[*prompt.points, *[gap] * (most - len(prompt.points))] for prompt in prompts],
            device=self._network.device,
        )
        logits, iou = self._network.answer(features, table[..., :2], table[..., 2].long())
        scores, best = iou.max(1)
        rows = torch.arange(len(prompts), device=logits.device)
        return logits[rows, best], scores

    def _clip(self, mask: Mask, box: Box) -> None:
        if self._box_margin is None:
            return
        x0, y0, x1, y1 = box
        x_margin, y_margin = self._box_margin * (x1 - x0), self._box_margin * (y1 - y0)
        mask[: max(0, math.floor(y0 - y_margin))] = False
        mask[max(0, math.ceil(y1 + y_margin)) :] = False
        mask[:, : max(0, math.floor(x0 - x_margin))] = False
        mask[:, max(0, math.ceil(x1 + x_margin)) :] = False


def _inside(box: Box, frame: Frame) -> Box | None:
    """The part of the box on the picture, None when that is less than a pixel wide or high."""
    if not all(math.isfinite(value) for value in box):
        return None
    x0, y0 = max(0.0, box[0]), max(0.0, box[1])
    x1, y1 = min(float(frame.width), box[2]), min(float(frame.height), box[3])
    return (x0, y0, x1, y1) if x1 - x0 >= 1 and y1 - y0 >= 1 else None


def _upsample(logits: Tensor, height: int, width: int) -> Mask:
    """(h, w) logits → (height, width) bool, bilinear, object where above 0."""
    full = F.interpolate(logits[None, None], size=(height, width), mode="bilinear")
    mask: Mask = (full[0, 0] > 0).cpu().numpy()
    return mask


def _nothing(frame: Frame) -> Segmented:
    return Segmented(np.zeros((frame.height, frame.width), dtype=bool), 0.0)
