"""XMem's network (Cheng and Schwing, ECCV 2022) in four separate parts: no memory, no loop.

    encode_key     picture                          → what depends on the picture alone
    (memory)       key, selection                   → readout       propagation/xmem/memory.py
    decode         features, readout, sensory       → probabilities, sensory
      fuse           features, readout, sensory     → fused
      refine         skips, fused, sensory          → probabilities, sensory
    encode_value   picture, masks, sensory          → value, sensory

`refine` is made of local operations alone, so it also runs on windows cut out of its inputs
(`propagation/xmem/windows.py`); `fuse` pools over the whole picture. Each part is batched over the
objects and takes and returns plain tensors, so that each can be compiled or exported alone.
The state dict is the public checkpoints' (412 entries).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from streamseg.errors import CheckpointError
from streamseg.nets.fusion import Fuser, HiddenReinforce, HiddenUpdate, Upsample
from streamseg.nets.resnet import BasicBlock, Bottleneck, randomise, stage

STRIDE = 16
"""Height and width of a picture must be multiples of this."""


class KeyFeatures(NamedTuple):
    """What one picture (1, 3, H, W) gives without knowing any object; h = H / 16, w = W / 16.

    Attributes:
        key: (1, key_dim, h, w), where to look in the memory.
        shrinkage: (1, 1, h, w), at least 1: how far this element's attention is confined.
        selection: (1, key_dim, h, w) in (0, 1): which channels matter to this query.
        f16: (1, 16 * width, h, w), for the value encoder.
        fused16: (1, 2 * decoder_dim, h, w), the picture's half of the decoder's fusion.
        skip8: (1, decoder_dim, 2h, 2w), skip connection at stride 8.
        skip4: (1, up_dim, 4h, 4w), skip connection at stride 4.
    """

    key: Tensor
    shrinkage: Tensor
    selection: Tensor
    f16: Tensor
    fused16: Tensor
    skip8: Tensor
    skip4: Tensor


class XMem(nn.Module):
    """The network, parametric in width and depth.

    Args:
        key_dim: Channels of a key (C^k).
        value_dim: Channels of a value (C^v).
        hidden_dim: Channels of the sensory memory (C^h).
        width: First width of the key encoder; it ends at 16 × width.
        key_blocks: Bottlenecks in the key encoder's three stages (3, 4, 6: ResNet-50).
        value_width: First width of the value encoder; it ends at 4 × value_width.
        value_blocks: Basic blocks in the value encoder's three stages (2, 2, 2: ResNet-18).
        decoder_dim: Channels of the decoder at stride 16.
        up_dim: Channels of the decoder at strides 8 and 4.
    """

    def __init__(
        self,
        key_dim: int = 64,
        value_dim: int = 512,
        hidden_dim: int = 64,
        *,
        width: int = 64,
        key_blocks: Sequence[int] = (3, 4, 6),
        value_width: int = 64,
        value_blocks: Sequence[int] = (2, 2, 2),
        decoder_dim: int = 512,
        up_dim: int = 256,
    ) -> None:
        super().__init__()
        self.key_dim = key_dim
        self.value_dim = value_dim
        self.hidden_dim = hidden_dim
        f16_dim = 16 * width
        self.key_encoder = _KeyEncoder(width, key_blocks)
        self.key_proj = _KeyProjection(f16_dim, key_dim)
        self.value_encoder = _ValueEncoder(
            f16_dim, value_dim, hidden_dim, value_width, value_blocks
        )
        self.decoder = _Decoder(width, value_dim, hidden_dim, decoder_dim, up_dim)

    @property
    def device(self) -> torch.device:
        return self.decoder.pred.weight.device

    def encode_key(self, image: Tensor) -> KeyFeatures:
        """Encode a picture: (1, 3, H, W) float32, ImageNet-normalised, H and W multiples of 16."""
        f4, f8, f16 = self.key_encoder(image)
        key, shrinkage, selection = self.key_proj(f16)
        return KeyFeatures(key, shrinkage, selection, f16, *self.decoder.shared(f4, f8, f16))

    def encode_value(
        self, image: Tensor, f16: Tensor, masks: Tensor, sensory: Tensor, *, deep: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Encode n objects on a memory frame.

        Args:
            image: (1, 3, H, W).
            f16: `KeyFeatures.f16` of the same picture.
            masks: (n, H, W) float in [0, 1]: the objects' probabilities.
            sensory: (n, hidden_dim, h, w).
            deep: Also update the sensory memory from the value.

        Returns:
            value (n, value_dim, h, w) and sensory as given or updated.
        """
        value = self.value_encoder(image, f16, masks)
        if deep:
            sensory = self.value_encoder.hidden_reinforce(value, sensory)
        return value, sensory

    def decode(
        self, features: KeyFeatures, readout: Tensor, sensory: Tensor, *, update: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Decode n objects, each by itself.

        Args:
            features: Of the picture.
            readout: (n, value_dim, h, w), what the memory says.
            sensory: (n, hidden_dim, h, w).
            update: Also advance the sensory memory.

        Returns:
            probabilities (n, H, W) before they are weighed against each other (`aggregate`),
            and sensory as given or updated.
        """
        logits, updated = self.decoder(features, readout, sensory, update=update)
        return torch.sigmoid(logits), updated

    def fuse(self, features: KeyFeatures, readout: Tensor, sensory: Tensor) -> Tensor:
        """The first half of `decode`, at stride 16: (n, decoder_dim, h, w)."""
        fused: Tensor = self.decoder.fuse(features.fused16, readout, sensory)
        return fused

    def refine(
        self, skip8: Tensor, skip4: Tensor, fused: Tensor, sensory: Tensor, *, update: bool = True
    ) -> tuple[Tensor, Tensor]:
        """The second half of `decode`, on whole pictures or on windows of h × w cells of 16 pixels.

        Where a window's edge is not the picture's, what comes out differs from the whole
        picture's there: probabilities up to 3 cells (42 pixels) from it, sensory up to 4.

        Args:
            skip8: (1 or n, decoder_dim, 2h, 2w) of `KeyFeatures.skip8`.
            skip4: (1 or n, up_dim, 4h, 4w) of `KeyFeatures.skip4`.
            fused: (n, decoder_dim, h, w) of `fuse`.
            sensory: (n, hidden_dim, h, w).
            update: Also advance the sensory memory.

        Returns:
            probabilities (n, 16h, 16w) and sensory as given or updated.
        """
        logits, updated = self.decoder.refine(skip8, skip4, fused, sensory, update=update)
        return torch.sigmoid(logits), updated

    @staticmethod
    def aggregate(probabilities: Tensor) -> Tensor:
        """Weigh objects against each other: (n, H, W) to (n + 1, H, W), background first.

        Soft aggregation (Oh et al., ICCV 2019): a softmax over log-odds, where the
        background's probability is that of no object.
        """
        background = torch.prod(1 - probabilities, 0, keepdim=True)
        clamped = torch.cat((background, probabilities), 0).clamp(1e-7, 1 - 1e-7)
        return torch.softmax(torch.log(clamped / (1 - clamped)), 0)

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> XMem:
        """Build the network that a state dict describes, in float32, ready for inference.

        A network trained for single objects sees no others' masks: it is given a fifth input
        that weighs nothing, as the original does for evaluation.

        Raises:
            CheckpointError: Entries are missing, unexpected or misshapen; names each.
        """
        state = _for_many_objects(state)
        with torch.device("meta"):
            expected = cls(**_dimensions(state)).state_dict()
        problems = list(_differences(expected, state))
        if problems:
            raise CheckpointError(
                f"expected an XMem state dict of {len(expected)} entries, found "
                f"{len(problems)} that differ: {'; '.join(problems)}; give an unchanged XMem.pth"
            )
        network = cls(**_dimensions(state))
        network.load_state_dict(state)
        return network.eval().requires_grad_(False)


class _KeyEncoder(nn.Module):
    """ResNet with bottlenecks, cut at stride 16."""

    def __init__(self, width: int, blocks: Sequence[int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.res2 = stage(Bottleneck, width, width, blocks[0], 1)
        self.layer2 = stage(Bottleneck, 4 * width, 2 * width, blocks[1], 2)
        self.layer3 = stage(Bottleneck, 8 * width, 4 * width, blocks[2], 2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features at strides 4, 8 and 16."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(image))), 3, 2, padding=1)
        f4 = self.res2(x)
        f8 = self.layer2(f4)
        return f4, f8, self.layer3(f8)


class _KeyProjection(nn.Module):
    """Key, shrinkage and selection (section 3.3)."""

    def __init__(self, in_dim: int, key_dim: int) -> None:
        super().__init__()
        self.key_proj = nn.Conv2d(in_dim, key_dim, 3, padding=1)
        self.d_proj = nn.Conv2d(in_dim, 1, 3, padding=1)
        self.e_proj = nn.Conv2d(in_dim, key_dim, 3, padding=1)

    def forward(self, f16: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        shrinkage = self.d_proj(f16).square() + 1
        return self.key_proj(f16), shrinkage, torch.sigmoid(self.e_proj(f16))


class _ValueEncoder(nn.Module):
    """ResNet over picture, own mask and all others' masks, fused with the key encoder's f16."""

    def __init__(
        self, f16_dim: int, value_dim: int, hidden_dim: int, width: int, blocks: Sequence[int]
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(5, width, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = stage(BasicBlock, width, width, blocks[0], 1)
        self.layer2 = stage(BasicBlock, width, 2 * width, blocks[1], 2)
        self.layer3 = stage(BasicBlock, 2 * width, 4 * width, blocks[2], 2)
        self.fuser = Fuser(f16_dim, 4 * width, value_dim)
        self.hidden_reinforce = HiddenReinforce(value_dim, hidden_dim)

    def forward(
        self, image: Tensor, f16: Tensor, masks: Tensor, others: Tensor | None = None
    ) -> Tensor:
        if others is None:
            others = masks.sum(0, keepdim=True) - masks
        picture = image.expand(masks.shape[0], -1, -1, -1)
        g = torch.cat((picture, masks[:, None], others[:, None]), 1)
        g = F.relu(F.max_pool2d(self.bn1(self.conv1(g)), 3, 2, padding=1))
        g = self.layer3(self.layer2(self.layer1(g)))
        value: Tensor = self.fuser(self.fuser.shared(f16), g)
        return value


class _Decoder(nn.Module):
    """From readout and sensory memory up to the mask, and the sensory update on the way."""

    def __init__(
        self, width: int, value_dim: int, hidden_dim: int, decoder_dim: int, up_dim: int
    ) -> None:
        super().__init__()
        self.fuser = Fuser(16 * width, value_dim + hidden_dim, decoder_dim)
        self.hidden_update = HiddenUpdate(decoder_dim, up_dim, hidden_dim)
        self.up_16_8 = Upsample(8 * width, decoder_dim, up_dim)
        self.up_8_4 = Upsample(4 * width, up_dim, up_dim)
        self.pred = nn.Conv2d(up_dim, 1, 3, padding=1)

    def shared(self, f4: Tensor, f8: Tensor, f16: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The decoder's work on the picture alone: `KeyFeatures.fused16`, skip8 and skip4."""
        return self.fuser.shared(f16), self.up_16_8.skip_conv(f8), self.up_8_4.skip_conv(f4)

    def forward(
        self, features: KeyFeatures, readout: Tensor, sensory: Tensor, *, update: bool
    ) -> tuple[Tensor, Tensor]:
        """Logits (n, H, W) and sensory; see `XMem.decode`."""
        g16 = self.fuse(features.fused16, readout, sensory)
        return self.refine(features.skip8, features.skip4, g16, sensory, update=update)

    def fuse(self, fused16: Tensor, readout: Tensor, sensory: Tensor) -> Tensor:
        """See `XMem.fuse`."""
        fused: Tensor = self.fuser(fused16, torch.cat((readout, sensory), 1))
        return fused

    def refine(
        self, skip8: Tensor, skip4: Tensor, g16: Tensor, sensory: Tensor, *, update: bool
    ) -> tuple[Tensor, Tensor]:
        """Logits (n, 16h, 16w) and sensory; see `XMem.refine`."""
        g8 = self.up_16_8(skip8, g16)
        g4 = self.up_8_4(skip4, g8)
        logits = self.pred(F.relu(g4))
        if update:
            sensory = self.hidden_update(g16, g8, g4, logits, sensory)
        full = F.interpolate(logits, scale_factor=4.0, mode="bilinear", align_corners=False)
        return full[:, 0], sensory


def selftest_xmem(seed: int = 0) -> XMem:
    """A small network with seeded random weights: the whole path, masks that mean nothing."""
    network = XMem(
        key_dim=16,
        value_dim=32,
        hidden_dim=16,
        width=8,
        key_blocks=(1, 1, 1),
        value_width=8,
        value_blocks=(1, 1, 1),
        decoder_dim=32,
        up_dim=16,
    )
    randomise(network, seed, gain=lambda name: 12.0 if name == "decoder.pred.weight" else 1.0)
    return network.eval().requires_grad_(False)


class _Width(NamedTuple):
    """Where in a state dict each of the constructor's widths stands: entry, axis, divisor."""

    entry: str
    axis: int
    divisor: int
    default: int


_WIDTHS = {
    "key_dim": _Width("key_proj.key_proj.weight", 0, 1, 64),
    "value_dim": _Width("value_encoder.fuser.block2.conv2.weight", 0, 1, 512),
    "hidden_dim": _Width("decoder.hidden_update.transform.weight", 0, 3, 64),
    "width": _Width("key_encoder.conv1.weight", 0, 1, 64),
    "value_width": _Width("value_encoder.conv1.weight", 0, 1, 64),
    "decoder_dim": _Width("decoder.fuser.block2.conv2.weight", 0, 1, 512),
    "up_dim": _Width("decoder.pred.weight", 1, 1, 256),
}
_KEY_STAGES = (("res2", 3), ("layer2", 4), ("layer3", 6))
_VALUE_STAGES = (("layer1", 2), ("layer2", 2), ("layer3", 2))


def _dimensions(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The constructor's arguments, read off the shapes; the paper's where an entry is missing."""
    found: dict[str, Any] = {}
    for name, (entry, axis, divisor, default) in _WIDTHS.items():
        shape = state[entry].shape if entry in state else ()
        found[name] = max(1, shape[axis] // divisor) if len(shape) > axis else default
    found["key_blocks"] = _depths(state, "key_encoder", _KEY_STAGES)
    found["value_blocks"] = _depths(state, "value_encoder", _VALUE_STAGES)
    return found


def _depths(
    state: Mapping[str, Tensor], encoder: str, stages: Sequence[tuple[str, int]]
) -> tuple[int, ...]:
    """How many blocks each stage of an encoder has."""
    pattern = re.compile(rf"{encoder}\.(\w+)\.(\d+)\.")
    blocks = {match.groups() for name in state if (match := pattern.match(name))}
    counts = {stage_name: 0 for stage_name, _ in stages}
    for stage_name, _ in blocks:
        counts[stage_name] = counts.get(stage_name, 0) + 1
    return tuple(counts[name] or default for name, default in stages)


def _for_many_objects(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The state with an input for others' masks in the value encoder's first convolution."""
    entry = "value_encoder.conv1.weight"
    weight = state.get(entry)
    if weight is None or weight.dim() != 4 or weight.shape[1] != 4:
        return state
    return {**state, entry: F.pad(weight, (0, 0, 0, 0, 0, 1))}


def _differences(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Iterator[str]:
    for name, tensor in expected.items():
        if name not in state:
            yield f"{name} is missing"
        elif state[name].shape != tensor.shape:
            yield f"{name} has shape {list(state[name].shape)}, expected {list(tensor.shape)}"
    for name in state:
        if name not in expected:
            yield f"{name} is not expected"
