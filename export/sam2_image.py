"""SAM2's image predictor in parts that export: the image encoder, and prompts to masks.

The encoder serves video as well, so its embedding is the plain one. What callers hold (picture,
prompts, logits, scores) is float32 in every precision; features are in that of the export.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from streamseg.export.part import Part
from streamseg.nets.sam2_decoder import ABSENT, BOX_END, BOX_START, NEGATIVE, NO_POINT, POSITIVE
from streamseg.nets.sam2_video import ImageEncoder, PromptDecoder

if TYPE_CHECKING:
    from transformers import Sam2Model

FEATURES = ("embedding", "middle", "fine")
_EXACT = frozenset(("image", "points", "logits", "iou", "presence"))
_FIXED_POINTS = 3
"""Two corners of a box, and the NO_POINT that ends every prompt."""


@dataclass(frozen=True, slots=True)
class Sam2ImageShapes:
    """What is static in an exported image predictor, besides the network's own picture size.

    Attributes:
        objects: Buckets: one prompt decoder for each count.
        points: Positive and negative points that a prompt has room for beside its box.
    """

    objects: tuple[int, ...] = (1, 2, 4, 8, 16)
    points: int = 5


class Sam2ImageParts:
    """Makes parts one by one; example inputs are seeded, and plausible.

    Args:
        network: In any precision, on the CPU; its layers are wrapped, not copied.
        shapes: Static shapes.
    """

    def __init__(self, network: Sam2Model, shapes: Sam2ImageShapes) -> None:
        self._encoder = ImageEncoder(network).eval()
        self._decoder = PromptDecoder(network).eval()
        self._points = shapes.points
        self._counts = {f"sam2_image_decoder_n{count}": count for count in shapes.objects}

    @property
    def names(self) -> tuple[str, ...]:
        """Of every part."""
        return ("sam2_image_encoder", *self._counts)

    def make(self, name: str) -> Part:
        """The part of that name."""
        if name not in self._counts:
            return encoder_part(name, self._encoder, self._size)
        points, labels = _prompts(self._size, self._points, self._counts[name])
        inputs = {**self._features, "points": points, "labels": labels}
        return Part(name, self._decoder, inputs, ("logits", "iou", "presence"), _EXACT)

    @property
    def _size(self) -> int:
        return self._decoder.prompts.size

    @cached_property
    def _features(self) -> dict[str, Tensor]:
        return run_features(self._encoder, example_picture(self._size))


def parts(network: Sam2Model, shapes: Sam2ImageShapes) -> list[Part]:
    """Every part of `network` at these shapes."""
    maker = Sam2ImageParts(network, shapes)
    return [maker.make(name) for name in maker.names]


def encoder_part(name: str, encoder: ImageEncoder, size: int) -> Part:
    """The image encoder on `example_picture`."""
    return Part(name, encoder, {"image": example_picture(size)}, FEATURES, _EXACT)


def example_picture(size: int) -> Tensor:
    """(1, 3, size, size): flat areas with edges between them, and some grain."""
    random = torch.Generator().manual_seed(0)
    coarse = torch.randn((1, 3, 8, 8), generator=random)
    grain = torch.randn((1, 3, size, size), generator=random)
    return F.interpolate(coarse, (size, size)) + 0.1 * grain


def run_features(encoder: ImageEncoder, image: Tensor) -> dict[str, Tensor]:
    """The features of `image`, by name, as example inputs of other parts."""
    with torch.no_grad():  # not in inference mode: such tensors cannot be exported
        return {name: t.cpu() for name, t in zip(FEATURES, encoder(image), strict=True)}


def _prompts(size: int, room: int, count: int) -> tuple[Tensor, Tensor]:
    """Boxes side by side with a point inside, one outside as far as there is room, and gaps."""
    points = torch.zeros(count, room + _FIXED_POINTS, 2)
    labels = torch.full((count, room + _FIXED_POINTS), ABSENT)
    for row in range(count):
        left = size * (row + 0.1) / count
        right = size * (row + 0.9) / count
        known = [
            (left, 0.2 * size, BOX_START),
            (right, 0.8 * size, BOX_END),
            (0.0, 0.0, NO_POINT),
            ((left + right) / 2, 0.5 * size, POSITIVE),
            (left, 0.1 * size, NEGATIVE),
        ][: room + _FIXED_POINTS]
        table = torch.tensor(known)
        points[row, : len(known)], labels[row, : len(known)] = table[:, :2], table[:, 2].long()
    return points, labels
