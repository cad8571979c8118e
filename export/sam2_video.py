"""SAM2 for video in parts that export: what a propagator calls, by objects and by memory's fill.

Memory attention costs what its bank holds, so there is one part for each of a few lengths of the
bank; within a length, empty slots are masked. What the loop holds (picture, masks, scores,
pointers) is float32 in every precision; features and memories are in that of the export.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from streamseg.export.part import Part
from streamseg.export.sam2_image import encoder_part, example_picture, run_features
from streamseg.nets.sam2_video import Sam2Video

Kind = Literal["encoder", "seed", "attention", "track", "memory"]
_EXACT = frozenset(("image", "masks", "logits", "iou", "presence", "pointers", "pointer"))


@dataclass(frozen=True, slots=True)
class Sam2VideoShapes:
    """What is static in an exported SAM2 for video, besides the network's own picture size.

    Attributes:
        objects: Buckets: one of each part for each count. Seeds go in one by one.
        frames: Lengths of the bank: one memory attention for each; the longest must be the
            network's own (7), which is what runs once a stream is under way.
        rows: See `nets.sam2_memory.MemoryAttention`.
    """

    objects: tuple[int, ...] = (1, 2, 4, 8, 16)
    frames: tuple[int, ...] = (1, 2, 4, 7)
    rows: int = 512


def part_keys(network: Sam2Video, shapes: Sam2VideoShapes) -> list[tuple[Kind, int, int]]:
    """Kind, objects and frames of every part at these shapes.

    Raises:
        ValueError: The longest bank is not the network's.
    """
    if max(shapes.frames) != network.memory_frames:
        raise ValueError(
            f"expected banks of up to {network.memory_frames} frames, got {shapes.frames}"
        )
    keys: list[tuple[Kind, int, int]] = [("encoder", 1, 0), ("seed", 1, 0)]
    for count in shapes.objects:
        keys += [("attention", count, frames) for frames in shapes.frames]
        keys += [("track", count, 0), ("memory", count, 0)]
    return keys


def parts(network: Sam2Video, shapes: Sam2VideoShapes) -> list[Part]:
    """Every part of `network` at these shapes; see `part_keys`."""
    maker = Sam2VideoParts(network, shapes.rows)
    return [maker.make(*key) for key in part_keys(network, shapes)]


def part_name(kind: Kind, objects: int = 1, frames: int = 0) -> str:
    """The name of a part: such as sam2_video_attention_n2_f7."""
    if kind in {"encoder", "seed"}:
        return f"sam2_video_{kind}"
    return f"sam2_video_{kind}_n{objects}" + (f"_f{frames}" if frames else "")


class Sam2VideoParts:
    """Makes parts one by one, with inputs to compare on: discs on a picture, their memories.

    Args:
        network: In any precision; its modules are wrapped, not copied.
        rows: See `nets.sam2_memory.MemoryAttention`.
    """

    def __init__(self, network: Sam2Video, rows: int) -> None:
        network.memory_attention.compare(rows)
        self._network = network
        self._options = {"query_rows": rows}

    def make(self, kind: Kind, count: int = 1, frames: int = 0) -> Part:
        """One part, for `count` objects and, if it is the attention, a bank of `frames`."""
        makers: dict[Kind, Callable[[], Part]] = {
            "encoder": self._encoder,
            "seed": self._seed,
            "attention": lambda: self._attention(count, frames),
            "track": lambda: self._track(count),
            "memory": lambda: self._memory(count),
        }
        return makers[kind]()

    def _encoder(self) -> Part:
        part: Part = encoder_part(
            part_name("encoder"), self._network.image_encoder, self._network.size
        )
        return part

    def _seed(self) -> Part:
        masks = (self._discs(1, self._network.size) > 0).float()
        inputs = {"embedding": self._features["embedding"], "masks": masks}
        outputs = ("memory", "pointer")
        return Part(part_name("seed"), self._network.seed_encoder, inputs, outputs, _EXACT)

    def _attention(self, count: int, frames: int) -> Part:
        """With a slot of the first object empty where it has a few: masking is compared too."""
        network = self._network
        ages = torch.arange(frames).repeat(count, 1)
        since = torch.arange(network.pointers).repeat(count, 1)
        since[:, 0] = 40
        if frames > 2:
            ages[0, -1] = -1
        since[0, -3:] = -1
        inputs = {
            "embedding": self._features["embedding"],
            "memory": self._memories(count, frames),
            "ages": ages,
            "pointers": 0.3 * self._noise(count, network.pointers, network.channels),
            "since": since,
        }
        name = part_name("attention", count, frames)
        outputs = ("conditioned",)
        return Part(name, network.memory_attention, inputs, outputs, _EXACT, self._options)

    def _track(self, count: int) -> Part:
        embedding = self._features["embedding"]
        off = 0.3 * embedding.std() * self._noise(count, *embedding.shape[1:])
        inputs = {
            "conditioned": embedding + off.to(embedding.dtype),
            "middle": self._features["middle"],
            "fine": self._features["fine"],
        }
        outputs = ("logits", "iou", "pointer", "presence")
        name = part_name("track", count)
        return Part(name, self._network.track_decoder, inputs, outputs, _EXACT)

    def _memory(self, count: int) -> Part:
        inputs = {
            "embedding": self._features["embedding"],
            "logits": self._discs(count, self._network.size // 4),
            "presence": torch.linspace(1.0, -0.5, count)[:, None],
        }
        name = part_name("memory", count)
        return Part(name, self._network.memory_encoder, inputs, ("memory",), _EXACT)

    # ── inputs ───────────────────────────────────────────────────────────────────────────────

    @cached_property
    def _features(self) -> dict[str, Tensor]:
        image = example_picture(self._network.size).to(self._network.device)
        features: dict[str, Tensor] = run_features(self._network.image_encoder, image)
        return features

    @cached_property
    def _one_memory(self) -> Tensor:
        """(1, h·w, M): of a disc."""
        inputs = (
            self._features["embedding"],
            self._discs(1, self._network.size // 4),
            torch.ones(1, 1),
        )
        device = self._network.device
        with torch.no_grad():  # not in inference mode: such tensors cannot be exported
            memory: Tensor = self._network.memory_encoder(*(t.to(device) for t in inputs))
        return memory.cpu()

    def _memories(self, count: int, frames: int) -> Tensor:
        """(n, F, h·w, M): the memory of a disc over and over, each a little off."""
        one = self._one_memory
        off = 0.2 * one.std() * self._noise(count, frames, *one.shape[1:])
        return one + off.to(one.dtype)

    def _noise(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=torch.Generator().manual_seed(1))

    def _discs(self, count: int, size: int) -> Tensor:
        """(n, size, size) logits of discs side by side."""
        y = torch.linspace(-1, 1, size)[:, None]
        x = torch.linspace(-1, 1, size)[None]
        centres = torch.linspace(-0.9, 0.9, count + 2)[1:-1]
        return torch.stack([20 * (0.3 - torch.hypot(x - c, y)) for c in centres])
