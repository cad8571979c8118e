"""Every entry of SAM2's two layouts, written down from Meta's module definitions, for any size.

The source is `sam2/modeling` and `sam2/configs` of github.com/facebookresearch/sam2: what a module
there calls its layers, in Meta's words, and beside it the name of the same layer in transformers.
Nothing here is taken from `streamseg.nets.sam2_meta`, which is held against it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

DIM, MEMORY = 256, 64


@dataclass(frozen=True)
class Size:
    """What a size's config gives, and the millions of parameters that Meta's README tells of it."""

    name: str
    embed_dim: int
    num_heads: int
    stages: tuple[int, ...]
    global_att_blocks: tuple[int, ...]
    window_spec: tuple[int, ...]
    background: int
    millions: float
    entries: int

    @property
    def dims(self) -> list[int]:
        return [self.embed_dim * factor for factor in (1, 2, 4, 8)]


# The last column counts transformers' entries, in which the shared matrix stands twice.
SIZES = {
    size.name: size
    for size in (
        Size("tiny", 96, 1, (1, 2, 7, 2), (5, 7, 9), (8, 4, 14, 7), 7, 38.9, 469),
        Size("small", 96, 1, (1, 2, 11, 2), (7, 10, 13), (8, 4, 14, 7), 7, 46.0, 517),
        Size("base_plus", 112, 2, (2, 3, 16, 3), (12, 16, 20), (8, 4, 14, 7), 14, 80.8, 613),
        Size("large", 144, 2, (2, 6, 36, 4), (23, 33, 43), (8, 4, 16, 8), 7, 224.4, 901),
    )
}


class Entry(NamedTuple):
    """A tensor's name with Meta, its name in transformers, and its shape with Meta."""

    meta: str
    transformers: str
    shape: tuple[int, ...]


def entries(size: Size, *, version: str = "2.1") -> list[Entry]:
    """Everything in `sam2.1_hiera_{size}.pt`, or in version 2.0's `sam2_hiera_{size}.pt`."""
    parts = (
        _trunk(size),
        _prompt_encoder(),
        _mask_decoder(),
        _memory_attention(),
        _memory_encoder(),
        _base(),
    )
    since_2_1 = _base_of_2_1() if version == "2.1" else ()
    return [entry for part in (*parts, since_2_1) for entry in part]


def _layer(meta: str, transformers: str, *shape: int, out: int = 0) -> Iterator[Entry]:
    """A convolution or a linear layer: a weight, and a bias of as many numbers as it gives."""
    yield Entry(f"{meta}.weight", f"{transformers}.weight", shape)
    yield Entry(f"{meta}.bias", f"{transformers}.bias", (out or shape[0],))


def _mlp(meta: str, transformers: str, *widths: int) -> Iterator[Entry]:
    """`MLP`: linear layers in a list; transformers names the first and last and lists the rest."""
    last = len(widths) - 2
    for i, (wide, out) in enumerate(pairwise(widths)):
        name = "proj_in" if i == 0 else "proj_out" if i == last else f"layers.{i - 1}"
        yield from _layer(f"{meta}.layers.{i}", f"{transformers}.{name}", out, wide)


def _attention(
    meta: str, transformers: str, inner: int = DIM, memory: int = DIM
) -> Iterator[Entry]:
    """`Attention`, of keys and values `memory` wide, computing `inner` wide."""
    yield from _layer(f"{meta}.q_proj", f"{transformers}.q_proj", inner, DIM)
    yield from _layer(f"{meta}.k_proj", f"{transformers}.k_proj", inner, memory)
    yield from _layer(f"{meta}.v_proj", f"{transformers}.v_proj", inner, memory)
    yield from _layer(f"{meta}.out_proj", f"{transformers}.o_proj", DIM, inner)


