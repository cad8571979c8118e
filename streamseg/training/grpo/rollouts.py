"""Rollouts of the small network: groups of answers by lot, that share what they have in common.

A picture and its sentence are read once for all answers of a group. While these are written, what a
group attends to in common is one matrix product for the whole group; each answer keeps only its own
tokens' keys and values; and answers that have ended are taken out of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from streamseg.training.nano import words
from streamseg.training.nano.network import NEXT_PLACE, PLACES, picture_prefix
from streamseg.training.nano.packing import normed, turned

_END, _PAD = words.IDS[words.END], words.IDS[words.PAD]
_BEFORE = PLACES.shape[1]
_ROOM = 32
"""Tokens by which the room for keys and values grows."""
_WORTH = 0.7
"""Once less than this share of a batch still writes, it is worth the copying to shrink it."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One answer as it was drawn.

    Attributes:
        tokens: With the end, where it came to one.
        chances: Log-probability of each when it was drawn, at the temperature of the lots.
    """

    tokens: tuple[int, ...]
    chances: tuple[float, ...]

    @property
    def ended(self) -> bool:
        """It was not broken off."""
        return self.tokens[-1] == _END


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """What still writes: P groups of G answers.

    Attributes:
        common: Keys and values by layer, (P, heads, L, d) each: picture and sentence.
        hidden: (P, 1, 1, L) float32, minus infinity at the padding of these.
        own: Keys and values by layer, (P, heads, G, room, d) each.
        rows: (P · G,) which answer each is; -1 for a place that is only filled.
        places: (P · G,) position of the next token.
        token: (P · G,) the newest.
    """

    common: list[tuple[Tensor, Tensor]]
    hidden: Tensor
    own: list[tuple[Tensor, Tensor]]
    rows: Tensor
    places: Tensor
    token: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """P and G."""
        groups = len(self.hidden)
        return groups, len(self.rows) // groups

    def with_room(self, written: int) -> _Batch:
        """Room for one more token of each answer."""
        if written < self.own[0][0].shape[3]:
            return self
        wider = (0, 0, 0, _ROOM)
        return replace(self, own=[(F.pad(k, wider), F.pad(v, wider)) for k, v in self.own])

    def only(self, writing: Tensor) -> _Batch:
        """Without those that do not write (P · G,) any more, as far as groups stay groups."""
        groups, size = self.shape
        table = writing.view(groups, size)
        kept = table.any(1).nonzero()[:, 0]
        order = table[kept].int().sort(dim=1, descending=True, stable=True).indices
        order = order[:, : int(table.sum(1).max())]
        flat = (kept[:, None] * size + order).flatten()
        spread = order[:, None, :, None, None]

        def chosen(each: Tensor) -> Tensor:
            _, heads, _, room, width = each.shape
            index = spread.expand(-1, heads, -1, room, width)
            return each.index_select(0, kept).gather(2, index)

        return _Batch(
            [(key[kept], value[kept]) for key, value in self.common],
            self.hidden[kept],
            [(chosen(key), chosen(value)) for key, value in self.own],
            self.rows[flat].masked_fill(~writing[flat], -1),
            self.places[flat],
            self.token[flat],
        )


def log_chances(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Log-probabilities (N, tokens) of the policy that draws at a temperature; at 0 as at 1."""
    return F.log_softmax(logits.float() / (temperature or 1.0), -1)


@torch.no_grad()
def roll(
    network: Any,
    features: Tensor,
    prompts: Sequence[Sequence[int]],
    group: int,
    most: int,
    generator: torch.Generator | None = None,
    temperature: float = 1.0,
) -> list[list[Rollout]]:
    """So many answers to each prompt.

    Args:
        features: (P, 40, hidden): the pictures' tokens, one for each prompt.
        prompts: P lists of tokens, which follow the picture.
        group: Answers to each.
        most: Tokens, after which writing is broken off.
        generator: Of the lots; None: torch's own.
        temperature: Of the lots; 0 for the likeliest token each time.
    """
    states, batch = _read(network, features, prompts, group)
    written: list[list[int]] = [[] for _ in range(len(prompts) * group)]
    chances: list[list[float]] = [[] for _ in written]
    for at in range(most):
        told = log_chances(network.lm_head(states), temperature)
        token = _drawn(told, temperature, generator)
        drawn = told.gather(1, token[:, None])[:, 0].tolist()
        for row, new, chance in zip(batch.rows.tolist(), token.tolist(), drawn, strict=True):
            if row >= 0:
                written[row].append(new)
                chances[row].append(chance)
        batch = replace(batch, rows=batch.rows.masked_fill(token == _END, -1), token=token)
        writing = batch.rows >= 0
        count = int(writing.sum())
        if not count:
            break
        if count < _WORTH * len(writing):
            batch = batch.only(writing)
        batch = batch.with_room(at)
        states = _step(network, batch, at)
        batch = replace(batch, places=batch.places + 1)
    each = [Rollout(tuple(t), tuple(c)) for t, c in zip(written, chances, strict=True)]
    return [each[begin : begin + group] for begin in range(0, len(each), group)]


