"""SAM2's image predictor in parts that export: the image encoder, and prompts to masks.

The encoder serves video as well, so its embedding is the plain one. What callers hold (picture,
prompts, logits, scores) is float32 in every precision; features are in that of the export.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from streamseg.export.part import Part
from streamseg.nets.sam2_decoder import (
    ABSENT,
    BOX_END,
    BOX_POINTS,
    BOX_START,
    NEGATIVE,
    NO_POINT,
    POSITIVE,
)
from streamseg.nets.sam2_image import ImageEncoder, Sam2Image

Kind = Literal["encoder", "decoder"]
FEATURES = ("embedding", "middle", "fine")
_EXACT = frozenset(("image", "points", "logits", "iou", "presence"))


@dataclass(frozen=True, slots=True)
class Sam2ImageShapes:
    """What is static in an exported image predictor, besides the network's own picture size.

    Attributes:
        objects: Buckets: one prompt decoder for each count.
        points: Positive and negative points that a prompt has room for beside its box.
    """

    objects: tuple[int, ...] = (1, 2, 4, 8, 16)
    points: int = 8


def part_keys(shapes: Sam2ImageShapes) -> list[tuple[Kind, int, int]]:
    """Kind, objects and points of every part at these shapes."""
    return [("encoder", 1, 0), *(("decoder", count, shapes.points) for count in shapes.objects)]


def part_name(kind: Kind, objects: int = 1, points: int = 0) -> str:
    """The name of a part: such as sam2_image_decoder_n2_p8."""
    return "sam2_image_encoder" if kind == "encoder" else f"sam2_image_{kind}_n{objects}_p{points}"


def parts(network: Sam2Image, shapes: Sam2ImageShapes) -> list[Part]:
    """Every part of `network` at these shapes; see `part_keys`."""
    maker = Sam2ImageParts(network)
    return [maker.make(*key) for key in part_keys(shapes)]


class Sam2ImageParts:
    """Makes parts one by one; example inputs are seeded, and plausible.

    Args:
        network: In any precision; its modules are wrapped, not copied.
    """

    def __init__(self, network: Sam2Image) -> None:
        self._network = network

    def make(self, kind: Kind, count: int = 1, points: int = 0) -> Part:
        """One part; the decoder for `count` prompts of a box and up to `points` points."""
        network, name = self._network, part_name(kind, count, points)
        if kind == "encoder":
            return encoder_part(name, network.image_encoder, network.size)
        places, labels = _prompts(network.size, points, count)
        inputs = {**self._features, "points": places, "labels": labels}
        return Part(name, network.prompt_decoder, inputs, ("logits", "iou", "presence"), _EXACT)

    @cached_property
    def _features(self) -> dict[str, Tensor]:
        image = example_picture(self._network.size).to(self._network.device)
        return run_features(self._network.image_encoder, image)


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
    points = torch.zeros(count, room + BOX_POINTS, 2)
    labels = torch.full((count, room + BOX_POINTS), ABSENT)
    for row in range(count):
        left = size * (row + 0.1) / count
        right = size * (row + 0.9) / count
        known = [
            (left, 0.2 * size, BOX_START),
            (right, 0.8 * size, BOX_END),
            (0.0, 0.0, NO_POINT),
            ((left + right) / 2, 0.5 * size, POSITIVE),
            (left, 0.1 * size, NEGATIVE),
        ][: room + BOX_POINTS]
        table = torch.tensor(known)
        points[row, : len(known)], labels[row, : len(known)] = table[:, :2], table[:, 2].long()
    return points, labels
