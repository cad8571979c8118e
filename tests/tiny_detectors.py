"""transformers' detectors with few, random weights, in folders as the hub has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForObjectDetection,
    DFineConfig,
    HGNetV2Config,
    RTDetrResNetConfig,
    RTDetrV2Config,
)
from transformers.utils import logging

NAMES = {0: "Person", 1: "dog", 2: "cup"}
PREPARED = {
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": False,
    "size": {"height": 128, "width": 96},
}
_SMALL: dict[str, Any] = {
    "encoder_hidden_dim": 32,
    "feat_strides": [16, 32],
    "encoder_ffn_dim": 32,
    "encoder_attention_heads": 2,
    "encode_proj_layers": [1],
    "d_model": 32,
    "num_queries": 20,
    "decoder_in_channels": [32, 32],
    "decoder_ffn_dim": 32,
    "num_feature_levels": 2,
    "decoder_layers": 2,
    "decoder_attention_heads": 2,
    "num_denoising": 0,
    "id2label": NAMES,
    "label2id": {name: k for k, name in NAMES.items()},
}


def d_fine(folder: Path) -> Path:
    """D-FINE's form."""
    backbone = HGNetV2Config(
        stem_channels=[3, 8, 8],
        stage_in_channels=[8, 16, 32, 64],
        stage_mid_channels=[8, 8, 16, 16],
        stage_out_channels=[16, 32, 64, 64],
        stage_num_blocks=[1] * 4,
        stage_numb_of_layers=[1] * 4,
        embedding_size=8,
        hidden_sizes=[16, 32, 64, 64],
        depths=[1] * 4,
        out_features=["stage3", "stage4"],
    )
    config = DFineConfig(
        backbone_config=backbone,
        encoder_in_channels=[64, 64],
        decoder_n_points=[2, 2],
        hidden_expansion=0.5,
        depth_mult=0.34,
        max_num_bins=8,
        lqe_hidden_dim=8,
        **_SMALL,
    )
    return _written(config, folder)


def rt_detr_v2(folder: Path) -> Path:
    """RT-DETR's second version's form."""
    backbone = RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 16, 32],
        depths=[1] * 4,
        layer_type="basic",
        out_features=["stage3", "stage4"],
    )
    config = RTDetrV2Config(
        backbone_config=backbone,
        encoder_in_channels=[16, 32],
        decoder_n_levels=2,
        decoder_n_points=2,
        **_SMALL,
    )
    return _written(config, folder)


def _written(config: Any, folder: Path) -> Path:
    """Weights are shaken: as they are made, all places look alike to the network, and which of
    them it chooses hangs on the last bit."""
    torch.manual_seed(0)
    logging.disable_progress_bar()
    network = AutoModelForObjectDetection.from_config(config)
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(0.1 * torch.randn(weights.shape))
    network.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPARED))
    return folder
