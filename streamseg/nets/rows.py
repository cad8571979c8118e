"""Attention by plain products of some queries at a time.

On a CPU it is what serves where torch's fused kernel does not: in bfloat16, and where values are
narrower than keys. There it works in memory used over again, one object after another: new tensors
for each step took up to half of the time.
"""

from __future__ import annotations

import torch
from torch import Tensor


def by_rows(query: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None, rows: int) -> Tensor:
    """Read values by the softmax of query · keys + bias.

    Args:
        query: (n or 1, heads, Q, D), scaled.
        keys: (n, heads, D, K).
        values: (n, heads or 1, K, M).
        bias: (n, 1, 1, K), or None.
        rows: Queries at a time.

    Returns:
        (n, heads, Q, M).
    """
    in_place = query.device.type == "cpu" and not (
        torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu")
    )
    return (_in_place if in_place else _at_once)(query, keys, values, bias, rows)


def _at_once(query: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None, rows: int) -> Tensor:
    """All objects in one product: what an exporter and a GPU like."""
    read = []
    for some in torch.split(query, rows, 2):
        similarity = some @ keys
        if bias is not None:
            similarity = similarity + bias
        read.append(similarity.softmax(-1) @ values)
    return torch.cat(read, 2)


def _in_place(
    query: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None, rows: int
) -> Tensor:
    count, heads = keys.shape[:2]
    read = query.new_empty(count, heads, query.shape[2], values.shape[3])
    room = query.new_empty(min(rows, query.shape[2]), keys.shape[3])
    query, values = query.expand(count, -1, -1, -1), values.expand(-1, heads, -1, -1)
    for index in range(count):
        for head in range(heads):
            chunks = (torch.split(some[index, head], rows) for some in (query, read))
            for some, into in zip(*chunks, strict=True):
                similarity = room[: len(some)]
                torch.mm(some, keys[index, head], out=similarity)
                if bias is not None:
                    similarity += bias[index, 0]
                torch.softmax(similarity, -1, out=similarity)
                torch.mm(similarity, values[index, head], out=into)
    return read
