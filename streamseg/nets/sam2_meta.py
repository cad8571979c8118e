"""Meta's own files of SAM2 (`sam2.1_hiera_tiny.pt` and its kin), under transformers' names.

Such a file holds {"model": tensors by Meta's names} and no config: which network it is, is read off
the shapes. Names and numbers are facts of Meta's `sam2/modeling` and `configs/sam2.1/*.yaml`
(github.com/facebookresearch/sam2); which entry is which of transformers', of its own conversion.
No public file has been loaded here: what is tested are files that the tests write, full-size, in
this layout, with random weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from streamseg.errors import CheckpointError, MissingDependencyError
from streamseg.nets.sam2 import TWINS
from streamseg.nets.sam2_video import Sam2Video
from streamseg.weights.checkpoints import check_shapes, read_state, shapes_of

try:
    from transformers import Sam2Config, Sam2Model, Sam2VideoConfig, Sam2VideoModel
except ImportError:
    raise MissingDependencyError(
        "transformers", "neural", "Sam2Model needs 5.0 or newer."
    ) from None


@dataclass(frozen=True, slots=True)
class Trunk:
    """A size of Hiera, SAM2's image encoder (Ryali et al., ICML 2023), as Meta's configs give it.

    Attributes:
        name: As in the file's name.
        width: Channels of the first stage; each further stage has twice as many.
        heads: Of the first stage's attention; likewise.
        blocks: In each stage.
        everywhere: Blocks that attend to the whole picture, not to a window.
        windows: Side of each stage's windows, in tokens.
        background: Side of the positional embedding that is stretched over the picture.
    """

    name: str
    width: int
    heads: int
    blocks: tuple[int, int, int, int]
    everywhere: tuple[int, int, int]
    windows: tuple[int, int, int, int]
    background: int

    def config(self) -> dict[str, Any]:
        """The values of transformers' `Sam2VisionConfig`."""
        widths = [self.width * 2**stage for stage in range(4)]
        backbone = {
            "model_type": "sam2_hiera_det_model",
            "hidden_size": self.width,
            "num_attention_heads": self.heads,
            "blocks_per_stage": list(self.blocks),
            "embed_dim_per_stage": widths,
            "num_attention_heads_per_stage": [self.heads * 2**stage for stage in range(4)],
            "window_size_per_stage": list(self.windows),
            "global_attention_blocks": list(self.everywhere),
            "window_positional_embedding_background_size": [self.background] * 2,
        }
        return {
            "model_type": "sam2_vision_model",
            "backbone_config": backbone,
            "backbone_channel_list": widths[::-1],
        }


TRUNKS = (
    Trunk("tiny", 96, 1, (1, 2, 7, 2), (5, 7, 9), (8, 4, 14, 7), 7),
    Trunk("small", 96, 1, (1, 2, 11, 2), (7, 10, 13), (8, 4, 14, 7), 7),
    Trunk("base_plus", 112, 2, (2, 3, 16, 3), (12, 16, 20), (8, 4, 14, 7), 14),
    Trunk("large", 144, 2, (2, 6, 36, 4), (23, 33, 43), (8, 4, 16, 8), 7),
)


def sam2_from_meta(path: Path) -> Sam2Model:
    """Load a file of Meta's as the image network: float32 on the CPU, in eval mode.

    The whole file is checked, what the image network has no use for as well.

    Raises:
        CheckpointError: Missing, damaged, holds code, or some entry does not fit; each is named.
    """
    video, state = translate(path, read_state(path, inside="model"))
    parts = ("vision_config", "prompt_encoder_config", "mask_decoder_config")
    # The video model calls its prompt encoder and mask decoder otherwise; the fields are alike.
    values = {part: getattr(video.config, part).to_dict() for part in parts}
    for part in parts[1:]:
        del values[part]["model_type"]
    with torch.device("meta"):
        network = Sam2Model(Sam2Config(**values))
    kept = {name: state[name].float() for name in network.state_dict()}
    network.load_state_dict(kept, assign=True)
    network.train(False).requires_grad_(False)
    return network


def sam2_video_from_meta(path: Path) -> Sam2Video:
    """Load a file of Meta's as the video network: float32 on the CPU, in eval mode.

    Raises:
        CheckpointError: Missing, damaged, holds code, or some entry does not fit; each is named.
    """
    network, state = translate(path, read_state(path, inside="model"))
    network.load_state_dict({name: value.float() for name, value in state.items()}, assign=True)
    return Sam2Video(network)


def translate(path: Path, state: Mapping[str, Tensor]) -> tuple[Sam2VideoModel, dict[str, Tensor]]:
    """Find out which network Meta's tensors are of, check them, and name them as transformers does.

    Args:
        path: Their file, for messages.
        state: Tensors by Meta's names; not copied, and they may be on the meta device.

    Returns:
        The network without memory behind its weights, and every entry of its state dict.

    Raises:
        CheckpointError: Naming, as Meta does, every entry that is missing, unexpected or of
            another shape.
    """
    _refuse_other_names(path, state)
    with torch.device("meta"):
        network = Sam2VideoModel(_config(state))
    wanted = shapes_of(network.state_dict())
    expected = {
        theirs: (1, *shape[1:]) if len(names) > 1 else shape
        for name, shape in wanted.items()
        for names in (meta_names(name),)
        for theirs in names
    }
    check_shapes(path, expected, shapes_of(state))
    return network, {name: _joined(state, meta_names(name)) for name in wanted}


