"""SAM2's image network (transformers' `Sam2Model`) from a folder, or small with seeded weights."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from streamseg.checkpoints import check_shapes, read_state, shapes_of
from streamseg.errors import CheckpointError, MissingDependencyError

try:
    from transformers import Sam2Config, Sam2Model
except ImportError:
    raise MissingDependencyError(
        "transformers", "neural", "Sam2Model needs 5.0 or newer."
    ) from None

if TYPE_CHECKING:
    from torch import Tensor

VIDEO_ONLY = (
    r"memory_",
    r"mask_downsample\.",
    r"object_pointer_proj\.",
    r"temporal_positional_encoding_projection_layer\.",
    r"no_memory_positional_encoding$",
    r"no_object_pointer$",
    r"occlusion_spatial_embedding_parameter$",
)
"""Entries of the public (video) checkpoints that the image network has no use for."""

TWINS = (
    "prompt_encoder.shared_embedding.positional_embedding",
    "shared_image_embedding.positional_embedding",
)
"""One matrix under two names (SAM2 encodes points and pixels alike); a file may hold either."""

_PARTS = ("vision_config", "prompt_encoder_config", "mask_decoder_config")


def sam2_from_folder(folder: Path) -> Sam2Model:
    """Load a `facebook/sam2.1-*` folder: float32 on the CPU, in eval mode.

    Raises:
        CheckpointError: A file is missing or damaged, or some key does not fit; each is named.
    """
    network = _empty(folder)
    path = folder / "model.safetensors"
    state = with_twins(read_state(path))
    expected = shapes_of(network.state_dict())
    check_shapes(path, expected, shapes_of(state), ignore=VIDEO_ONLY)
    kept = {key: state[key].float() for key in expected}
    network.load_state_dict(kept, assign=True)
    network.train(False).requires_grad_(False)
    return network


def with_twins(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, the shared matrix under both its names."""
    shared = {twin: state[name] for name in TWINS for twin in TWINS if name in state}
    return {**shared, **state}


def sam2_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Shape by name that the folder's `config.json` promises; allocates nothing."""
    return shapes_of(_empty(folder).state_dict())


def selftest_sam2(seed: int = 0) -> Sam2Model:
    """A small SAM2 (0.35 M parameters, 128×128) with seeded random weights; its masks mean nothing.

    The weights come from NumPy's generator, so they are the same with every torch version. The
    mask head is biased towards "object": masks are large, textured by the picture, and cover
    the prompt, so that what comes after segmentation has something to work on.
    """
    with torch.device("meta"):
        network = Sam2Model(_selftest_config())
    rng = np.random.default_rng(seed)
    state = {
        name: random_like(name, value.shape, rng) for name, value in network.state_dict().items()
    }
    state[TWINS[1]] = state[TWINS[0]].clone()
    for name, value in state.items():
        if name.startswith("mask_decoder.output_hypernetworks_mlps") and "proj_out.bias" in name:
            value.add_(1.0)
    network.load_state_dict(state, assign=True)
    network.train(False).requires_grad_(False)
    return network


def _empty(folder: Path) -> Sam2Model:
    """The network that the folder's config describes, without memory behind its weights."""
    config = _read_config(folder / "config.json")
    try:
        with torch.device("meta"):
            return Sam2Model(Sam2Config(**{part: config[part] for part in _PARTS}))
    except Exception as error:  # noqa: BLE001 - a wrong value surfaces wherever it is first used
        detail = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{folder / 'config.json'} does not describe a SAM2 network: {detail}"
        ) from None


def _read_config(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise CheckpointError(
            f"{path.parent} has no config.json: give a folder with config.json and "
            "model.safetensors, as facebook/sam2.1-hiera-tiny has them on the hub"
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not readable JSON: {error}") from None
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind not in {"sam2", "sam2_video"}:
        raise CheckpointError(
            f"{path}: expected model_type sam2 or sam2_video, got {kind!r}; give a SAM2 folder"
        )
    absent = [part for part in _PARTS if not isinstance(config.get(part), dict)]
    if absent:
        raise CheckpointError(f"{path} lacks {', '.join(absent)}: get it again from the hub")
    return {part: _without_type(config[part]) for part in _PARTS}


def _without_type(part: Mapping[str, Any]) -> dict[str, Any]:
    # The video model names its prompt encoder and mask decoder differently; the fields are alike.
    keep_type = part.get("model_type") == "sam2_vision_model"
    return {key: value for key, value in part.items() if keep_type or key != "model_type"}


def _selftest_config() -> Sam2Config:
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 16,
        "image_size": [128, 128],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [16, 32, 64, 128],
        "num_attention_heads_per_stage": [1, 2, 4, 8],
        "window_size_per_stage": [8, 4, 8, 4],
        "global_attention_blocks": [3],
    }
    return Sam2Config(
        vision_config={
            "backbone_config": backbone,
            "backbone_channel_list": [128, 64, 32, 16],
            "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
            "fpn_hidden_size": 32,
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": 128, "patch_size": 16},
        mask_decoder_config={
            "hidden_size": 32,
            "mlp_dim": 64,
            "num_attention_heads": 4,
            "iou_head_hidden_dim": 32,
        },
    )


def random_like(name: str, shape: torch.Size, rng: np.random.Generator) -> Tensor:
    """Normal values scaled by the fan-in; normalisation layers near the identity."""
    values = rng.standard_normal(tuple(shape)).astype(np.float32)
    if "norm" in name and name.endswith("weight"):
        values = 1.0 + 0.1 * values
    elif len(shape) == 1:
        values *= 0.1
    elif "embed" not in name:
        values /= math.sqrt(math.prod(shape[1:]))
    return torch.from_numpy(values)
