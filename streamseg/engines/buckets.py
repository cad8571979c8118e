"""Any count of objects on engines that exist for a few counts: padded, and taken in turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from streamseg.engines import Engine


def turns(total: int, buckets: Sequence[int]) -> list[tuple[int, int, int]]:
    """Start, count and bucket of each turn; buckets in ascending order, none: any count."""
    if not buckets:
        return [(0, total, total)]
    taken = []
    for start in range(0, total, buckets[-1]):
        count = min(buckets[-1], total - start)
        taken.append((start, count, next(b for b in buckets if b >= count)))
    return taken


def padded(tensor: Tensor, count: int) -> Tensor:
    """(n, …) to (count, …) with zeros."""
    missing = count - len(tensor)
    if not missing:
        return tensor.contiguous()
    return F.pad(tensor, (0, 0) * (tensor.dim() - 1) + (0, missing))


def in_turns(
    engine: Callable[[int], Engine],
    shared: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    outputs: Sequence[str],
    buckets: Sequence[int],
) -> list[Tensor]:
    """Run a part over all objects, in as few turns as the buckets allow.

    Args:
        engine: A bucket to its engine.
        shared: Inputs that are the same for every object, by name.
        own: Inputs of each object, (n, …).
        outputs: Names of what is wanted of each object.
        buckets: See `turns`.

    Returns:
        Each output, (n, …).
    """
    features = {name: tensor.contiguous() for name, tensor in shared.items()}
    taken = []
    for start, count, bucket in turns(len(next(iter(own.values()))), buckets):
        rows = {name: padded(t[start : start + count], bucket) for name, t in own.items()}
        out = engine(bucket).run({**features, **rows})
        taken.append([out[name][:count] for name in outputs])
    if len(taken) == 1:
        return taken[0]
    return [torch.cat(parts) for parts in zip(*taken, strict=True)]
