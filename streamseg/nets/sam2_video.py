"""SAM2's video network in parts of static shapes, over the weights of transformers' models.

What a propagator calls per frame: `ImageEncoder`, `MemoryAttention`, `TrackDecoder` and
`MemoryEncoder`; on the frame where an object is given: `SeedEncoder`. Each forward takes and gives
plain tensors, n objects at a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from streamseg.borders.json_file import JsonFileError, read_json
from streamseg.errors import CheckpointError, MissingDependencyError
from streamseg.nets.sam2 import with_twins
from streamseg.nets.sam2_decoder import Decided, MaskDecoder
from streamseg.nets.sam2_image import ImageEncoder, image_positions
from streamseg.nets.sam2_memory import MemoryAttention, Positions
from streamseg.weights.checkpoints import check_shapes, read_state, shapes_of

try:
    from transformers import Sam2VideoConfig, Sam2VideoModel
except ImportError:
    raise MissingDependencyError(
        "transformers", "neural", "Sam2VideoModel needs 5.0 or newer."
    ) from None

NO_OBJECT = -1024.0
"""Logit of every pixel when the object is not there."""


class Sam2Video(nn.Module):
    """All parts of SAM2 for video, sharing weights.

    Attributes:
        size: Pictures are size × size.
        grid: Height and width of the embedding.
        channels: C, of the embedding and of a pointer.
        memory_channels: M, of a memory.
        memory_frames: Memories that an object keeps: the given one and the latest.
        pointers: Pointers that an object keeps, likewise.

    Args:
        network: transformers' `Sam2VideoModel`; its layers are shared, not copied.
    """

    def __init__(self, network: Sam2VideoModel) -> None:
        super().__init__()
        config: Any = network.config
        self.size = int(config.image_size)
        self.grid = cast(tuple[int, int], tuple(config.vision_config.backbone_feature_sizes[-1]))
        self.channels, self.memory_channels = int(network.hidden_dim), int(network.mem_dim)
        self.memory_frames = int(config.num_maskmem)
        self.pointers = int(config.max_object_pointers_in_encoder)
        self.image_encoder = ImageEncoder(network)
        self.memory_attention = _memory_attention(network, self.grid)
        self.track_decoder = TrackDecoder(network)
        self.memory_encoder = MemoryEncoder(network)
        self.seed_encoder = SeedEncoder(network, self.memory_encoder)
        self.train(False).requires_grad_(False)

    def look(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What every other part reads of a picture (1, 3, S, S): see `ImageEncoder`."""
        return cast(tuple[Tensor, Tensor, Tensor], self.image_encoder(image))

    def attend(self, embedding: Tensor, bank: Sequence[Tensor]) -> Tensor:
        """See `MemoryAttention`; `bank` is memory, ages, pointers, since."""
        return cast(Tensor, self.memory_attention(embedding, *bank))

    def track(
        self, conditioned: Tensor, middle: Tensor, fine: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (n, S/4, S/4), pointer (n, C), presence (n, 1): see `TrackDecoder`."""
        logits, _, pointer, presence = self.track_decoder(conditioned, middle, fine)
        return logits, pointer, presence

    def remember(self, embedding: Tensor, logits: Tensor, presence: Tensor) -> Tensor:
        """See `MemoryEncoder`."""
        return cast(Tensor, self.memory_encoder(embedding, logits, presence))

    def seed(self, embedding: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Memory (1, h·w, M) and pointer (1, C) of a mask (1, S, S): see `SeedEncoder`."""
        return cast(tuple[Tensor, Tensor], self.seed_encoder(embedding, mask))

    @property
    def device(self) -> torch.device:
        return self.memory_attention.memory.device

    @property
    def dtype(self) -> torch.dtype:
        return self.memory_attention.memory.dtype


class TrackDecoder(nn.Module):
    """A conditioned embedding to the object's mask, without any prompt."""

    blank: Tensor

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.head = _PointerHead(network)
        blank = network.prompt_encoder.no_mask_embed.weight[0]
        self.register_buffer("blank", blank.detach()[None, :, None, None])

    def forward(
        self, conditioned: Tensor, middle: Tensor, fine: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Decode n objects.

        Args:
            conditioned: (n, C, h, w), of `MemoryAttention`.
            middle, fine: Of `ImageEncoder`.

        Returns:
            In float32: logits (n, S/4, S/4) of the candidate with the best predicted IoU,
            that IoU (n, 1), the pointer (n, C), and the logit that the object is there (n, 1).
        """
        decided, best, pointer = self.head(conditioned + self.blank)
        there = decided.presence > 0
        logits = self.head.decoder.paint(decided, middle, fine)
        plane = best[:, :, None, None].expand(-1, -1, *logits.shape[2:])
        chosen = logits.gather(1, plane).squeeze(1).float()
        chosen = torch.where(there.unsqueeze(2), chosen, NO_OBJECT)
        iou = decided.iou.gather(1, best)
        return chosen, iou.float(), pointer.float(), decided.presence.float()


class MemoryEncoder(nn.Module):
    """A frame's embedding and an object's mask on it to a memory."""

    occluded: Tensor

    def __init__(self, network: Any) -> None:
        super().__init__()
        encoder = network.memory_encoder
        self.downsampler, self.features = encoder.mask_downsampler, encoder.feature_projection
        self.fuser, self.projection = encoder.memory_fuser, encoder.projection
        self.size = int(network.image_size)
        self.scale = float(network.config.sigmoid_scale_for_mem_enc)
        self.shift = float(network.config.sigmoid_bias_for_mem_enc)
        occluded = network.occlusion_spatial_embedding_parameter
        if occluded is None:
            occluded = torch.zeros(1, network.mem_dim)
        self.register_buffer("occluded", occluded.detach()[:, None])

    def forward(self, embedding: Tensor, logits: Tensor, presence: Tensor) -> Tensor:
        """Remember n objects.

        Args:
            embedding: (1, C, h, w), of `ImageEncoder`.
            logits: (n, S/4, S/4) float32, of `TrackDecoder`.
            presence: (n, 1) float32, likewise.

        Returns:
            (n, h·w, M).
        """
        size = (self.size, self.size)
        full = F.interpolate(logits[:, None], size=size, mode="bilinear", align_corners=False)
        return self.remember(embedding, full.sigmoid(), presence)

    def remember(self, embedding: Tensor, masks: Tensor, presence: Tensor) -> Tensor:
        """As `forward`, of masks (n, 1, S, S) float32 in [0, 1]."""
        dtype = embedding.dtype
        masks = self.downsampler((masks * self.scale + self.shift).to(dtype))
        fused = self.projection(self.fuser(self.features(embedding) + masks))
        hidden = (presence <= 0).to(dtype).unsqueeze(2) * self.occluded
        return cast(Tensor, fused).flatten(2).transpose(1, 2) + hidden


class SeedEncoder(nn.Module):
    """A given mask to what is remembered of it: it is taken as it is, not predicted again."""

    def __init__(self, network: Any, memory: MemoryEncoder) -> None:
        super().__init__()
        self.head, self.memory = _PointerHead(network), memory
        self.downsample = network.mask_downsample
        self.embed = network.prompt_encoder.mask_embed

    def forward(self, embedding: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Take in n objects.

        Args:
            embedding: (1, C, h, w), of `ImageEncoder`.
            masks: (n, S, S) float32, 0 or 1.

        Returns:
            The memory (n, h·w, M) and the pointer (n, C) float32.
        """
        given = masks[:, None]
        dense = self.embed(self.downsample(given.to(embedding.dtype)))
        _, _, pointer = self.head(embedding + dense)
        there = masks.flatten(1).amax(1, keepdim=True) > 0
        pointer = torch.where(there, pointer, self.head.no_pointer)
        memory = self.memory.remember(embedding, given, there.float() * 2 - 1)
        return memory, pointer.float()


class _PointerHead(nn.Module):
    """The mask decoder without a prompt, choosing one candidate, and the pointer it leaves."""

    no_point: Tensor
    no_pointer: Tensor

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.decoder = MaskDecoder(network.mask_decoder, image_positions(network))
        self.project = network.object_pointer_proj
        self.register_buffer("no_point", network.prompt_encoder.not_a_point_embed.weight.detach())
        self.register_buffer("no_pointer", network.no_object_pointer.detach())

    def forward(self, image: Tensor) -> tuple[Decided, Tensor, Tensor]:
        """The decision, its best candidate (n, 1) of the last three, and the pointer (n, C)."""
        # A prompt of no point at all is two NO_POINTs.
        decided = self.decoder(image, self.no_point.expand(image.shape[0], 2, -1), None)
        best = decided.iou[:, 1:].argmax(1, keepdim=True) + 1
        row = best.unsqueeze(2).expand(-1, -1, decided.tokens.shape[2])
        token = decided.tokens.gather(1, row).squeeze(1)
        pointer = torch.where(decided.presence > 0, self.project(token), self.no_pointer)
        return decided, best, pointer


def _memory_attention(network: Any, grid: tuple[int, int]) -> MemoryAttention:
    config, device = network.config, network.no_memory_embedding.device
    pixels = _sine_grid(network.hidden_dim, grid).to(device)
    memory = _sine_grid(network.mem_dim, grid).to(device)
    ages = network.memory_temporal_positional_encoding.detach()[:, 0, 0]
    timed = config.enable_temporal_pos_encoding_for_object_pointers
    pointer = network.temporal_positional_encoding_projection_layer if timed else None
    span = int(config.max_object_pointers_in_encoder) - 1
    positions = Positions(pixels[None], memory, ages, pointer, span)
    return MemoryAttention(network.memory_attention, positions, grid)


def _sine_grid(channels: int, grid: tuple[int, int]) -> Tensor:
    """(h·w, channels): sines and cosines of y, then of x, as in DETR."""
    half = channels // 2
    speed = 10000.0 ** (2 * torch.div(torch.arange(half), 2, rounding_mode="floor") / half)

    def waves(length: int) -> Tensor:
        place = torch.arange(1, length + 1) / (length + 1e-6) * 2 * math.pi
        angles = place[:, None] / speed
        return torch.stack((angles[:, 0::2].sin(), angles[:, 1::2].cos()), 2).flatten(1)

    height, width = grid
    down = waves(height)[:, None].expand(-1, width, -1)
    across = waves(width)[None].expand(height, -1, -1)
    return torch.cat((down, across), 2).flatten(0, 1)


# ── from files ───────────────────────────────────────────────────────────────────────────────


def sam2_video_from_folder(folder: Path) -> Sam2Video:
    """Load a `facebook/sam2.1-*` folder: float32 on the CPU, in eval mode.

    Raises:
        CheckpointError: A file is missing or damaged, or some key does not fit; each is named.
    """
    network = _empty(folder / "config.json")
    path = folder / "model.safetensors"
    state = with_twins(read_state(path))
    expected = shapes_of(network.state_dict())
    check_shapes(path, expected, shapes_of(state))
    network.load_state_dict({key: state[key].float() for key in expected}, assign=True)
    return Sam2Video(network)


def _empty(path: Path) -> Sam2VideoModel:
    """The network that a config.json describes, without memory behind its weights."""
    try:
        values = read_json(path)
    except (FileNotFoundError, JsonFileError) as error:
        raise CheckpointError(
            f"{path} is not readable: {error}; give a folder with config.json and "
            "model.safetensors, as facebook/sam2.1-hiera-tiny has them on the hub"
        ) from None
    kind = values.get("model_type") if isinstance(values, dict) else None
    if kind != "sam2_video":
        raise CheckpointError(
            f"{path}: expected model_type sam2_video, got {str(kind)[:60]!r}; an image network "
            "has no memory: give a SAM2 folder as facebook/sam2.1-* has them"
        )
    # What transformers 4.56 called the rotary base, as the public configs do.
    if theta := values.pop("memory_attention_rope_theta", None):
        values["rope_parameters"] = {"rope_theta": theta}
    try:
        config = Sam2VideoConfig.from_dict(values)
        with torch.device("meta"):
            network = Sam2VideoModel(config)
    except Exception as error:  # noqa: BLE001 - a wrong value surfaces wherever it is first used
        detail = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path} does not describe a SAM2 video network: {detail}") from None
    if not _chooses_among_candidates(config):
        raise CheckpointError(
            f"{path}: expected a network that chooses among candidates while tracking, as "
            "facebook/sam2.1-* do; this one is configured not to"
        )
    return network


def _chooses_among_candidates(config: Any) -> bool:
    return bool(
        config.multimask_output_in_sam
        and config.multimask_output_for_tracking
        and config.multimask_min_pt_num == 0
        and config.mask_decoder_config.num_multimask_outputs > 1
    )
