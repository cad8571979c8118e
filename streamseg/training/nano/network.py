"""The small reasoner's network: transformers' Qwen3-VL, sizes of ours, and two ways through it.

Pictures are all of one size, so that a batch's vision is a batch; several sentences stand behind
one picture, each blind to the others. The weights and what they compute are transformers' own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow
from torch import Tensor
from torch.nn import functional as F

from streamseg.training.nano import words

SIZE = (160, 100)
"""Width and height that every picture is stretched to; coordinates are its pixels."""
PATCH, MERGE = 10, 2
CELL = PATCH * MERGE
ACROSS, DOWN = SIZE[0] // CELL, SIZE[1] // CELL
CELLS = ACROSS * DOWN
"""Picture tokens."""
_PATCHES = CELLS * MERGE**2

HIDDEN, LAYERS, HEADS, INNER = 192, 4, 4, 384
_VISION = {"depth": 4, "hidden_size": 96, "num_heads": 3, "intermediate_size": 288}
_POSITIONS = 256
EMBEDDED = 0.5
"""Deviation of token embeddings at the start, and of picture tokens once vision is trained."""


def build() -> Any:
    """A `Qwen3VLForConditionalGeneration` with random weights, drawn from torch's generator.

    Raises:
        ImportError: transformers is not installed.
    """
    import transformers

    head = HIDDEN // HEADS
    third = head // 6
    text = {
        "vocab_size": len(words.TOKENS),
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "head_dim": head,
        "max_position_embeddings": 1024,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1000.0,
            "mrope_section": [head // 2 - 2 * third, third, third],
            "mrope_interleaved": True,
        },
        "pad_token_id": words.IDS[words.PAD],
        "eos_token_id": words.IDS[words.END],
        "bos_token_id": None,
        "initializer_range": 0.04,
    }
    vision = {
        **_VISION,
        "patch_size": PATCH,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": 1,
        "out_hidden_size": HIDDEN,
        "num_position_embeddings": _POSITIONS,
        "deepstack_visual_indexes": [],
        "hidden_act": "gelu",
        "initializer_range": 0.04,
    }
    described: Any = transformers.Qwen3VLConfig
    config = described(
        text_config=text,
        vision_config=vision,
        image_token_id=words.IDS[words.IMAGE],
        video_token_id=words.IDS[words.VIDEO],
        vision_start_token_id=words.IDS[words.VISION_START],
        vision_end_token_id=words.IDS[words.VISION_END],
        tie_word_embeddings=False,
        coordinates={"convention": "stretched", "size": list(SIZE), "cell": CELL},
        attn_implementation="sdpa",
    )
    whole: Any = transformers.Qwen3VLForConditionalGeneration
    network = whole(config)
    network.generation_config.eos_token_id = words.IDS[words.END]
    network.generation_config.pad_token_id = words.IDS[words.PAD]
    network.generation_config.do_sample = False
    _start_words(network)
    return network


def _start_words(network: Any) -> None:
    """Numbers start as points on a curve, so that neighbours are alike, in and out."""
    inner = network.model.language_model.embed_tokens.weight
    outer = network.lm_head.weight
    waves = torch.exp(torch.linspace(math.log(2 * math.pi / 4), math.log(2 * math.pi / 640), 24))
    angles = torch.arange(words.MOST + 1)[:, None] * waves[None]
    curve = torch.cat([angles.sin(), angles.cos()], 1) / math.sqrt(24)
    with torch.no_grad():
        for weight, deviation in ((inner, EMBEDDED), (outer, 0.04)):
            weight.normal_(0, deviation)
            spread = curve @ torch.randn(curve.shape[1], HIDDEN) * deviation
            for first in words.FIRST_NUMBERS:
                form = torch.randn(HIDDEN) * deviation / 2
                weight[first : first + words.MOST + 1] = spread + form


def shown(pictures: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Pictures (H, W, 3) as the network is shown them: (B, 100, 160, 3), resized as `vlm` does."""
    way = Pillow.Resampling.BICUBIC
    sized = [np.asarray(Pillow.fromarray(each).resize(SIZE, way)) for each in pictures]
    return np.stack(sized)