def meta_names(name: str) -> tuple[str, ...]:
    """What Meta calls an entry of transformers' `Sam2VideoModel`.

    Four names for the one table of point embeddings, of which Meta keeps each row by itself.
    """
    if name in TWINS:
        return ("sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",)
    if name == "prompt_encoder.point_embed.weight":
        return tuple(f"sam_prompt_encoder.point_embeddings.{row}.weight" for row in range(4))
    for pattern, replacement in _RENAMED:
        name = pattern.sub(replacement, name)
    return (name,)


def _renamed() -> Iterator[tuple[str, str]]:
    """Regular expressions and what takes their place, to be applied in this order."""
    # Heads of three layers, then the two layers within transformers' blocks.
    heads = r"(output_hypernetworks_mlps\.\d|iou_prediction_head|pred_obj_score_head|pointer_proj)"
    yield rf"{heads}\.layers\.0\.", r"\1.layers.1."
    yield rf"{heads}\.proj_in\.", r"\1.layers.0."
    yield rf"{heads}\.proj_out\.", r"\1.layers.2."
    yield r"\.mlp\.proj_in\.", ".mlp.layers.0."
    yield r"\.mlp\.proj_out\.", ".mlp.layers.1."
    # Sequences whose members transformers names: (layer, norm, activation) and so on.
    yield r"\.mask_embed\.conv1\.", ".mask_downscaling.0."
    yield r"\.mask_embed\.layer_norm1\.", ".mask_downscaling.1."
    yield r"\.mask_embed\.conv2\.", ".mask_downscaling.3."
    yield r"\.mask_embed\.layer_norm2\.", ".mask_downscaling.4."
    yield r"\.mask_embed\.conv3\.", ".mask_downscaling.6."
    yield r"\.upscale_conv1\.", ".output_upscaling.0."
    yield r"\.upscale_layer_norm\.", ".output_upscaling.1."
    yield r"\.upscale_conv2\.", ".output_upscaling.3."
    for layer in range(4):
        yield (
            rf"\.mask_downsampler\.layers\.{layer}\.conv\.",
            f".mask_downsampler.encoder.{3 * layer}.",
        )
        yield (
            rf"\.mask_downsampler\.layers\.{layer}\.layer_norm\.",
            f".mask_downsampler.encoder.{3 * layer + 1}.",
        )
    yield r"\.mask_downsampler\.final_conv\.", ".mask_downsampler.encoder.12."
    # Parts and their members.
    yield r"^vision_encoder\.backbone\.", "image_encoder.trunk."
    yield r"^vision_encoder\.neck\.convs\.(\d)\.", r"image_encoder.neck.convs.\1.conv."
    yield r"\.patch_embed\.projection\.", ".patch_embed.proj."
    yield r"^(prompt_encoder|mask_decoder)\.", r"sam_\1."
    yield r"^memory_encoder\.feature_projection\.", "memory_encoder.pix_feat_proj."
    yield r"^memory_encoder\.projection\.", "memory_encoder.out_proj."
    yield r"^memory_encoder\.memory_fuser\.", "memory_encoder.fuser."
    yield r"\.depthwise_conv\.", ".dwconv."
    yield r"\.pointwise_conv(\d)\.", r".pwconv\1."
    yield r"\.scale$", ".gamma"
    yield r"\.o_proj\.", ".out_proj."
    yield r"\.layer_norm", ".norm"
    # What stands alone.
    yield r"^memory_temporal_positional_encoding$", "maskmem_tpos_enc"
    yield r"^no_memory_embedding$", "no_mem_embed"
    yield r"^no_memory_positional_encoding$", "no_mem_pos_enc"
    yield r"^no_object_pointer$", "no_obj_ptr"
    yield r"^occlusion_spatial_embedding_parameter$", "no_obj_embed_spatial"
    yield r"^object_pointer_proj\.", "obj_ptr_proj."
    yield r"^temporal_positional_encoding_projection_layer\.", "obj_ptr_tpos_proj."


_RENAMED = tuple((re.compile(pattern), replacement) for pattern, replacement in _renamed())

_SINCE_2_1 = ("no_obj_embed_spatial", "obj_ptr_tpos_proj.weight", "obj_ptr_tpos_proj.bias")
"""What SAM 2.1 has and SAM 2.0 has not; the files of one layout are otherwise the other's."""


def _joined(state: Mapping[str, Tensor], names: Sequence[str]) -> Tensor:
    return state[names[0]] if len(names) == 1 else torch.cat([state[name] for name in names])


def _config(state: Mapping[str, Tensor]) -> Sam2VideoConfig:
    """Of the network that these tensors are of, or come closest to."""
    newer = any(name in state for name in _SINCE_2_1)
    return Sam2VideoConfig(
        vision_config=_nearest_trunk(state).config(),
        enable_occlusion_spatial_embedding=newer,
        enable_temporal_pos_encoding_for_object_pointers=newer,
    )


def _nearest_trunk(state: Mapping[str, Tensor]) -> Trunk:
    """The sizes differ in depth; what of a size does not fit is for the check to name."""
    pattern = re.compile(r"image_encoder\.trunk\.blocks\.(\d+)\.")
    found = {int(match[1]) for name in state if (match := pattern.match(name))}
    return min(TRUNKS, key=lambda trunk: abs(sum(trunk.blocks) - len(found)))


def _refuse_other_names(path: Path, state: Mapping[str, Tensor]) -> None:
    if any(name.startswith("image_encoder.") for name in state):
        return
    if any(name.startswith("vision_encoder.") for name in state):
        raise CheckpointError(
            f"{path} has transformers' names, and needs its config.json: give the folder of both"
        )
    first = ", ".join(list(state)[:3])
    raise CheckpointError(
        f"{path} is no SAM2 checkpoint: expected Meta's entries, such as "
        f"image_encoder.trunk.pos_embed, got {len(state)} others: {first}, …"
    )
