"""Residual stages of any width and depth, named as in public ResNet checkpoints."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut (He et al., CVPR 2016)."""

    expansion = 1

    def __init__(self, in_dim: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_dim, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(in_dim, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_dim, H, W) to (N, width, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + shortcut)


class Bottleneck(nn.Module):
    """1×1, 3×3 (strided), 1×1 convolutions and a shortcut; 4 × width channels come out."""

    expansion = 4

    def __init__(self, in_dim: int, width: int, stride: int) -> None:
        super().__init__()
        out_dim = width * self.expansion
        self.conv1 = nn.Conv2d(in_dim, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_dim, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_dim)
        self.downsample = _shortcut(in_dim, out_dim, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_dim, H, W) to (N, 4 * width, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + shortcut)


def stage(
    block: type[BasicBlock] | type[Bottleneck], in_dim: int, width: int, depth: int, stride: int
) -> nn.Sequential:
    """`depth` blocks, the first of them strided."""
    out_dim = width * block.expansion
    first = block(in_dim, width, stride)
    return nn.Sequential(first, *(block(out_dim, width, 1) for _ in range(depth - 1)))


def _shortcut(in_dim: int, out_dim: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and in_dim == out_dim:
        return None
    return nn.Sequential(nn.Conv2d(in_dim, out_dim, 1, stride, bias=False), nn.BatchNorm2d(out_dim))


def randomise(module: nn.Module, seed: int, gain: Callable[[str], float]) -> None:
    """Fill every parameter from `seed` alone, the same on every machine and torch version.

    Weights get variance gain(name)² / fan_in, biases and batch-norm shifts stay small.
    Uniform numbers come from an integer hash (SplitMix64), not from a library's generator.
    """
    with torch.no_grad():
        for index, (name, parameter) in enumerate(sorted(module.named_parameters())):
            noise = _uniform(seed * 1_000_003 + index, parameter.numel()).view(parameter.shape)
            if parameter.dim() > 1:
                fan_in = parameter[0].numel()
                parameter.copy_(noise * gain(name) * (12.0 / fan_in) ** 0.5)
            elif name.endswith("weight"):
                parameter.copy_(0.6 + 0.1 * noise)
            else:
                parameter.copy_(0.1 * noise)


def _uniform(seed: int, count: int) -> Tensor:
    """(count,) float32 in [-0.5, 0.5)."""
    import numpy as np

    with np.errstate(over="ignore"):
        state = np.arange(1, count + 1, dtype=np.uint64) + (np.uint64(seed) << np.uint64(32))
        state = state * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    return torch.from_numpy(((state >> np.uint64(40)) / 2.0**24 - 0.5).astype(np.float32))
