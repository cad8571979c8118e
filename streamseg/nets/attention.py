"""XMem's way of reading a memory: anisotropic L2 similarity, then a softmax over the best.

S(k, q) = −s · Σ_c e_c (k_c − q_c)² / √C  (section 3.3), s the memory's shrinkage and e the
query's selection. Multiplied out it is one inner product of `address(k, s)` and
`probe(q, e)`, so that a whole memory is compared by a single matrix product.
"""

from __future__ import annotations

import torch
from torch import Tensor


def address(key: Tensor, shrinkage: Tensor) -> Tensor:
    """What a memory element brings: (N, C) and (N, 1) to (N, 2C + 1)."""
    parts = torch.cat((-key.square(), 2 * key, -torch.ones_like(shrinkage)), 1)
    scaled: Tensor = parts * (shrinkage / key.shape[1] ** 0.5)
    return scaled


def probe(key: Tensor, selection: Tensor) -> Tensor:
    """What a query brings: (Q, C) and (Q, C) to (Q, 2C + 1)."""
    weighted = selection * key
    return torch.cat((selection, weighted, (weighted * key).sum(1, keepdim=True)), 1)


def readout(addresses: Tensor, values: Tensor, probes: Tensor, top_k: int | None = None) -> Tensor:
    """Read every query at once, in a form that exports: no gather from a growing table.

    Args:
        addresses: (N, 2C + 1).
        values: (n, N, C^v), one table per object.
        probes: (Q, 2C + 1).
        top_k: Only the best count; None for all (training).

    Returns:
        (n, Q, C^v).
    """
    similarity = probes @ addresses.T
    if top_k is not None and top_k < addresses.shape[0]:
        best, index = similarity.topk(top_k, 1)
        weights = torch.zeros_like(similarity).scatter(1, index, best.softmax(1))
    else:
        weights = similarity.softmax(1)
    return weights @ values
