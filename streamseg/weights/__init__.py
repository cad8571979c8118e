"""Weights: where a model's files are, whether they are whole, and the network in them."""

from __future__ import annotations

from streamseg.weights.loading import (
    RECORD,
    ModelInfo,
    fetch,
    list_models,
    load_sam2,
    load_sam2_image,
    load_sam2_video,
    load_xmem,
    locate,
    members,
    verify,
)
from streamseg.weights.places import cache_dir

__all__ = [
    "RECORD",
    "ModelInfo",
    "cache_dir",
    "fetch",
    "list_models",
    "load_sam2",
    "load_sam2_image",
    "load_sam2_video",
    "load_xmem",
    "locate",
    "members",
    "verify",
]