def _trunk(size: Size) -> Iterator[Entry]:
    """`Hiera` and `FpnNeck`: a stage's first block takes the width before and gives its own."""
    meta, ours = "image_encoder.trunk", "vision_encoder.backbone"
    background, window = size.background, size.window_spec[0]
    wide = size.embed_dim
    yield Entry(f"{meta}.pos_embed", f"{ours}.pos_embed", (1, wide, background, background))
    yield Entry(f"{meta}.pos_embed_window", f"{ours}.pos_embed_window", (1, wide, window, window))
    yield from _layer(f"{meta}.patch_embed.proj", f"{ours}.patch_embed.projection", wide, 3, 7, 7)
    block = 0
    for dim, depth in zip(size.dims, size.stages, strict=True):
        for _ in range(depth):
            yield from _block(f"{meta}.blocks.{block}", f"{ours}.blocks.{block}", wide, dim)
            wide, block = dim, block + 1
    for i, dim in enumerate(reversed(size.dims)):
        neck = f"neck.convs.{i}"
        yield from _layer(f"image_encoder.{neck}.conv", f"vision_encoder.{neck}", DIM, dim, 1, 1)


def _block(meta: str, ours: str, wide: int, dim: int) -> Iterator[Entry]:
    """`MultiScaleBlock`."""
    yield from _layer(f"{meta}.norm1", f"{ours}.layer_norm1", wide)
    yield from _layer(f"{meta}.attn.qkv", f"{ours}.attn.qkv", 3 * dim, wide)
    yield from _layer(f"{meta}.attn.proj", f"{ours}.attn.proj", dim, dim)
    yield from _layer(f"{meta}.norm2", f"{ours}.layer_norm2", dim)
    yield from _mlp(f"{meta}.mlp", f"{ours}.mlp", dim, 4 * dim, dim)
    if wide != dim:
        yield from _layer(f"{meta}.proj", f"{ours}.proj", dim, wide)


