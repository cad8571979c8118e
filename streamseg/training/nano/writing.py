"""The small network writes: many answers side by side, greedily or by lot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from streamseg.training.nano import words
from streamseg.training.nano.network import NEXT_PLACE, PLACES, picture_prefix

_END, _PAD = words.IDS[words.END], words.IDS[words.PAD]


@torch.no_grad()
def write(
    network: Any,
    features: Tensor,
    prompts: Sequence[Sequence[int]],
    most: int = 160,
    temperature: float = 0.0,
    generator: torch.Generator | None = None,
    repeats: int = 1,
) -> list[list[int]]:
    """What the network writes to each prompt, its end left out.

    Args:
        features: (B, 40, hidden): the pictures' tokens, one for each prompt.
        prompts: B lists of tokens, which follow the picture.
        most: Tokens, after which writing is broken off.
        temperature: 0 for the likeliest token each time.
        repeats: Answers to each prompt; those of one prompt follow one another.
    """
    from transformers import DynamicCache

    model = network.model.language_model
    states, seen, places, cache = _read(network, features, prompts, DynamicCache)
    if repeats > 1:
        cache.batch_repeat_interleave(repeats)
        states, seen, places = (x.repeat_interleave(repeats, 0) for x in (states, seen, places))
    over = torch.zeros(len(states), dtype=torch.bool)
    written = []
    for _ in range(most):
        logits = network.lm_head(states[:, -1]).float()
        if temperature > 0:
            chances = F.softmax(logits / temperature, -1)
            token = torch.multinomial(chances, 1, generator=generator)[:, 0]
        else:
            token = logits.argmax(-1)
        token = token.masked_fill(over, _PAD)
        over = over | (token == _END)
        written.append(token)
        if bool(over.all()):
            break
        seen = F.pad(seen, (0, 1), value=1)
        states = model(
            inputs_embeds=model.embed_tokens(token[:, None]),
            attention_mask=seen,
            position_ids=places[None, :, None].expand(3, -1, 1),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        places = places + 1
    return [_until_end(row) for row in torch.stack(written, 1).tolist()]


def _read(
    network: Any, features: Tensor, prompts: Sequence[Sequence[int]], new_cache: Any
) -> tuple[Tensor, Tensor, Tensor, Any]:
    """Read pictures and prompts, these padded on their left: last states, what is no padding
    (B, T), the next positions (B,), and the cache."""
    model = network.model.language_model
    count, length = len(prompts), max(map(len, prompts))
    ids = torch.full((count, length), _PAD)
    seen = torch.ones(count, PLACES.shape[1] + length, dtype=torch.long)
    places = torch.zeros(count, length, dtype=torch.long)
    for at, prompt in enumerate(prompts):
        begin = length - len(prompt)
        ids[at, begin:] = torch.tensor(prompt)
        places[at, begin:] = NEXT_PLACE + torch.arange(len(prompt))
        seen[at, PLACES.shape[1] : PLACES.shape[1] + begin] = 0
    embedded = torch.cat([picture_prefix(network, features), model.embed_tokens(ids)], 1)
    picture = PLACES[:, None].expand(3, count, -1)
    cache = new_cache(config=network.config.text_config)
    states = model(
        inputs_embeds=embedded,
        attention_mask=seen,
        position_ids=torch.cat([picture, places[None].expand(3, -1, -1)], 2),
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    following = torch.tensor([NEXT_PLACE + len(prompt) for prompt in prompts])
    return states[:, -1:], seen, following, cache


def _until_end(row: list[int]) -> list[int]:
    return row[: row.index(_END)] if _END in row else row
