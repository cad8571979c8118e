"""Many texts behind shared pictures, in one pass of the language network, nothing computed twice.

Linear steps see all tokens in one row, without padding; in attention a text sees its picture and
itself, side by side with texts of about its length. What comes of it is what transformers computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from streamseg.training.nano.network import NEXT_PLACE, PLACES, picture_prefix

_BEFORE = PLACES.shape[1]
_CHUNKS = 4
"""Texts are sorted by length and cut into so many groups, each padded to its longest."""


@dataclass(frozen=True, slots=True, eq=False)
class _Chunk:
    """Texts that attend side by side.

    Attributes:
        index: (R, S) places of their tokens among all, padded by the first.
        pictures: (R,) whose they are.
        real: (R · S,) which of the padded tokens are there.
        sees: (S, 42 + S) bool: the picture, and of itself what came before.
    """

    index: Tensor
    pictures: Tensor
    real: Tensor
    sees: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Texts behind B pictures.

    Attributes:
        ids: (N,) tokens of all texts, one after another.
        begins: Where each text begins, in the order of the rows.
        places: (N,) positions: each text goes on where its picture ends.
        chunks: The texts by length.
        order: (N,) where in the chunks' tokens, one after another, each token is found.
    """

    ids: Tensor
    begins: NDArray[np.int64]
    places: Tensor
    chunks: tuple[_Chunk, ...]
    order: Tensor

    @classmethod
    def of(cls, rows: Sequence[Sequence[Sequence[int]]]) -> Packed:
        """From tokens by picture and text."""
        texts = [tokens for row in rows for tokens in row]
        lengths = np.asarray([len(tokens) for tokens in texts])
        begins = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        pictures = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        chunks, held = [], []
        for those in np.array_split(np.argsort(lengths, kind="stable"), _CHUNKS):
            if len(those):
                steps = np.arange(lengths[those].max())
                real = steps < lengths[those, None]
                index = np.where(real, begins[those, None] + steps, 0)
                chunks.append(_chunk(index, pictures[those], real))
                held.append(index[real])
        order = np.argsort(np.concatenate(held))
        ids = np.concatenate([np.asarray(tokens) for tokens in texts])
        places = NEXT_PLACE + np.arange(len(ids)) - np.repeat(begins, lengths)
        told = (torch.from_numpy(each) for each in (ids, places, order))
        tokens, at, found = told
        return cls(tokens, begins, at, tuple(chunks), found)


def _chunk(
    index: NDArray[np.int64], pictures: NDArray[np.int64], real: NDArray[np.bool_]
) -> _Chunk:
    length = index.shape[1]
    sees = torch.ones(length, length, dtype=torch.bool).tril()
    sees = torch.cat([torch.ones(length, _BEFORE, dtype=torch.bool), sees], 1)
    found = torch.from_numpy(np.flatnonzero(real))
    return _Chunk(torch.from_numpy(index), torch.from_numpy(pictures), found, sees)


def hidden(network: Any, features: Tensor, packed: Packed) -> Tensor:
    """Last hidden states (N, hidden) of the texts' tokens.

    Args:
        features: (B, 40, hidden), of `network.look`.
    """
    model = network.model.language_model
    count = len(features)
    x = torch.cat([picture_prefix(network, features).flatten(0, 1), model.embed_tokens(packed.ids)])
    places = torch.cat([PLACES.repeat(1, count), packed.places.expand(3, -1)], 1)
    cosines, sines = model.rotary_emb(x, places[:, None])
    half = cosines.shape[-1] // 2
    rotary = cosines[0, :, None, :half], sines[0, :, None, :half]
    for layer in model.layers:
        mixed = _attended(layer, normed(layer.input_layernorm, x), rotary, count, packed)
        x = x + layer.self_attn.o_proj(mixed)
        x = x + layer.mlp(normed(layer.post_attention_layernorm, x))
    return normed(model.norm, x[count * _BEFORE :])


def normed(module: Any, x: Tensor) -> Tensor:
    return F.rms_norm(x, (x.shape[-1],), module.weight, module.variance_epsilon)


def _attended(
    layer: Any, x: Tensor, rotary: tuple[Tensor, Tensor], count: int, packed: Packed
) -> Tensor:
    """What every token reads, (B · 42 + N, hidden): the pictures' first, then the texts'."""
    attention = layer.self_attn
    width = attention.head_dim
    query, key, value = (
        step(x).unflatten(1, (-1, width))
        for step in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    query = turned(normed(attention.q_norm, query), rotary)
    key = turned(normed(attention.k_norm, key), rotary)
    all_ = count * _BEFORE
    pictures = [each[:all_].unflatten(0, (count, _BEFORE)) for each in (query, key, value)]
    texts = [each[all_:] for each in (query, key, value)]
    asked, known, held = (each.transpose(1, 2) for each in pictures)
    read = F.scaled_dot_product_attention(asked, known, held, is_causal=True).transpose(1, 2)
    found = [_of_chunk(chunk, pictures[1:], texts) for chunk in packed.chunks]
    ordered = torch.cat(found).index_select(0, packed.order)
    return torch.cat([read.reshape(all_, -1), ordered])


def _of_chunk(chunk: _Chunk, pictures: Sequence[Tensor], texts: Sequence[Tensor]) -> Tensor:
    """What the tokens of a chunk read, without the padding."""
    rows, length = chunk.index.shape
    flat = chunk.index.flatten()
    query, key, value = (
        each.index_select(0, flat).view(rows, length, *each.shape[1:]) for each in texts
    )
    before = (each.index_select(0, chunk.pictures) for each in pictures)
    key, value = (torch.cat(pair, 1) for pair in zip(before, (key, value), strict=True))
    asked, known, held = (each.transpose(1, 2) for each in (query, key, value))
    read = F.scaled_dot_product_attention(asked, known, held, attn_mask=chunk.sees)
    return read.transpose(1, 2).flatten(2).flatten(0, 1).index_select(0, chunk.real)


def turned(x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    cosines, sines = rotary
    first, second = x.chunk(2, -1)
    return torch.cat((first * cosines - second * sines, second * cosines + first * sines), -1)
