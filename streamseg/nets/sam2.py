"""SAM2's image network (transformers' `Sam2Model`) from a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from streamseg.borders.json_file import JsonFileError, read_json
from streamseg.errors import CheckpointError, MissingDependencyError
from streamseg.weights.checkpoints import check_shapes, read_state, shapes_of

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

PARTS = ("vision_config", "prompt_encoder_config", "mask_decoder_config")


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


def _empty(folder: Path) -> Sam2Model:
    """The network that the folder's config describes, without memory behind its weights."""
    config = _read_config(folder / "config.json")
    try:
        with torch.device("meta"):
            return Sam2Model(Sam2Config(**{part: config[part] for part in PARTS}))
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
        config = read_json(path)
    except (FileNotFoundError, JsonFileError) as error:
        raise CheckpointError(f"{path} is not readable JSON: {error}") from None
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind not in ("sam2", "sam2_video"):
        raise CheckpointError(
            f"{path}: expected model_type sam2 or sam2_video, got {kind!r:.60}; give a SAM2 folder"
        )
    absent = [part for part in PARTS if not isinstance(config.get(part), dict)]
    if absent:
        raise CheckpointError(f"{path} lacks {', '.join(absent)}: get it again from the hub")
    return {part: _without_type(config[part]) for part in PARTS}


def _without_type(part: Mapping[str, Any]) -> dict[str, Any]:
    # The video model names its prompt encoder and mask decoder differently; the fields are alike.
    keep_type = part.get("model_type") == "sam2_vision_model"
    return {key: value for key, value in part.items() if keep_type or key != "model_type"}
