"""Does a score mean what it says, and what would: bins, the calibration error, and a fit.

After Guo, Pleiss, Sun and Weinberger, ICML 2017, section 2: bins of equal width, each weighed by
how many fall into it. The fit is Platt's (1999), with several inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

BINS = 10
_PRIOR = 0.02
"""Weight of the pull of each slope to 1, a sample's loss being at most about 1: it settles what the
samples leave open."""


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


@dataclass(frozen=True, slots=True)
class Sample:
    """One outcome: what is known beforehand, whether it came out right, and what it belongs to
    (samples of one group are alike, so a group is left out as a whole)."""

    features: tuple[float, ...]
    right: bool
    group: str


@dataclass(frozen=True)
class Fitted:
    """A bias and a slope for each feature, by group; the empty group is everybody else's."""

    by_group: dict[str, tuple[float, ...]]

    @property
    def coefficients(self) -> tuple[float, ...]:
        return self.by_group[""]

    def chance(self, sample: Sample) -> float:
        """In [0, 1]: how likely the sample is right."""
        bias, *slopes = self.by_group.get(sample.group, self.by_group.get("", (0.0,)))
        logit = bias + float(np.dot(slopes, sample.features))
        return float(1.0 / (1.0 + np.exp(-logit)))


def fit(samples: Sequence[Sample]) -> Fitted:
    """Logistic regression; no slope is negative, for more evidence is never less.

    Raises:
        ValueError: There are no samples.
    """
    return Fitted({"": _coefficients(samples)})


def left_out(samples: Sequence[Sample]) -> Fitted:
    """For each group the fit of all the others: what to expect of groups never seen."""
    groups = {sample.group for sample in samples}
    return Fitted(
        {
            group: _coefficients([sample for sample in samples if sample.group != group])
            for group in groups
        }
    )


def _coefficients(samples: Sequence[Sample]) -> tuple[float, ...]:
    if not samples:
        raise ValueError("expected samples to fit, got none")
    inputs = np.array([(1.0, *sample.features) for sample in samples])
    signs = np.array([1.0 if sample.right else -1.0 for sample in samples])

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margins = signs * (inputs @ values)
        pull = np.concatenate([[0.0], values[1:] - 1.0])
        slope = -(signs / (1.0 + np.exp(margins))) @ inputs / len(signs)
        total = float(np.logaddexp(0.0, -margins).mean() + 0.5 * _PRIOR * pull @ pull)
        return total, slope + _PRIOR * pull

    count = inputs.shape[1]
    bounds = [(None, None)] + [(0.0, None)] * (count - 1)
    found = minimize(loss, np.ones(count), jac=True, bounds=bounds, method="L-BFGS-B")
    return tuple(float(value) for value in found.x)
