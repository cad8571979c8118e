"""A few out of many: evenly by place, or evenly by how much happens in between."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_STILL_SHARE = 0.25
"""What time alone is worth against change: also a still stretch is looked at now and then."""


def spread(positions: Sequence[int], count: int, keep: int | None = None) -> list[int]:
    """At most `count` of the positions, evenly spread, ends included; `keep` among them."""
    if len(positions) <= count:
        return list(positions)
    if count == 0:
        return []
    if count == 1:
        return [positions[len(positions) // 2] if keep is None else keep]
    last = len(positions) - 1
    chosen = [positions[round(step * last / (count - 1))] for step in range(count)]
    if keep is not None and keep not in chosen:
        nearest = min(range(count), key=lambda at: abs(chosen[at] - keep))
        chosen[nearest] = keep
    return chosen


def spread_by_change(change: NDArray[np.float32], count: int) -> list[int]:
    """At most `count` positions, each in the middle of an equal share of all that changes.

    Args:
        change: (n,) how much is new at each position, not negative.
    """
    if len(change) <= count:
        return list(range(len(change)))
    worth = np.asarray(change, np.float64)
    worth = worth + _STILL_SHARE * float(worth.mean()) + 1e-9
    reached = np.cumsum(worth) / worth.sum()
    wanted = (np.arange(count) + 0.5) / count if count else np.zeros(0)
    return sorted(set(np.searchsorted(reached, wanted).tolist()))
