"""The small SAM2 that the selftest configs run: one checkpoint's worth of seeded random weights.

As of a public checkpoint, the image network's weights are the video network's.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from transformers import Sam2Config, Sam2Model, Sam2VideoConfig, Sam2VideoModel

from streamseg.nets.sam2 import PARTS, TWINS
from streamseg.nets.sam2_video import Sam2Video

_SIZE, _CHANNELS = 128, 128
_PRESENCE = "mask_decoder.pred_obj_score_head.proj_out.bias"
_PAINTERS = "mask_decoder.output_hypernetworks_mlps"


def selftest_sam2(seed: int = 0) -> Sam2Model:
    """The image network (0.9 M parameters, 128×128); its masks mean nothing.

    The mask head is biased towards "object": masks are large, textured by the picture, and cover
    the prompt, so that what comes after segmentation has something to work on.
    """
    network = image_twin(selftest_video_model(seed))
    for name, value in network.named_parameters():
        if name.startswith(_PAINTERS) and name.endswith("proj_out.bias"):
            value.add_(1.0)
    return network


def selftest_sam2_video(seed: int = 0) -> Sam2Video:
    """The video network in parts; its masks mean nothing."""
    return Sam2Video(selftest_video_model(seed))


def selftest_video_model(seed: int = 0) -> Sam2VideoModel:
    """transformers' own video model."""
    return with_seeded_weights(Sam2VideoModel(_config()), seed)


def with_seeded_weights(network: Sam2VideoModel, seed: int = 0) -> Sam2VideoModel:
    """The network, in eval mode, its weights replaced by lively ones.

    Lively: unlike in transformers' initialisation nothing is zero, and objects are seen. They come
    from NumPy's generator, so they are the same with every torch version.
    """
    rng = np.random.default_rng(seed)
    state = {
        name: _random_like(name, value.shape, rng) for name, value in network.state_dict().items()
    }
    state[TWINS[1]] = state[TWINS[0]].clone()
    state[_PRESENCE].add_(1.0)
    network.load_state_dict(state)
    network.train(False).requires_grad_(False)
    return network


def image_twin(video: Sam2VideoModel) -> Sam2Model:
    """The image network with a copy of the video network's weights."""
    config = Sam2Config(**{part: getattr(video.config, part).to_dict() for part in PARTS})
    with torch.device("meta"):
        network = Sam2Model(config)
    state = video.state_dict()
    network.load_state_dict({key: state[key].clone() for key in network.state_dict()}, assign=True)
    network.train(False).requires_grad_(False)
    return network


def _random_like(name: str, shape: torch.Size, rng: np.random.Generator) -> Tensor:
    """Normal values scaled by the fan-in; normalisation layers near the identity."""
    values = rng.standard_normal(tuple(shape)).astype(np.float32)
    if "norm" in name and name.endswith("weight"):
        values = 1.0 + 0.1 * values
    elif len(shape) == 1:
        values *= 0.1
    elif "embed" not in name:
        values /= math.sqrt(math.prod(shape[1:]))
    return torch.from_numpy(values)


def _config() -> Sam2VideoConfig:
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 16,
        "image_size": [_SIZE, _SIZE],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [16, 32, 64, 128],
        "num_attention_heads_per_stage": [1, 2, 4, 8],
        "window_size_per_stage": [8, 4, 8, 4],
        "global_attention_blocks": [3],
    }
    return Sam2VideoConfig(
        vision_config={
            "model_type": "sam2_vision_model",
            "backbone_config": backbone,
            "backbone_channel_list": [128, 64, 32, 16],
            "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
            "fpn_hidden_size": _CHANNELS,
        },
        prompt_encoder_config={"hidden_size": _CHANNELS, "image_size": _SIZE, "patch_size": 16},
        mask_decoder_config={
            "hidden_size": _CHANNELS,
            "mlp_dim": 64,
            "num_attention_heads": 4,
            "iou_head_hidden_dim": 32,
        },
        image_size=_SIZE,
        memory_attention_hidden_size=_CHANNELS,
        memory_attention_num_layers=2,
        memory_attention_feed_forward_hidden_size=64,
        memory_attention_rope_feat_sizes=[8, 8],
        memory_encoder_hidden_size=_CHANNELS,
        mask_downsampler_embed_dim=_CHANNELS,
        memory_fuser_embed_dim=_CHANNELS,
        memory_fuser_intermediate_dim=64,
    )
