"""SAM2's prompts and mask decoder at a static shape: prompts that are not there are masked out.

Our own forward pass over the layers of transformers' `Sam2Model` (SAM 2, section 4 and
appendix D.1). Theirs takes prompts of any length; here a prompt is a fixed number of labelled
points of which some may be absent, and an absent point changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ABSENT, NO_POINT, NEGATIVE, POSITIVE, BOX_START, BOX_END = -10, -1, 0, 1, 2, 3
"""Labels of points. Every prompt of SAM2 ends with one NO_POINT."""
BOX_POINTS = 3
"""A box is a BOX_START, a BOX_END and the NO_POINT; what else is pointed at comes beside them."""


class Exact(nn.Module):
    """A module whose own weights stay float32 whatever the network is cast to."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Exact:
        def move(tensor: Tensor) -> Tensor:
            return tensor.to(fn(tensor[:0]).device)

        super()._apply(move, recurse)  # type: ignore[no-untyped-call]
        return self


class PromptEncoder(Exact):
    """Labelled points to tokens; in half precision coordinates would lose pixels.

    Args:
        encoder: transformers' `Sam2PromptEncoder`.
    """

    gaussian: Tensor
    labelled: Tensor

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.size = int(encoder.input_image_size)
        self.register_buffer("gaussian", encoder.shared_embedding.positional_embedding.detach())
        rows = (encoder.not_a_point_embed.weight, encoder.point_embed.weight)
        self.register_buffer("labelled", torch.cat(rows).detach())

    def forward(self, points: Tensor, labels: Tensor) -> Tensor:
        """Points (n, P, 2) in the network's pixels, labels (n, P) int64 to tokens (n, P, C)."""
        centred = (points + 0.5) * (2 / self.size) - 1
        angles = (centred @ self.gaussian) * (2 * math.pi)
        positions = torch.cat((angles.sin(), angles.cos()), -1)
        placed = (labels >= 0).unsqueeze(-1)
        return self.labelled[labels.clamp(min=NO_POINT) + 1] + positions * placed


@dataclass(frozen=True)
class Decided:
    """What the decoder makes of n prompts, before it is painted.

    The first candidate is for prompts that leave no doubt, the other three for those that do.

    Attributes:
        tokens: (n, 4, C), one for each candidate mask.
        pixels: (n, C, h, w).
        iou: (n, 4), predicted.
        presence: (n, 1), the logit that the object is there at all.
    """

    tokens: Tensor
    pixels: Tensor
    iou: Tensor
    presence: Tensor