def _drawn(told: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
    if temperature <= 0:
        return told.argmax(-1)
    return torch.multinomial(told.exp(), 1, generator=generator)[:, 0]


def _read(
    network: Any, features: Tensor, prompts: Sequence[Sequence[int]], group: int
) -> tuple[Tensor, _Batch]:
    """Read pictures and sentences, these padded on their right: last states (P · G, hidden)."""
    model = network.model.language_model
    count, length = len(prompts), max(map(len, prompts))
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    ids = torch.tensor([[*prompt, *[_PAD] * (length - len(prompt))] for prompt in prompts])
    x = torch.cat([picture_prefix(network, features), model.embed_tokens(ids)], 1)
    after = (NEXT_PLACE + torch.arange(length)).expand(3, -1)
    cosines, sines = model.rotary_emb(x, torch.cat([PLACES, after], 1)[:, None])
    half = cosines.shape[-1] // 2
    rotary = cosines[0, :, None, :half], sines[0, :, None, :half]
    common = []
    for layer in model.layers:
        query, key, value = _asked(layer, x, rotary)
        asked, known, held = (each.transpose(1, 2) for each in (query, key, value))
        read = F.scaled_dot_product_attention(asked, known, held, is_causal=True)
        x = _passed(layer, x, read.transpose(1, 2).flatten(2))
        common.append((known.contiguous(), held.contiguous()))
    last = normed(model.norm, x[torch.arange(count), _BEFORE + lengths - 1])
    hidden = torch.zeros(count, _BEFORE + length)
    hidden[:, _BEFORE:].masked_fill_(torch.arange(length) >= lengths[:, None], -torch.inf)
    heads, width = common[0][0].shape[1], common[0][0].shape[3]
    shape = (count, heads, group, _ROOM, width)
    room = [(torch.zeros(shape), torch.zeros(shape)) for _ in common]
    rows = torch.arange(count * group)
    places = (NEXT_PLACE + lengths).repeat_interleave(group)
    batch = _Batch(common, hidden[:, None, None], room, rows, places, torch.zeros_like(rows))
    return last.repeat_interleave(group, 0), batch


def _step(network: Any, batch: _Batch, at: int) -> Tensor:
    """States (P · G, hidden) after the newest token, whose keys and values are kept at `at`."""
    model = network.model.language_model
    groups, size = batch.shape
    x = model.embed_tokens(batch.token)
    cosines, sines = model.rotary_emb(x, batch.places.expand(3, 1, -1))
    half = cosines.shape[-1] // 2
    rotary = cosines[0, :, None, :half], sines[0, :, None, :half]
    for layer, common, own in zip(model.layers, batch.common, batch.own, strict=True):
        query, key, value = (
            each.view(groups, size, *each.shape[1:]).transpose(1, 2)
            for each in _asked(layer, x, rotary)
        )
        own[0][:, :, :, at], own[1][:, :, :, at] = key, value
        keys, values = (each[:, :, :, : at + 1] for each in own)
        width = query.shape[-1]
        shared = query @ common[0].mT * width**-0.5 + batch.hidden
        alone = (keys @ query[..., None])[..., 0] * width**-0.5
        weights = torch.cat([shared, alone], -1).softmax(-1)
        before, after = weights[..., : shared.shape[-1]], weights[..., shared.shape[-1] :]
        read = before @ common[1] + (after[..., None, :] @ values)[..., 0, :]
        x = _passed(layer, x, read.transpose(1, 2).reshape(len(x), -1))
    return normed(model.norm, x)


def _asked(layer: Any, x: Tensor, rotary: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value (…, heads, d) of tokens (…, hidden)."""
    attention = layer.self_attn
    x = normed(layer.input_layernorm, x)
    query, key, value = (
        step(x).unflatten(-1, (-1, attention.head_dim))
        for step in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    query = turned(normed(attention.q_norm, query), rotary)
    return query, turned(normed(attention.k_norm, key), rotary), value


def _passed(layer: Any, x: Tensor, read: Tensor) -> Tensor:
    x = x + layer.self_attn.o_proj(read)
    passed: Tensor = x + layer.mlp(normed(layer.post_attention_layernorm, x))
    return passed