def _prompt_encoder() -> Iterator[Entry]:
    meta, ours = "sam_prompt_encoder", "prompt_encoder"
    yield Entry(
        f"{meta}.pe_layer.positional_encoding_gaussian_matrix",
        f"{ours}.shared_embedding.positional_embedding",
        (2, DIM // 2),
    )
    for i in range(4):  # of transformers' four rows each is an embedding of its own
        yield Entry(f"{meta}.point_embeddings.{i}.weight", f"{ours}.point_embed.weight", (1, DIM))
    for name in ("not_a_point_embed.weight", "no_mask_embed.weight"):
        yield Entry(f"{meta}.{name}", f"{ours}.{name}", (1, DIM))
    masks, embed = f"{meta}.mask_downscaling", f"{ours}.mask_embed"
    yield from _layer(f"{masks}.0", f"{embed}.conv1", 4, 1, 2, 2)
    yield from _layer(f"{masks}.1", f"{embed}.layer_norm1", 4)
    yield from _layer(f"{masks}.3", f"{embed}.conv2", 16, 4, 2, 2)
    yield from _layer(f"{masks}.4", f"{embed}.layer_norm2", 16)
    yield from _layer(f"{masks}.6", f"{embed}.conv3", DIM, 16, 1, 1)


def _mask_decoder() -> Iterator[Entry]:
    meta, ours = "sam_mask_decoder", "mask_decoder"
    for token, count in (("iou_token", 1), ("mask_tokens", 4), ("obj_score_token", 1)):
        yield Entry(f"{meta}.{token}.weight", f"{ours}.{token}.weight", (count, DIM))
    for i in range(2):
        yield from _two_way(f"{meta}.transformer.layers.{i}", f"{ours}.transformer.layers.{i}")
    final = "transformer.final_attn_token_to_image"
    yield from _attention(f"{meta}.{final}", f"{ours}.{final}", inner=DIM // 2)
    norm = (f"{meta}.transformer.norm_final_attn", f"{ours}.transformer.layer_norm_final_attn")
    yield from _layer(*norm, DIM)
    # Transposed convolutions: the first number of the shape is what comes in.
    up = f"{meta}.output_upscaling"
    yield from _layer(f"{up}.0", f"{ours}.upscale_conv1", DIM, DIM // 4, 2, 2, out=DIM // 4)
    yield from _layer(f"{up}.1", f"{ours}.upscale_layer_norm", DIM // 4)
    yield from _layer(f"{up}.3", f"{ours}.upscale_conv2", DIM // 4, DIM // 8, 2, 2, out=DIM // 8)
    yield from _layer(f"{meta}.conv_s0", f"{ours}.conv_s0", DIM // 8, DIM, 1, 1)
    yield from _layer(f"{meta}.conv_s1", f"{ours}.conv_s1", DIM // 4, DIM, 1, 1)
    for i in range(4):
        head = f"output_hypernetworks_mlps.{i}"
        yield from _mlp(f"{meta}.{head}", f"{ours}.{head}", DIM, DIM, DIM, DIM // 8)
    for head, out in (("iou_prediction_head", 4), ("pred_obj_score_head", 1)):
        yield from _mlp(f"{meta}.{head}", f"{ours}.{head}", DIM, DIM, DIM, out)


def _two_way(meta: str, ours: str) -> Iterator[Entry]:
    """`TwoWayAttentionBlock`."""
    yield from _attention(f"{meta}.self_attn", f"{ours}.self_attn")
    for name in ("cross_attn_token_to_image", "cross_attn_image_to_token"):
        yield from _attention(f"{meta}.{name}", f"{ours}.{name}", inner=DIM // 2)
    yield from _mlp(f"{meta}.mlp", f"{ours}.mlp", DIM, 2048, DIM)
    for i in range(1, 5):
        yield from _layer(f"{meta}.norm{i}", f"{ours}.layer_norm{i}", DIM)


def _memory_attention() -> Iterator[Entry]:
    for i in range(4):
        at = f"memory_attention.layers.{i}"
        yield from _attention(f"{at}.self_attn", f"{at}.self_attn")
        yield from _attention(f"{at}.cross_attn_image", f"{at}.cross_attn_image", memory=MEMORY)
        yield from _layer(f"{at}.linear1", f"{at}.linear1", 2048, DIM)
        yield from _layer(f"{at}.linear2", f"{at}.linear2", DIM, 2048)
        for norm in range(1, 4):
            yield from _layer(f"{at}.norm{norm}", f"{at}.layer_norm{norm}", DIM)
    yield from _layer("memory_attention.norm", "memory_attention.layer_norm", DIM)


def _memory_encoder() -> Iterator[Entry]:
    at = "memory_encoder"
    masks = f"{at}.mask_downsampler"
    wide = 1
    for i in range(4):  # convolution, norm, activation
        own = f"{masks}.layers.{i}"
        yield from _layer(f"{masks}.encoder.{3 * i}", f"{own}.conv", 4 * wide, wide, 3, 3)
        yield from _layer(f"{masks}.encoder.{3 * i + 1}", f"{own}.layer_norm", 4 * wide)
        wide *= 4
    yield from _layer(f"{masks}.encoder.12", f"{masks}.final_conv", DIM, DIM, 1, 1)
    yield from _layer(f"{at}.pix_feat_proj", f"{at}.feature_projection", DIM, DIM, 1, 1)
    for i in range(2):
        meta, ours = f"{at}.fuser.layers.{i}", f"{at}.memory_fuser.layers.{i}"
        yield from _layer(f"{meta}.dwconv", f"{ours}.depthwise_conv", DIM, 1, 7, 7)
        yield from _layer(f"{meta}.norm", f"{ours}.layer_norm", DIM)
        yield from _layer(f"{meta}.pwconv1", f"{ours}.pointwise_conv1", 4 * DIM, DIM)
        yield from _layer(f"{meta}.pwconv2", f"{ours}.pointwise_conv2", DIM, 4 * DIM)
        yield Entry(f"{meta}.gamma", f"{ours}.scale", (DIM,))
    yield from _layer(f"{at}.out_proj", f"{at}.projection", MEMORY, DIM, 1, 1)


def _base() -> Iterator[Entry]:
    """What `SAM2Base` itself holds."""
    yield Entry("maskmem_tpos_enc", "memory_temporal_positional_encoding", (7, 1, 1, MEMORY))
    yield Entry("no_mem_embed", "no_memory_embedding", (1, 1, DIM))
    yield Entry("no_mem_pos_enc", "no_memory_positional_encoding", (1, 1, DIM))
    yield Entry("no_obj_ptr", "no_object_pointer", (1, DIM))
    yield from _layer("mask_downsample", "mask_downsample", 1, 1, 4, 4)
    yield from _mlp("obj_ptr_proj", "object_pointer_proj", DIM, DIM, DIM, DIM)


def _base_of_2_1() -> Iterator[Entry]:
    ours = "temporal_positional_encoding_projection_layer"
    yield from _layer("obj_ptr_tpos_proj", ours, MEMORY, DIM)
    yield Entry("no_obj_embed_spatial", "occlusion_spatial_embedding_parameter", (1, MEMORY))


# ── the same weights in both layouts ─────────────────────────────────────────────────────────


def random_tensors(listed: list[Entry], seed: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """A tensor of its own for each of Meta's names, scaled by the fan-in; norms near 1.

    They are cut out of one pool of normal numbers, at places that depend on the seed: for the
    large size that is many times quicker than drawing each.
    """
    generator = torch.Generator().manual_seed(seed)
    largest = max(torch.Size(entry.shape).numel() for entry in listed)
    pool = torch.randn(largest + 100_003, generator=generator)
    tensors = {}
    for i, (name, _, shape) in enumerate(listed):
        numel = torch.Size(shape).numel()
        start = (i * 7_919 + seed) % 100_003
        values = pool[start : start + numel].reshape(shape)
        if len(shape) == 1:
            values = 0.1 * values + (1.0 if "norm" in name and name.endswith("weight") else 0.0)
        elif "embed" not in name:
            values = values / torch.Size(shape[1:]).numel() ** 0.5
        tensors[name] = values.to(dtype).clone()
    tensors["sam_mask_decoder.pred_obj_score_head.layers.2.bias"] += 3  # something is there to see
    return tensors


def write_meta(path: Path, tensors: dict[str, Tensor]) -> Path:
    """As Meta writes: a torch file of {"model": tensors}."""
    torch.save({"model": tensors}, path)
    return path


def write_transformers(
    folder: Path, size: Size, listed: list[Entry], tensors: dict[str, Tensor]
) -> Path:
    """As `facebook/sam2.1-*` on the hub: config.json and model.safetensors."""
    from safetensors.torch import save_file

    state: dict[str, list[Tensor]] = {}
    for entry in listed:
        state.setdefault(entry.transformers, []).append(tensors[entry.meta])
    joined = {name: torch.cat(rows) if len(rows) > 1 else rows[0] for name, rows in state.items()}
    # transformers keeps the matrix that encodes points a second time, for pixels.
    shared = joined["prompt_encoder.shared_embedding.positional_embedding"]
    joined["shared_image_embedding.positional_embedding"] = shared.clone()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(joined, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(published_config(size)))
    return folder


def published_config(size: Size) -> dict[str, Any]:
    """A config.json in the form of the hub's, which transformers 4.56 wrote: every value spelt out.

    That version kept the rotary encoding's base as `memory_attention_rope_theta`.
    """
    config: dict[str, Any] = json.loads(
        (Path(__file__).parent / "data" / "sam2.1_config.json").read_text()
    )
    vision = config["vision_config"]
    vision["backbone_channel_list"] = size.dims[::-1]
    vision["backbone_config"].update(
        hidden_size=size.embed_dim,
        num_attention_heads=size.num_heads,
        embed_dim_per_stage=size.dims,
        blocks_per_stage=list(size.stages),
        num_attention_heads_per_stage=[size.num_heads * factor for factor in (1, 2, 4, 8)],
        global_attention_blocks=list(size.global_att_blocks),
        window_size_per_stage=list(size.window_spec),
        window_positional_embedding_background_size=[size.background, size.background],
    )
    return config