def patches(pictures: NDArray[np.uint8]) -> Tensor:
    """(B, 100, 160, 3) uint8 to (B, patches, 3 · 10 · 10) float32 in [-1, 1], cell by cell, in the
    order of transformers' processor."""
    count = len(pictures)
    pixels = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float()
    pixels = (pixels / 127.5 - 1).view(count, 3, DOWN, MERGE, PATCH, ACROSS, MERGE, PATCH)
    return pixels.permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(count, _PATCHES, 3 * PATCH * PATCH)


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """What the vision network needs to know of a picture's size, once.

    Attributes:
        indices, weights: Of learned positions, (patches, 4): from the square that is learned.
        rotary: Cosines and sines, (patches, 1, 1, half a head) each: halves turn alike.
    """

    indices: Tensor
    weights: Tensor
    rotary: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, network: Any) -> Grid:
        from transformers.vision_utils import (
            get_vision_interpolation_indices_and_weights,
            get_vision_position_ids,
        )

        visual = network.model.visual
        sizes = torch.tensor([[1, SIZE[1] // PATCH, SIZE[0] // PATCH]])
        indices, weights = get_vision_interpolation_indices_and_weights(
            sizes,
            num_grid_per_side=visual.num_grid_per_side,
            mode=visual.interpolation_mode,
            align_corners=visual.interpolation_align_corners,
            spatial_merge_size=MERGE,
        )
        places = get_vision_position_ids(sizes, MERGE)
        rotary = visual.rotary_pos_emb(torch.zeros(1), places)
        half = rotary[0].shape[1] // 2
        cosines, sines = (each[:, None, None, :half] for each in rotary)
        return cls(indices, weights, (cosines, sines))


def look(network: Any, grid: Grid, pictures: NDArray[np.uint8]) -> Tensor:
    """The picture tokens (B, 40, hidden) of pictures as `shown`; as `visual` computes them."""
    visual = network.model.visual
    projection = visual.patch_embed.proj
    x = F.linear(patches(pictures), projection.weight.flatten(1), projection.bias)
    x = x + (visual.pos_embed(grid.indices) * grid.weights[:, :, None]).sum(1)
    for block in visual.blocks:
        x = x + _attended(block.attn, block.norm1(x), grid.rotary)
        x = x + block.mlp(block.norm2(x))
    merged: Tensor = visual.merger(x)
    return merged.view(len(pictures), CELLS, -1)


def _attended(attention: Any, x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    cosines, sines = rotary
    mixed = attention.qkv(x).unflatten(2, (3, attention.num_heads, -1))
    first, second = mixed[:, :, :2].chunk(2, -1)
    turned = (first * cosines - second * sines, second * cosines + first * sines)
    query, key = torch.cat(turned, -1).transpose(1, 3).unbind(2)
    found = F.scaled_dot_product_attention(query, key, mixed[:, :, 2].transpose(1, 2))
    result: Tensor = attention.proj(found.transpose(1, 2).flatten(2))
    return result


_BEFORE = CELLS + 2
"""Tokens of a picture with its marks."""


def _picture_places() -> Tensor:
    """(3, 42) positions as transformers gives them: time, row and column."""
    places = torch.zeros(3, _BEFORE, dtype=torch.long)
    cells = torch.arange(CELLS)
    places[0, 1:-1] = 1
    places[1, 1:-1] = 1 + cells // ACROSS
    places[2, 1:-1] = 1 + cells % ACROSS
    places[:, -1] = 1 + max(ACROSS, DOWN)
    return places


PLACES = _picture_places()
NEXT_PLACE = int(PLACES.max()) + 1


def picture_prefix(network: Any, features: Tensor) -> Tensor:
    """Embeddings (B, 42, hidden) of pictures between their marks."""
    table = network.model.language_model.embed_tokens.weight
    marks = [table[words.IDS[mark]] for mark in (words.VISION_START, words.VISION_END)]
    first, last = (mark.expand(len(features), 1, -1) for mark in marks)
    return torch.cat([first, features.to(first.dtype), last], 1)
