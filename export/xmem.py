"""XMem in parts that export: key, value, readout, decoder and its halves, batched over objects.

Each part is a few of `nets.xmem.XMem`'s calls behind static shapes. What the loop keeps (key,
sensory memory, value, probabilities) is float32 in every precision; what only passes from
part to part (f16 and the decoder's features) is in the precision of the export.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from streamseg.export.part import Part
from streamseg.nets.attention import address, probe
from streamseg.nets.xmem import STRIDE, KeyFeatures, XMem

Kind = Literal["key", "value", "value_deep", "read", "decode", "fuse", "window"]
BATCHED: tuple[Kind, ...] = ("value", "value_deep", "read", "decode")
"""Those that are batched over objects."""
WINDOWED: tuple[Kind, ...] = ("fuse", "window")
"""Likewise, for decoding in windows; `window` is batched over windows."""
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
        window: Height and width of the windows that objects are refined in, in cells of
            16 × 16 pixels; none: they are not. Cut to a smaller picture.
    """

    height: int = 480
    width: int = 864
    objects: tuple[int, ...] = (1, 2, 4, 8, 16)
    capacity: int = 4096
    top_k: int = 30
    window: tuple[int, int] | None = (16, 16)

    def __post_init__(self) -> None:
        if self.height % STRIDE or self.width % STRIDE or min(self.height, self.width) < STRIDE:
            raise ValueError(
                f"expected multiples of {STRIDE}, got a height and width of "
                f"{self.height} and {self.width}"
            )


def parts(network: XMem, shapes: XMemShapes) -> list[Part]:
    """Every part of `network` at these shapes; example inputs are seeded, and plausible."""
    maker = XMemParts(network, shapes)
    return [maker.make(kind, count) for kind, count in part_keys(shapes)]


def part_keys(shapes: XMemShapes) -> list[tuple[Kind, int | None]]:
    """Kind and count of objects of every part at these shapes."""
    kinds = BATCHED if shapes.window is None else (*BATCHED, *WINDOWED)
    batched = [(kind, count) for count in shapes.objects for kind in kinds]
    return [("key", None), *batched]


def part_name(kind: Kind, objects: int | None = None) -> str:
    """The name of a part."""
    return f"xmem_{kind}" if objects is None else f"xmem_{kind}_n{objects}"


# ── the modules ──────────────────────────────────────────────────────────────────────────────


class KeyEncoder(nn.Module):
    """Picture (1, 3, H, W) to the fields of `KeyFeatures`, in order.

    Shrinkage is 1 and a little: that little is not rounded away with the 1.
    """

    def __init__(self, network: XMem) -> None:
        super().__init__()
        self.key_encoder, self.key_proj = network.key_encoder, network.key_proj
        self.decoder = network.decoder

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        f4, f8, f16 = self.key_encoder(image.to(self.key_proj.key_proj.weight.dtype))
        shrinkage = self.key_proj.d_proj(f16).float().square() + 1
        selection = torch.sigmoid(self.key_proj.e_proj(f16).float())
        key = self.key_proj.key_proj(f16).float()
        return (key, shrinkage, selection, f16, *self.decoder.shared(f4, f8, f16))


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


class Fusion(nn.Module):
    """fused16, readout and sensory to what is refined, (n, decoder_dim, h, w)."""

    def __init__(self, network: XMem) -> None:
        super().__init__()
        self.decoder = network.decoder

    def forward(self, fused16: Tensor, readout: Tensor, sensory: Tensor) -> Tensor:
        dtype = fused16.dtype
        fused: Tensor = self.decoder.fuse(fused16, readout.to(dtype), sensory.to(dtype))
        return fused


class Refinement(nn.Module):
    """Windows of skip8, skip4, fused and sensory to probabilities (n, H, W) and sensory."""

    def __init__(self, network: XMem) -> None:
        super().__init__()
        self.decoder = network.decoder

    def forward(
        self, skip8: Tensor, skip4: Tensor, fused: Tensor, sensory: Tensor
    ) -> tuple[Tensor, Tensor]:
        own = sensory.to(fused.dtype)
        logits, updated = self.decoder.refine(skip8, skip4, fused, own, update=True)
        return torch.sigmoid(logits.float()), updated.float()


# ── the parts ────────────────────────────────────────────────────────────────────────────────


