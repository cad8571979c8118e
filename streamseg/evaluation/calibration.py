"""Does a score mean what it says: bins of score against outcome, and the calibration error.

After Guo, Pleiss, Sun and Weinberger, ICML 2017, section 2: bins of equal width, each weighed by
how many fall into it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Scores in (low, high], the lowest bin with 0 in it.

    Attributes:
        count: How many fall into it.
        score: Their mean, None where there are none.
        outcome: The mean of what came of them, None where there are none.
    """

    low: float
    high: float
    count: int
    score: float | None
    outcome: float | None


def bins(pairs: Iterable[tuple[float, float]], count: int = BINS) -> list[Bin]:
    """Sort (score, outcome) pairs, both in [0, 1], into `count` bins of equal width.

    Raises:
        ValueError: A score or an outcome outside of [0, 1].
    """
    fallen: list[list[tuple[float, float]]] = [[] for _ in range(count)]
    for score, outcome in pairs:
        if not (0.0 <= score <= 1.0 and 0.0 <= outcome <= 1.0):
            raise ValueError(
                f"expected a score and an outcome in [0, 1], got {score} and {outcome}"
            )
        edge = next(index for index in range(count) if score <= (index + 1) / count)
        fallen[edge].append((score, outcome))
    return [
        Bin(
            index / count,
            (index + 1) / count,
            len(each),
            fmean(score for score, _ in each) if each else None,
            fmean(outcome for _, outcome in each) if each else None,
        )
        for index, each in enumerate(fallen)
    ]


def expected_error(found: Iterable[Bin]) -> float | None:
    """ECE: the mean distance of score and outcome over the bins; None without a single pair."""
    filled = [
        (each.count, abs(each.score - each.outcome))
        for each in found
        if each.score is not None and each.outcome is not None
    ]
    total = sum(count for count, _ in filled)
    return sum(count * distance for count, distance in filled) / total if total else None
