"""The trunk computes what transformers' own does, and where windows do not divide the picture."""

from __future__ import annotations

import pytest
import torch
from transformers import Sam2VideoConfig, Sam2VideoModel

from streamseg.errors import CheckpointError
from streamseg.nets.sam2_selftest import with_seeded_weights
from streamseg.nets.sam2_vision import Trunk, attend

SIZE = 256
"""Stages of 64, 32, 16 and 8 tokens a side: windows of 14 and 7 do not divide the last two."""


def theirs(*, added: tuple[int, ...] = (2, 3), activation: str = "gelu") -> Sam2VideoModel:
    """As the public sizes are laid out, with a block of each kind, few channels, small pictures."""
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 8,
        "image_size": [SIZE, SIZE],
        "blocks_per_stage": [1, 2, 3, 2],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 2, 4, 8],
        "window_size_per_stage": [8, 4, 14, 7],
        "global_attention_blocks": [5],
        "window_positional_embedding_background_size": [7, 7],
        "hidden_act": activation,
    }
    vision = {
        "model_type": "sam2_vision_model",
        "backbone_config": backbone,
        "backbone_channel_list": [64, 32, 16, 8],
        "backbone_feature_sizes": [[64, 64], [32, 32], [16, 16]],
        "fpn_top_down_levels": list(added),
    }
    config = Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"image_size": SIZE},
        image_size=SIZE,
        memory_attention_num_layers=1,
        memory_attention_rope_feat_sizes=[16, 16],
    )
    return with_seeded_weights(Sam2VideoModel(config))


@pytest.mark.parametrize("activation", ["gelu", "relu"])
@torch.no_grad()
def test_every_kind_of_block_and_every_level_is_theirs(activation: str) -> None:
    network = theirs(activation=activation)
    image = torch.randn((1, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0))
    levels = network.get_image_features(image).fpn_hidden_states
    embedding, middle, fine = Trunk(network)(image)
    assert embedding.shape == (1, 256, 16, 16)
    for got, level in zip((fine, middle, embedding), levels, strict=True):
        expected = level.permute(1, 2, 0).reshape(got.shape)
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5 * float(expected.std()))


def test_a_neck_that_adds_other_levels_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"adds level 3 to level 2 .* got \[1, 2, 3\]"):
        Trunk(theirs(added=(1, 2, 3)))


def test_attention_in_bfloat16_is_that_in_float32_but_for_rounding() -> None:
    """By rows there, in one piece here; 700 queries are more than one turn."""
    tokens = torch.randn((3, 2, 2, 700, 16), generator=torch.Generator().manual_seed(0))
    whole = attend(*tokens, 0.25)
    half = attend(*tokens.bfloat16(), 0.25)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), whole, rtol=0.0, atol=0.02)
