"""SAM2's memory attention over a bank of fixed size: every shape is static, empty slots are masked.

SAM 2, section 4: the frame attends to itself and to the object's memories. The rotary encoding is
real-valued. Two things are folded into the weights, at equal results: query and key channels are
reordered, so that a rotation mixes two halves in place of neighbours; and values are read before
they are projected, which for a memory of 64 channels is a quarter of the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from streamseg.nets.rows import by_rows

_EMPTY = -1e4
"""Added to the similarity of an empty slot: small enough for a weight of exactly 0."""


@dataclass(frozen=True)
class Positions:
    """What memory attention adds to pixels and memories so that they know their place.

    Attributes:
        image: (1, h·w, C), of the frame's own pixels.
        memory: (h·w, M), of a memory's pixels.
        ages: (frames, M), by age: row a - 1 for a frame a steps ago, the last row for the
            frame that was given.
        pointer: (C → M) projection of a pointer's age in sines; None: pointers have no age.
        pointer_span: Steps that make an age of 1 in the sines.
    """

    image: Tensor
    memory: Tensor
    ages: Tensor
    pointer: nn.Linear | None
    pointer_span: int


class MemoryAttention(nn.Module):
    """A frame's embedding, conditioned on what is remembered of each object.

    Args:
        attention: transformers' `Sam2VideoMemoryAttention`, whose layers are used.
        positions: See there.
        grid: Height and width of the embedding.
        rows: Queries that are compared at a time: enough for a product to be worth laying the
            keys out, few enough for the similarities to stay small; at 1024² all of them at once
            are 470 MB an object. 0: all.
    """

    image: Tensor
    memory: Tensor
    ages: Tensor

    def __init__(
        self, attention: Any, positions: Positions, grid: tuple[int, int], rows: int = 512
    ) -> None:
        super().__init__()
        self.grid, self.pointer_span = grid, positions.pointer_span
        rotation = Rotation(attention.config, grid)
        self.layers = nn.ModuleList(Layer(layer, rotation, rows) for layer in attention.layers)
        self.layer_norm = attention.layer_norm
        self.pointer = positions.pointer
        self.register_buffer("image", 0.1 * positions.image)
        self.register_buffer("memory", positions.memory)
        self.register_buffer("ages", positions.ages)

    def compare(self, rows: int) -> None:
        """Take `rows` queries at a time from now on; see above."""
        for module in self.modules():
            if isinstance(module, Attention):
                module.rows = rows

    def forward(
        self, embedding: Tensor, memory: Tensor, ages: Tensor, pointers: Tensor, since: Tensor
    ) -> Tensor:
        """Condition on n objects' memories.

        Args:
            embedding: (1, C, h, w) of the frame.
            memory: (n, F, h·w, M), in any order.
            ages: (n, F) int64: how many steps ago each was made; 0 for the frame on which
                the object was given, -1 for an empty slot.
            pointers: (n, P, C), in any order.
            since: (n, P) int64: how many steps ago each was made; -1 for an empty slot.

        Returns:
            (n, C, h, w).
        """
        dtype = embedding.dtype
        pixels = embedding.flatten(2).transpose(1, 2) + self.image
        tokens, placed = self._pointer_tokens(pointers.to(dtype), since)
        values = memory.to(dtype)
        keys = values + (self.memory + self.ages[_row(ages, len(self.ages))].unsqueeze(2))
        bank = Bank(
            keys,
            placed,
            torch.cat((values.flatten(1, 2), tokens), 1),
            self._bias(ages, since, tokens, dtype),
        )
        for layer in self.layers:
            pixels = layer(pixels, bank)
        conditioned = cast(Tensor, self.layer_norm(pixels)).transpose(1, 2)
        return conditioned.reshape(*conditioned.shape[:2], *self.grid)

    def _pointer_tokens(self, pointers: Tensor, since: Tensor) -> tuple[Tensor, Tensor]:
        """Pointers (n, P, C) split into tokens (n, T, M), without and with their age."""
        width = self.memory.shape[-1]
        tokens = pointers.reshape(*pointers.shape[:2], -1, width)
        if self.pointer is None:
            placed = tokens
        else:
            sines = _sines(since, self.pointer_span, pointers.shape[-1])
            placed = tokens + self.pointer(sines.to(pointers.dtype)).unsqueeze(2)
        return tokens.flatten(1, 2), placed.flatten(1, 2)

    def _bias(self, ages: Tensor, since: Tensor, tokens: Tensor, dtype: torch.dtype) -> Tensor:
        """(n, 1, 1, F·h·w + T): 0 where there is something to read."""
        pixels = self.memory.shape[0]
        split = tokens.shape[1] // since.shape[1]
        empty = torch.cat(
            (
                (ages < 0).unsqueeze(2).expand(-1, -1, pixels).flatten(1),
                (since < 0).unsqueeze(2).expand(-1, -1, split).flatten(1),
            ),
            1,
        )
        return (empty.to(dtype) * _EMPTY)[:, None, None]


@dataclass(frozen=True)
class Bank:
    """What a layer reads: keys (n, F, h·w, M) and (n, T, M), values (n, K, M), bias over K."""

    keys: Tensor
    pointer_keys: Tensor
    values: Tensor
    bias: Tensor


class Layer(nn.Module):
    """Self-attention, attention to the bank, and a feed-forward network, each with a residual."""

    def __init__(self, layer: Any, rotation: Rotation, rows: int) -> None:
        super().__init__()
        self.rotation = rotation
        self.own = Attention(layer.self_attn, rows)
        self.bank = Attention(layer.cross_attn_image, rows)
        self.norms = nn.ModuleList((layer.layer_norm1, layer.layer_norm2, layer.layer_norm3))
        self.feed = nn.Sequential(layer.linear1, layer.activation, layer.linear2)

    def forward(self, pixels: Tensor, bank: Bank) -> Tensor:
        """Pixels (n or 1, h·w, C) to (n, h·w, C); 1 stands for all objects alike."""
        turn = self.rotation
        normed = self.norms[0](pixels)
        query, key = turn(self.own.queries(normed)), turn(self.own.keys(normed))
        pixels = pixels + self.own(query, key, normed, None)

        query = turn(self.bank.queries(self.norms[1](pixels)))
        frames = turn(self.bank.keys(bank.keys).transpose(1, 2)).flatten(2, 3)
        keys = torch.cat((frames, self.bank.keys(bank.pointer_keys)), 2)
        pixels = pixels + self.bank(query, keys, bank.values, bank.bias)

        return pixels + cast(Tensor, self.feed(self.norms[2](pixels)))


class Attention(nn.Module):
    """Attention whose values are read as they are, and projected after.

    With A the weights, whose rows sum to 1: (A (x V + v)) O + o = A x (V O) + (v O + o).
    """

    def __init__(self, layer: Any, rows: int) -> None:
        super().__init__()
        self.heads, self.rows = int(layer.num_attention_heads), rows
        self.query = _by_halves(layer.q_proj, self.heads, float(layer.scaling))
        self.key = _by_halves(layer.k_proj, self.heads, 1.0)
        self.out = _folded(layer.v_proj, layer.o_proj, self.heads)

    def queries(self, tokens: Tensor) -> Tensor:
        """(…, L, C) to (…, heads, L, D)."""
        return self._by_head(self.query(tokens))

    def keys(self, tokens: Tensor) -> Tensor:
        """(…, L, M) to (…, heads, L, D)."""
        return self._by_head(self.key(tokens))

    def _by_head(self, tokens: Tensor) -> Tensor:
        return tokens.reshape(*tokens.shape[:-1], self.heads, -1).transpose(-3, -2)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        """Query (n or 1, heads, Q, D), key (n, heads, K, D), value (n, K, M) to (n, Q, C)."""
        rows = self.rows or query.shape[2]
        read = by_rows(query, key.transpose(2, 3), value.unsqueeze(1), bias, rows)
        return cast(Tensor, self.out(read.transpose(1, 2).flatten(2)))


class Rotation(nn.Module):
    """The axial rotary encoding (SAM 2, appendix D.1): real, for channels in two halves."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: Any, grid: tuple[int, int]) -> None:
        super().__init__()
        inner = config.memory_attention_hidden_size // config.memory_attention_downsample_rate
        quarter = inner // config.memory_attention_num_attention_heads // 4
        theta = float(config.rope_parameters["rope_theta"])
        speed = theta ** (-torch.arange(quarter, dtype=torch.float32) / quarter)
        y, x = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
        angles = torch.cat((x.reshape(-1, 1) * speed, y.reshape(-1, 1) * speed), 1)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, tokens: Tensor) -> Tensor:
        """(…, h·w, D) rotated by each pixel's place."""
        first, second = tokens.chunk(2, -1)
        return torch.cat(
            (first * self.cos - second * self.sin, second * self.cos + first * self.sin), -1
        )


