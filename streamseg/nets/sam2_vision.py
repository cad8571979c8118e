"""SAM2's image trunk, Hiera with its pyramid, at a static picture size: nothing that no one reads.

SAM 2, section 4 and appendix D.1; Hiera's windows and pooling as in its paper (Ryali et al., 2023).
At equal results, the encoding of positions is a constant, and a level that is only projected once
more on its way to the mask decoder is projected once. Tokens lie channel by channel throughout.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.activations import GELUActivation

from streamseg.errors import CheckpointError
from streamseg.nets.rows import by_rows

_ROWS = 512
"""Queries that are compared at a time where torch's fused kernel is not the quicker one."""


class Trunk(nn.Module):
    """A picture to three levels of features.

    Args:
        network: transformers' `Sam2Model` or `Sam2VideoModel`; layers are shared where they run
            as they are.
    """

    places: Tensor

    def __init__(self, network: Any) -> None:
        super().__init__()
        vision = network.vision_encoder
        hiera = vision.backbone
        self.patches = hiera.patch_embed.projection
        sides = tuple(network.config.vision_config.backbone_feature_sizes[0])
        with torch.no_grad():
            self.register_buffer("places", hiera._get_pos_embed(sides).contiguous())
        self.blocks = nn.ModuleList(Block(block) for block in hiera.blocks)
        self.ends = tuple(int(end) for end in hiera.stage_ends)
        self.pyramid = Pyramid(vision.neck, network.mask_decoder)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Picture (1, 3, S, S) to what `Pyramid` gives."""
        tokens = self.patches(image).permute(0, 2, 3, 1) + self.places
        stages = []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index in self.ends:
                stages.append(tokens)
        return cast(tuple[Tensor, Tensor, Tensor], self.pyramid(*stages))


class Block(nn.Module):
    """Attention within windows, or over the whole picture, and a feed-forward network."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.window, self.stride = int(block.window_size), block.query_stride
        self.norms = nn.ModuleList((block.layer_norm1, block.layer_norm2))
        self.attention = Attention(block.attn)
        self.shortcut = block.proj if block.dim != block.dim_out else None
        self.feed = nn.Sequential(
            block.mlp.proj_in, _activation(block.mlp.activation), block.mlp.proj_out
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """(1, H, W, C) to (1, H, W, C), or to half the sides and twice the channels."""
        normed = self.norms[0](tokens)
        if self.shortcut is not None:
            tokens = _pooled(self.shortcut(normed), self.stride)
        tokens = tokens + self.attention(normed, self.window, tokens.shape[1:3])
        return tokens + cast(Tensor, self.feed(self.norms[1](tokens)))


class Attention(nn.Module):
    """Attention among the tokens of a window; queries may be pooled first."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.heads, self.stride = int(layer.num_attention_heads), layer.query_stride
        self.scale = float(layer.scale)
        self.qkv, self.out = layer.qkv, layer.proj

    def forward(self, tokens: Tensor, window: int, sides: tuple[int, int]) -> Tensor:
        """(1, H, W, C) to (1, *sides, C'), in windows of window × window; 0: one window of all."""
        if window:
            tokens = _in_windows(tokens, window)
        count, height, width = tokens.shape[:3]
        query, key, value = self.qkv(tokens).flatten(1, 2).chunk(3, -1)
        if self.stride:
            query = _pooled(query.reshape(count, height, width, -1), self.stride)
            height, width = query.shape[1:3]
            query = query.flatten(1, 2)
        query, key, value = (self._by_head(part) for part in (query, key, value))
        read = attend(query, key, value, self.scale)
        read = read.transpose(1, 2).reshape(count, height, width, -1)
        return cast(Tensor, self.out(_out_of_windows(read, sides) if window else read))

    def _by_head(self, tokens: Tensor) -> Tensor:
        """(B, L, C) to (B, heads, L, D)."""
        return tokens.reshape(*tokens.shape[:2], self.heads, -1).transpose(1, 2)


class Pyramid(nn.Module):
    """Stages of the trunk to what others read, the coarsest added to the next.

    The two finest are read by the mask decoder alone, through a projection of its own.

    Raises:
        CheckpointError: The neck adds other levels than SAM 2 does.
    """

    def __init__(self, neck: Any, decoder: Any) -> None:
        super().__init__()
        fine, middle, coarse, coarsest = reversed(neck.convs)
        if set(neck.fpn_top_down_levels) != {2, 3}:
            raise CheckpointError(
                "expected a SAM2 neck that adds level 3 to level 2 (fpn_top_down_levels [2, 3]), "
                f"got {list(neck.fpn_top_down_levels)}"
            )
        self.fine = _in_one(fine, decoder.conv_s0)
        self.middle = _in_one(middle, decoder.conv_s1)
        self.coarse, self.coarsest = coarse, coarsest

    def forward(self, *stages: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Four stages (1, H, W, C), from fine to coarse.

        Returns:
            The embedding (1, C, S/16, S/16) and the high-resolution features that the mask
            decoder adds: middle (1, C/4, S/8, S/8) and fine (1, C/8, S/4, S/4).
        """
        fine, middle, coarse, coarsest = (stage.permute(0, 3, 1, 2) for stage in stages)
        above = F.interpolate(self.coarsest(coarsest), scale_factor=2.0, mode="nearest")
        return self.coarse(coarse) + above, self.middle(middle), self.fine(fine)


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Attention over (B, heads, L, D).

    On a CPU torch's fused kernel is no quicker in bfloat16 than in float32; plain products are, by
    half: of all windows at once, or of some rows of the whole picture at a time.
    """
    half = query.dtype != torch.float32 and query.device.type == "cpu"
    if not half or torch.compiler.is_exporting():
        return F.scaled_dot_product_attention(query, key, value, scale=scale)
    scaled, keys = query * scale, key.transpose(2, 3)
    if query.shape[2] > _ROWS:
        return by_rows(scaled, keys, value, None, _ROWS)
    return (scaled @ keys).softmax(-1) @ value


def _pooled(tokens: Tensor, stride: tuple[int, int]) -> Tensor:
    """The largest of each stride: (B, H, W, C) to (B, H', W', C)."""
    return F.max_pool2d(tokens.permute(0, 3, 1, 2), stride, stride).permute(0, 2, 3, 1)


def _in_windows(tokens: Tensor, window: int) -> Tensor:
    """(1, H, W, C) to (windows, window, window, C), zeros around where it does not divide."""
    _, height, width, channels = tokens.shape
    tokens = F.pad(tokens, (0, 0, 0, -width % window, 0, -height % window))
    tokens = tokens.reshape(-1, window, tokens.shape[2] // window, window, channels)
    return tokens.transpose(1, 2).reshape(-1, window, window, channels)


def _out_of_windows(windows: Tensor, sides: tuple[int, int]) -> Tensor:
    """(windows, h, w, C) to (1, *sides, C), without what lay around."""
    _, high, wide, channels = windows.shape
    rows, columns = -(-sides[0] // high), -(-sides[1] // wide)
    tokens = windows.reshape(rows, columns, high, wide, channels).transpose(1, 2)
    return tokens.reshape(1, rows * high, columns * wide, channels)[:, : sides[0], : sides[1]]


def _activation(layer: nn.Module) -> nn.Module:
    """torch's own layer for transformers' GELU: an engine knows it by its class."""
    return nn.GELU() if isinstance(layer, GELUActivation) else layer


def _in_one(first: nn.Conv2d, second: nn.Conv2d) -> nn.Conv2d:
    """Two convolutions of single pixels, one after the other, as one.

    Multiplied out in float64: what is then rounded does not depend on how tensors lie in memory.
    """
    with torch.no_grad():
        onto, dtype = second.weight.flatten(1).double(), first.weight.dtype
        weight = (onto @ first.weight.flatten(1).double())[:, :, None, None].to(dtype)
        bias = (onto @ cast(Tensor, first.bias).double() + cast(Tensor, second.bias)).to(dtype)
    with torch.device("meta"):
        layer = nn.Conv2d(first.in_channels, second.out_channels, 1)
    layer.load_state_dict({"weight": weight, "bias": bias}, assign=True)
    return layer.requires_grad_(False)
