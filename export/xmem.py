"""XMem in parts that export: key, value, readout and decoder, batched over objects.

Each part is a few of `nets.xmem.XMem`'s calls behind static shapes. What the loop keeps (key,
sensory memory, value, probabilities) is float32 in every precision; what only passes from
part to part (f16 and the decoder's features) is in the precision of the export.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from streamseg.export.part import Part
from torch import Tensor, nn

from streamseg.nets.attention import address, probe
from streamseg.nets.xmem import STRIDE, KeyFeatures, XMem

FEATURES = KeyFeatures._fields
_LOOP = frozenset(
    {"image", "masks", "others", "key", "shrinkage", "selection", "addresses", "readout"}
    | {"sensory", "new_sensory", "value", "usage", "probabilities"}
)
"""Inputs and outputs that the loop keeps: float32 in every precision."""


@dataclass(frozen=True, slots=True)
class XMemShapes:
    """What is static in an exported XMem.

    Attributes:
        height: Of the padded picture, a multiple of 16.
        width: Likewise.
        objects: Buckets: one value encoder, readout and decoder for each count.
        capacity: Memory elements that the readout has room for.
        top_k: Elements that each query reads.
    """

    height: int = 480
    width: int = 864
    objects: tuple[int, ...] = (1, 2, 4, 8, 16)
    capacity: int = 4096
    top_k: int = 30

    def __post_init__(self) -> None:
        if self.height % STRIDE or self.width % STRIDE or min(self.height, self.width) < STRIDE:
            raise ValueError(
                f"expected multiples of {STRIDE}, got a height and width of "
                f"{self.height} and {self.width}"
            )


def parts(network: XMem, shapes: XMemShapes) -> list[Part]:
    """Every part of `network` at these shapes; example inputs are seeded, and plausible."""
    example = _Example(network, shapes)
    made = [_key_part(network, example)]
    for count in shapes.objects:
        made += [
            _value_part(network, example, count, deep=False),
            _value_part(network, example, count, deep=True),
            _read_part(network, example, count),
            _decode_part(network, example, count),
        ]
    return made


def part_name(kind: str, objects: int | None = None) -> str:
    """The name of a part: kind is key, value, value_deep, read or decode."""
    return f"xmem_{kind}" if objects is None else f"xmem_{kind}_n{objects}"


# ── the modules ──────────────────────────────────────────────────────────────────────────────


class KeyEncoder(nn.Module):
    """Picture (1, 3, H, W) to the fields of `KeyFeatures`, in order."""

    def __init__(self, network: XMem) -> None:
        super().__init__()
        self.key_encoder, self.key_proj = network.key_encoder, network.key_proj
        self.decoder = network.decoder

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        f4, f8, f16 = self.key_encoder(image.to(self.key_proj.key_proj.weight.dtype))
        key, shrinkage, selection = self.key_proj(f16)
        shared = self.decoder.shared(f4, f8, f16)
        return (key.float(), shrinkage.float(), selection.float(), f16, *shared)


class ValueEncoder(nn.Module):
    """Picture, f16, masks and others' masks to the value; `deep`: also sensory in and out.

    The others' masks come in: an engine may see only some of the objects.
    """

    def __init__(self, network: XMem, *, deep: bool) -> None:
        super().__init__()
        self.value_encoder = network.value_encoder
        self.deep = deep

    def forward(
        self,
        image: Tensor,
        f16: Tensor,
        masks: Tensor,
        others: Tensor,
        sensory: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        encoder, dtype = self.value_encoder, f16.dtype
        value = encoder(image.to(dtype), f16, masks.to(dtype), others.to(dtype))
        if not self.deep or sensory is None:
            return (value.float(),)
        updated = encoder.hidden_reinforce(value, sensory.to(dtype))
        return value.float(), updated.float()


class Readout(nn.Module):
    """Reads a pre-allocated memory of which the first `count` elements are filled.

    XMem, section 3.3: anisotropic similarity, a softmax over the best `top_k`, a weighted
    sum of values, and each element's share of the reading as its usage. Similarity is always
    float32: multiplied out, it is a small difference of large numbers.
    """

    def __init__(self, top_k: int) -> None:
        super().__init__()
        self.top_k = top_k

    def forward(
        self, addresses: Tensor, values: Tensor, count: Tensor, key: Tensor, selection: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Read for every place of the query's picture.

        Args:
            addresses: (N, 2C + 1), `nets.attention.address` of every element.
            values: (n, N, C^v).
            count: (1,) int64, between 1 and N.
            key: (1, C, h, w) of the query.
            selection: (1, C, h, w) of the query.

        Returns:
            readout (n, C^v, h, w) and usage (N,).
        """
        height, width = key.shape[-2:]
        probes = probe(key[0].flatten(1).T, selection[0].flatten(1).T)
        empty = torch.arange(addresses.shape[0], device=count.device) >= count
        similarity = (probes @ addresses.T).masked_fill(empty, _EMPTY)
        best, index = similarity.topk(min(self.top_k, addresses.shape[0]), 1)
        weights = torch.zeros_like(similarity).scatter(1, index, best.softmax(1))
        read = (weights.to(values.dtype) @ values).float()
        readout = read.transpose(1, 2).reshape(values.shape[0], -1, height, width)
        return readout, weights.sum(0)