class MaskDecoder(nn.Module):
    """An image embedding and prompt tokens to four candidates each.

    Args:
        decoder: transformers' `Sam2MaskDecoder`.
        positions: (1, C, h, w), the image's positional encoding.
    """

    positions: Tensor

    def __init__(self, decoder: Any, positions: Tensor) -> None:
        super().__init__()
        self.decoder = decoder
        self.upscale = nn.ModuleList(map(_Doubling, (decoder.upscale_conv1, decoder.upscale_conv2)))
        self.register_buffer("positions", positions.flatten(2).transpose(1, 2).contiguous())

    def forward(self, image: Tensor, prompts: Tensor, present: Tensor | None) -> Decided:
        """Decode n objects.

        Args:
            image: (n or 1, C, h, w), prompts of the dense kind added.
            prompts: (n, P, C) tokens.
            present: (n, P) bool; None when every one is.
        """
        net = self.decoder
        count, height, width = prompts.shape[0], *image.shape[-2:]
        own = (net.obj_score_token.weight, net.iou_token.weight, net.mask_tokens.weight)
        outputs = torch.cat(own)[None].expand(count, -1, -1)
        tokens = torch.cat((outputs, prompts.to(outputs.dtype)), 1)
        bias = None if present is None else _bias(present, outputs)
        tokens, pixels = self._transform(tokens, image.flatten(2).transpose(1, 2), bias)
        return Decided(
            tokens[:, 2 : 2 + net.num_mask_tokens],
            pixels.transpose(1, 2).reshape(count, -1, height, width),
            net.iou_prediction_head(tokens[:, 1]),
            net.pred_obj_score_head(tokens[:, 0]),
        )

    def paint(self, decided: Decided, middle: Tensor, fine: Tensor) -> Tensor:
        """Logits (n, 4, 4h, 4w): the picture upscaled, times each candidate's own vector.

        Args:
            decided: Of `forward`.
            middle: (1, C/4, 2h, 2w).
            fine: (1, C/8, 4h, 4w).
        """
        net, tokens = self.decoder, decided.tokens
        up = net.activation(net.upscale_layer_norm(self.upscale[0](decided.pixels) + middle))
        up = net.activation(self.upscale[1](up) + fine)
        vectors = torch.stack(
            [mlp(tokens[:, at]) for at, mlp in enumerate(net.output_hypernetworks_mlps)], 1
        )
        painted: Tensor = vectors @ up.flatten(2)
        return painted.reshape(*painted.shape[:2], *up.shape[-2:])

    def _transform(
        self, tokens: Tensor, pixels: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Tokens (n, T, C) and pixels (n or 1, h·w, C) look at each other."""
        transformer, queries = self.decoder.transformer, tokens
        for layer in transformer.layers:
            if layer.skip_first_layer_pe:
                queries = _attention(layer.self_attn, queries, queries, queries, bias)
            else:
                asked = queries + tokens
                queries = queries + _attention(layer.self_attn, asked, asked, queries, bias)
            queries = layer.layer_norm1(queries)
            queries = layer.layer_norm2(
                queries + self._look(layer.cross_attn_token_to_image, queries + tokens, pixels)
            )
            queries = layer.layer_norm3(queries + layer.mlp(queries))
            seen = _attention(
                layer.cross_attn_image_to_token,
                pixels + self.positions,
                queries + tokens,
                queries,
                bias,
            )
            pixels = layer.layer_norm4(pixels + seen)
        seen = self._look(transformer.final_attn_token_to_image, queries + tokens, pixels)
        return transformer.layer_norm_final_attn(queries + seen), pixels

    def _look(self, layer: Any, queries: Tensor, pixels: Tensor) -> Tensor:
        return _attention(layer, queries, pixels + self.positions, pixels)


class _Doubling(nn.Module):
    """A transposed convolution of 2×2 with stride 2: each pixel becomes four, apart from others.

    As a 1×1 convolution and a shuffle, since TensorRT-RTX 1.7 has no transposed one in bfloat16.
    """

    def __init__(self, layer: nn.ConvTranspose2d) -> None:
        super().__init__()
        wide, bias = layer.weight.detach(), layer.bias
        assert bias is not None
        assert layer.kernel_size == layer.stride == (2, 2)
        weight = wide.permute(1, 2, 3, 0).flatten(0, 2)[:, :, None, None]
        with torch.device("meta"):
            self.spread = nn.Conv2d(weight.shape[1], weight.shape[0], 1)
        state = {"weight": weight.contiguous(), "bias": bias.detach().repeat_interleave(4)}
        self.spread.load_state_dict(state, assign=True)

    def forward(self, pixels: Tensor) -> Tensor:
        return F.pixel_shuffle(self.spread(pixels), 2)


def _bias(present: Tensor, outputs: Tensor) -> Tensor:
    """(n, P) bool to what is added to attention over all tokens, (n, 1, 1, T)."""
    absent = F.pad(~present, (outputs.shape[1], 0), value=False)
    return (absent.to(outputs.dtype) * -1e4)[:, None, None]


def _attention(
    layer: Any, queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None = None
) -> Tensor:
    """transformers' `Sam2Attention` on (n or 1, length, C); a batch of 1 is projected once."""
    count = max(queries.shape[0], keys.shape[0])
    query, key, value = (
        projection(tensor)
        .reshape(*tensor.shape[:2], layer.num_attention_heads, -1)
        .transpose(1, 2)
        .expand(count, -1, -1, -1)
        for projection, tensor in (
            (layer.q_proj, queries),
            (layer.k_proj, keys),
            (layer.v_proj, values),
        )
    )
    read = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    attended: Tensor = layer.o_proj(read.transpose(1, 2).flatten(2))
    return attended
