"""How sure a mean is: intervals by drawing what it is made of anew (bootstrap, Efron 1979).

What is asked about one picture is not independent: whole groups are drawn, not single values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Interval = tuple[float, float]


def of_mean(
    values: Sequence[float], groups: Sequence[int], draws: int = 10_000, level: float = 0.95
) -> Interval:
    """Of the mean of values (N,); the same at every call.

    Args:
        groups: (N,) which belong together.
        draws: Resamplings; 80 kB for each thousand groups at a time.

    Raises:
        ValueError: No values, or another number of groups.
    """
    return _between(_means(values, groups, draws)[:, 0], level)


def of_gain(
    values: Sequence[float],
    base: Sequence[float],
    groups: Sequence[int],
    draws: int = 10_000,
    level: float = 0.95,
) -> Interval:
    """Of mean(values) / mean(base) - 1, where both answer the same N questions: a draw takes the
    same questions of both.

    Raises:
        ValueError: As `of_mean`, or a mean of base of 0.
    """
    if not any(base):
        raise ValueError("expected a base that is not 0 throughout")
    means = _means(np.stack([values, base], 1), groups, draws)
    return _between(means[:, 0] / np.maximum(means[:, 1], 1e-12) - 1.0, level)


def _means(values: Sequence[float] | Floats, groups: Sequence[int], draws: int) -> Floats:
    """(draws, columns) means over groups drawn with replacement."""
    if not len(values) or len(values) != len(groups):
        raise ValueError(f"expected values and as many groups, got {len(values)}, {len(groups)}")
    table = np.asarray(values, np.float64).reshape(len(values), -1)
    _, of = np.unique(np.asarray(groups), return_inverse=True)
    count = int(of.max()) + 1
    sums = np.zeros((count, table.shape[1]))
    np.add.at(sums, of, table)
    sizes = np.bincount(of, minlength=count).astype(np.float64)
    random = np.random.default_rng(0)
    found = np.empty((draws, table.shape[1]))
    for begin in range(0, draws, 100):
        taken = random.integers(count, size=(min(100, draws - begin), count))
        found[begin : begin + len(taken)] = (
            sums[taken].sum(axis=1) / sizes[taken].sum(axis=1)[:, None]
        )
    return found


def _between(found: Floats, level: float) -> Interval:
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