_EMPTY = -1e30
"""Similarity of an element not filled: its weight is exactly 0."""


class Decoder(nn.Module):
    """fused16, skip8, skip4, readout and sensory to probabilities (n, H, W) and sensory."""

    def __init__(self, network: XMem) -> None:
        super().__init__()
        self.decoder = network.decoder

    def forward(
        self, fused16: Tensor, skip8: Tensor, skip4: Tensor, readout: Tensor, sensory: Tensor
    ) -> tuple[Tensor, Tensor]:
        dtype = fused16.dtype
        features = KeyFeatures(fused16, fused16, fused16, fused16, fused16, skip8, skip4)
        logits, updated = self.decoder(features, readout.to(dtype), sensory.to(dtype), update=True)
        return torch.sigmoid(logits.float()), updated.float()


# ── the parts ────────────────────────────────────────────────────────────────────────────────


class _Example:
    """Inputs to compare on: a picture with edges, discs for masks, its own keys in memory."""

    def __init__(self, network: XMem, shapes: XMemShapes) -> None:
        self.shapes = shapes
        self._random = torch.Generator().manual_seed(0)
        self._network = network
        self.image = self._picture()
        with torch.inference_mode():
            features = network.encode_key(self.image.to(network.device))
        # Cloned outside: tensors made in inference mode cannot be exported.
        self.features = KeyFeatures(*(tensor.clone().cpu() for tensor in features))
        self.grid = (shapes.height // STRIDE, shapes.width // STRIDE)

    def masks(self, count: int) -> Tensor:
        """(n, H, W) soft discs side by side."""
        y = torch.linspace(-1, 1, self.shapes.height)[:, None]
        x = torch.linspace(-1, 1, self.shapes.width)[None]
        centres = torch.linspace(-0.9, 0.9, count + 2)[1:-1]
        return torch.stack([torch.sigmoid(40 * (0.3 - torch.hypot(x - c, y))) for c in centres])

    def noise(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._random) * 0.3

    def addresses(self) -> Tensor:
        """(N, 2C + 1): the picture's own keys over and over, each a little off."""
        capacity = self.shapes.capacity
        rows = torch.arange(capacity) % (self.grid[0] * self.grid[1])
        key = self.features.key[0].flatten(1).T[rows]
        key = key + 0.1 * self.noise(*key.shape)
        return address(key, self.features.shrinkage[0].flatten(1).T[rows]).contiguous()

    def _picture(self) -> Tensor:
        coarse = torch.randn((1, 3, 8, 8), generator=self._random)
        size = (self.shapes.height, self.shapes.width)
        fine = torch.randn((1, 3, *size), generator=self._random) * 0.1
        return torch.nn.functional.interpolate(coarse, size) + fine


def _key_part(network: XMem, example: _Example) -> Part:
    return Part(
        part_name("key"), KeyEncoder(network).eval(), {"image": example.image}, FEATURES, _LOOP
    )


def _value_part(network: XMem, example: _Example, count: int, *, deep: bool) -> Part:
    masks = example.masks(count)
    inputs = {
        "image": example.image,
        "f16": example.features.f16,
        "masks": masks,
        "others": masks.sum(0, keepdim=True) - masks,
    }
    module = ValueEncoder(network, deep=deep).eval()
    if not deep:
        return Part(part_name("value", count), module, inputs, ("value",), _LOOP)
    inputs["sensory"] = example.noise(count, network.hidden_dim, *example.grid)
    name = part_name("value_deep", count)
    return Part(name, module, inputs, ("value", "new_sensory"), _LOOP)


def _read_part(network: XMem, example: _Example, count: int) -> Part:
    shapes = example.shapes
    inputs = {
        "addresses": example.addresses(),
        "values": example.noise(count, shapes.capacity, network.value_dim),
        "count": torch.tensor([max(1, shapes.capacity * 7 // 8)]),
        "key": example.features.key,
        "selection": example.features.selection,
    }
    name = part_name("read", count)
    return Part(name, Readout(shapes.top_k).eval(), inputs, ("readout", "usage"), _LOOP)


def _decode_part(network: XMem, example: _Example, count: int) -> Part:
    inputs = {
        "fused16": example.features.fused16,
        "skip8": example.features.skip8,
        "skip4": example.features.skip4,
        "readout": example.noise(count, network.value_dim, *example.grid),
        "sensory": example.noise(count, network.hidden_dim, *example.grid),
    }
    outputs = ("probabilities", "new_sensory")
    return Part(part_name("decode", count), Decoder(network).eval(), inputs, outputs, _LOOP)
