"""Any count of objects on engines that exist for a few counts: padded, and taken in turns."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F


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