def _by_halves(linear: nn.Linear, heads: int, scale: float) -> nn.Linear:
    """The same projection, scaled; in each head the even channels first, then the odd ones."""
    weight, bias = (
        scale * tensor.detach().reshape(heads, -1, 2, *tensor.shape[1:]).transpose(1, 2)
        for tensor in (linear.weight, linear.bias)
    )
    return _linear(weight.flatten(0, 2), bias.flatten())


def _folded(value: nn.Linear, out: nn.Linear, heads: int) -> nn.Linear:
    """One projection for what each head read, (…, heads · M) to (…, C)."""
    into = value.weight.detach().reshape(heads, -1, value.in_features)
    onto = out.weight.detach().reshape(out.out_features, heads, -1)
    weight = torch.einsum("chd,hdm->chm", onto, into).flatten(1)
    return _linear(weight, out.bias.detach() + out.weight.detach() @ value.bias.detach())


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    with torch.device("meta"):
        layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight.contiguous(), "bias": bias}, assign=True)
    return layer.requires_grad_(False)


def _row(ages: Tensor, rows: int) -> Tensor:
    """Ages to rows of the table: the frame that was given has the last one."""
    return torch.where(ages > 0, (ages - 1).clamp(max=rows - 1), rows - 1)


def _sines(since: Tensor, span: int, width: int) -> Tensor:
    """Ages (n, P) as (n, P, width) float32 sines and cosines."""
    half = width // 2
    steps = torch.arange(half, device=since.device, dtype=torch.float32)
    speed = 10000.0 ** (2 * torch.div(steps, 2, rounding_mode="floor") / half)
    angles = (since.float() / span).unsqueeze(-1) / speed
    return torch.cat((angles.sin(), angles.cos()), -1)
