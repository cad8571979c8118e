"""XMem's building blocks: per-object features fused with the picture's, attention, gates.

Wherever the paper concatenates a picture feature (shared by all objects) with an object's,
the convolution over the two is split in two: conv([x, g]) = conv_x(x) + conv_g(g). The
picture's half then costs once a frame instead of once an object, and can be computed with
the key, before any object is known.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ResidualBlock(nn.Module):
    """Pre-activation block without normalisation; `x_dim` leading inputs are the picture's."""

    def __init__(self, in_dim: int, out_dim: int, x_dim: int = 0) -> None:
        super().__init__()
        self.x_dim = x_dim
        self.downsample = nn.Conv2d(in_dim, out_dim, 3, padding=1) if in_dim != out_dim else None
        self.conv1 = nn.Conv2d(in_dim, out_dim, 3, padding=1)
        self.conv2 = nn.Conv2d(out_dim, out_dim, 3, padding=1)

    def forward(self, g: Tensor) -> Tensor:
        """(N, in_dim, H, W) to (N, out_dim, H, W)."""
        shortcut: Tensor = g if self.downsample is None else self.downsample(g)
        out: Tensor = shortcut + self.conv2(F.relu(self.conv1(F.relu(g))))
        return out

    def shared(self, x: Tensor) -> Tensor:
        """The picture's half: (1, x_dim, H, W) to (1, 2 * out_dim, H, W), biases included."""
        assert self.downsample is not None
        inner = _conv_part(self.conv1, F.relu(x), 0, self.x_dim, bias=True)
        outer = _conv_part(self.downsample, x, 0, self.x_dim, bias=True)
        return torch.cat((inner, outer), 1)

    def fuse(self, shared: Tensor, g: Tensor) -> Tensor:
        """The objects' half: `shared` as above and (N, in_dim - x_dim, H, W) to (N, out_dim, …)."""
        assert self.downsample is not None
        inner, outer = shared.chunk(2, 1)
        end = self.conv1.in_channels
        hidden = inner + _conv_part(self.conv1, F.relu(g), self.x_dim, end, bias=False)
        shortcut = outer + _conv_part(self.downsample, g, self.x_dim, end, bias=False)
        fused: Tensor = shortcut + self.conv2(F.relu(hidden))
        return fused


def _conv_part(conv: nn.Conv2d, x: Tensor, start: int, end: int, *, bias: bool) -> Tensor:
    """The convolution over its input channels start to end alone."""
    return F.conv2d(x, conv.weight[:, start:end], conv.bias if bias else None, padding=1)


class ChannelGate(nn.Module):
    """CBAM's channel attention (Woo et al., ECCV 2018): pooled over the picture, squeezed."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        squeezed = max(1, dim // 16)
        self.mlp = nn.Sequential(
            nn.Flatten(), nn.Linear(dim, squeezed), nn.ReLU(), nn.Linear(squeezed, dim)
        )

    def forward(self, g: Tensor) -> Tensor:
        logits = self.mlp(g.mean((2, 3))) + self.mlp(g.amax((2, 3)))
        return g * torch.sigmoid(logits)[:, :, None, None]


class SpatialGate(nn.Module):
    """CBAM's spatial attention: maximum and mean over the channels, one 7×7 convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.spatial = nn.ModuleDict({"conv": nn.Conv2d(2, 1, 7, padding=3)})

    def forward(self, g: Tensor) -> Tensor:
        pooled = torch.cat((g.amax(1, keepdim=True), g.mean(1, keepdim=True)), 1)
        return g * torch.sigmoid(self.spatial["conv"](pooled))


class Attention(nn.Module):
    """Channel attention, then spatial; the checkpoint's names are capitalised."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.ChannelGate = ChannelGate(dim)
        self.SpatialGate = SpatialGate()

    def forward(self, g: Tensor) -> Tensor:
        gated: Tensor = self.SpatialGate(self.ChannelGate(g))
        return gated


class Fuser(nn.Module):
    """Fuses a picture feature of `x_dim` channels into each object's feature of `g_dim`."""

    def __init__(self, x_dim: int, g_dim: int, out_dim: int) -> None:
        super().__init__()
        self.block1 = ResidualBlock(x_dim + g_dim, out_dim, x_dim)
        self.attention = Attention(out_dim)
        self.block2 = ResidualBlock(out_dim, out_dim)

    def shared(self, x: Tensor) -> Tensor:
        """What depends on the picture alone: (1, x_dim, H, W) to (1, 2 * out_dim, H, W)."""
        return self.block1.shared(x)

    def forward(self, shared: Tensor, g: Tensor) -> Tensor:
        """(N, g_dim, H, W), with `shared(x)`, to (N, out_dim, H, W)."""
        g = self.block1.fuse(shared, g)
        fused: Tensor = self.block2(g + self.attention(g))
        return fused


def gated_update(values: Tensor, hidden: Tensor) -> Tensor:
    """XMem's GRU (section 3.2): both gates and the new value from one transform, (N, 3C, H, W)."""
    forget, update, new = values.chunk(3, 1)
    update = torch.sigmoid(update)
    return torch.sigmoid(forget) * hidden * (1 - update) + update * torch.tanh(new)


class HiddenUpdate(nn.Module):
    """Sensory update on every frame, from the decoder's three scales."""

    def __init__(self, g16_dim: int, up_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.g16_conv = nn.Conv2d(g16_dim, up_dim, 1)
        self.g8_conv = nn.Conv2d(up_dim, up_dim, 1)
        self.g4_conv = nn.Conv2d(up_dim + 1, up_dim, 1)
        self.transform = nn.Conv2d(up_dim + hidden_dim, 3 * hidden_dim, 3, padding=1)

    def forward(
        self, g16: Tensor, g8: Tensor, g4: Tensor, logits: Tensor, hidden: Tensor
    ) -> Tensor:
        """Features at strides 16, 8 and 4, logits at 4, hidden at 16; all batched over objects."""
        pooled = torch.cat((F.avg_pool2d(g4, 4), F.avg_pool2d(logits, 4)), 1)
        g = self.g16_conv(g16) + self.g8_conv(F.avg_pool2d(g8, 2)) + self.g4_conv(pooled)
        return gated_update(self.transform(torch.cat((g, hidden), 1)), hidden)


class HiddenReinforce(nn.Module):
    """Deep sensory update on a memory frame, from the value."""

    def __init__(self, value_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.transform = nn.Conv2d(value_dim + hidden_dim, 3 * hidden_dim, 3, padding=1)

    def forward(self, value: Tensor, hidden: Tensor) -> Tensor:
        return gated_update(self.transform(torch.cat((value, hidden), 1)), hidden)


class Upsample(nn.Module):
    """Doubles an object's feature and adds the picture's skip connection."""

    def __init__(self, skip_dim: int, up_dim: int, out_dim: int) -> None:
        super().__init__()
        self.skip_conv = nn.Conv2d(skip_dim, up_dim, 3, padding=1)
        self.out_conv = ResidualBlock(up_dim, out_dim)

    def forward(self, skip: Tensor, g: Tensor) -> Tensor:
        """`skip` (1 or N, up_dim, 2H, 2W) is `skip_conv` of the picture; g (N, up_dim, H, W)."""
        up = F.interpolate(g, scale_factor=2.0, mode="bilinear", align_corners=False)
        out: Tensor = self.out_conv(up + skip)
        return out