class XMemParts:
    """Makes parts one by one, with inputs to compare on: discs on a picture with edges.

    Args:
        network: In any precision; its modules are wrapped, not copied.
        shapes: Static shapes; `objects` is not looked at.
    """

    def __init__(self, network: XMem, shapes: XMemShapes) -> None:
        self._network = network
        self._shapes = shapes
        self._grid = (shapes.height // STRIDE, shapes.width // STRIDE)

    def make(self, kind: Kind, count: int | None = None) -> Part:
        """One part; `count` objects unless it is the key encoder."""
        if count is None:
            module = KeyEncoder(self._network).eval()
            return Part(part_name(kind), module, {"image": self._image}, FEATURES, _LOOP)
        makers = {
            "value": self._value,
            "value_deep": self._value_deep,
            "read": self._read,
            "decode": self._decode,
            "fuse": self._fuse,
            "window": self._window,
        }
        return makers[kind](count)

    def _value(self, count: int) -> Part:
        module = ValueEncoder(self._network, deep=False).eval()
        inputs = self._value_inputs(count)
        return Part(part_name("value", count), module, inputs, ("value",), _LOOP)

    def _value_deep(self, count: int) -> Part:
        module = ValueEncoder(self._network, deep=True).eval()
        inputs = {**self._value_inputs(count), "sensory": self._sensory(count)}
        name = part_name("value_deep", count)
        return Part(name, module, inputs, ("value", "new_sensory"), _LOOP)

    def _read(self, count: int) -> Part:
        capacity, dim = self._shapes.capacity, self._network.value_dim
        inputs = {
            "addresses": self._addresses(),
            "values": self._noise(count, capacity, dim).to(self._features.f16.dtype),
            "count": torch.tensor([max(1, capacity * 7 // 8)]),
            "key": self._features.key,
            "selection": self._features.selection,
        }
        module = Readout(self._shapes.top_k).eval()
        outputs, options = ("readout", "usage"), {"top_k": self._shapes.top_k}
        return Part(part_name("read", count), module, inputs, outputs, _LOOP, options)

    def _decode(self, count: int) -> Part:
        inputs = {
            "fused16": self._features.fused16,
            "skip8": self._features.skip8,
            "skip4": self._features.skip4,
            "readout": self._noise(count, self._network.value_dim, *self._grid),
            "sensory": self._sensory(count),
        }
        module = Decoder(self._network).eval()
        outputs = ("probabilities", "new_sensory")
        return Part(part_name("decode", count), module, inputs, outputs, _LOOP)

    def _fuse(self, count: int) -> Part:
        module = Fusion(self._network).eval()
        return Part(part_name("fuse", count), module, self._fuse_inputs(count), ("fused",), _LOOP)

    def _window(self, count: int) -> Part:
        """One window an object, all over the picture's first cells."""
        assert self._shapes.window is not None
        high, wide = (min(*pair) for pair in zip(self._shapes.window, self._grid, strict=True))
        given = self._fuse_inputs(count)
        with torch.no_grad():
            device = self._network.device
            fused = Fusion(self._network)(*(tensor.to(device) for tensor in given.values()))
        inputs = {
            "skip8": self._features.skip8[..., : 2 * high, : 2 * wide].expand(count, -1, -1, -1),
            "skip4": self._features.skip4[..., : 4 * high, : 4 * wide].expand(count, -1, -1, -1),
            "fused": fused.cpu()[..., :high, :wide],
            "sensory": given["sensory"][..., :high, :wide],
        }
        inputs = {name: tensor.contiguous() for name, tensor in inputs.items()}
        module = Refinement(self._network).eval()
        outputs = ("probabilities", "new_sensory")
        return Part(part_name("window", count), module, inputs, outputs, _LOOP)

    # ── inputs ───────────────────────────────────────────────────────────────────────────────

    @cached_property
    def _image(self) -> Tensor:
        """(1, 3, H, W): flat areas with edges between them, and some grain."""
        random = torch.Generator().manual_seed(0)
        coarse = torch.randn((1, 3, 8, 8), generator=random)
        size = (self._shapes.height, self._shapes.width)
        fine = torch.randn((1, 3, *size), generator=random) * 0.1
        return F.interpolate(coarse, size) + fine

    @cached_property
    def _features(self) -> KeyFeatures:
        with torch.no_grad():  # not in inference mode: such tensors cannot be exported
            features = KeyEncoder(self._network)(self._image.to(self._network.device))
        return KeyFeatures(*(tensor.cpu() for tensor in features))

    def _fuse_inputs(self, count: int) -> dict[str, Tensor]:
        return {
            "fused16": self._features.fused16,
            "readout": self._noise(count, self._network.value_dim, *self._grid),
            "sensory": self._sensory(count),
        }

    def _value_inputs(self, count: int) -> dict[str, Tensor]:
        masks = self._masks(count)
        others = masks.sum(0, keepdim=True) - masks
        return {"image": self._image, "f16": self._features.f16, "masks": masks, "others": others}

    def _masks(self, count: int) -> Tensor:
        """(n, H, W) soft discs side by side."""
        y = torch.linspace(-1, 1, self._shapes.height)[:, None]
        x = torch.linspace(-1, 1, self._shapes.width)[None]
        centres = torch.linspace(-0.9, 0.9, count + 2)[1:-1]
        return torch.stack([torch.sigmoid(40 * (0.3 - torch.hypot(x - c, y))) for c in centres])

    def _sensory(self, count: int) -> Tensor:
        return self._noise(count, self._network.hidden_dim, *self._grid)

    def _addresses(self) -> Tensor:
        """(N, 2C + 1): the picture's own keys over and over, each a little off."""
        rows = torch.arange(self._shapes.capacity) % (self._grid[0] * self._grid[1])
        key = self._features.key[0].flatten(1).T[rows]
        key = key + 0.1 * self._noise(*key.shape)
        return address(key, self._features.shrinkage[0].flatten(1).T[rows]).contiguous()

    def _noise(self, *shape: int) -> Tensor:
        random = torch.Generator().manual_seed(len(shape))
        return torch.randn(shape, generator=random) * 0.3
