"""From a track's evidence to the chance that it is what was meant; the coefficients are a file's.

Logistic regression: Platt scaling (Platt 1999; Niculescu-Mizil and Caruana, ICML 2005, section 4)
with three inputs in place of one score, and a term for who answered: a detector that knows the kind
is right more often than looks are, at the same fit of the words.
`python -m streamseg.benchmarks.calibrate` fits them and writes the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib import resources

from streamseg.types import Evidence

FILE = "calibration.json"
LEAST = 0.02
"""A witness is heard as saying no less, and no more than 1 less this: odds have no end."""


NAMES = ("words", "cut", "carried", "by_kind")
"""Of the features, in order; and of their coefficients, with "bias"."""


def features(evidence: Evidence) -> tuple[float, ...]:
    """The log odds of words and cut, which are opinions, the logarithm of carried, which is a share
    of what they said, and 1 where whoever answered sees things by kind; in the order of `NAMES`."""
    carried = math.log(max(evidence.carried, LEAST))
    by_kind = float(evidence.by_kind)
    return _log_odds(evidence.words), _log_odds(evidence.cut), carried, by_kind


def probability(evidence: Evidence) -> float:
    """In [0, 1]: of many masks with such evidence, the share that is right."""
    told = zip(NAMES, features(evidence), strict=True)
    logit = _FOUND["bias"] + sum(_FOUND[name] * value for name, value in told)
    return 1.0 / (1.0 + math.exp(-logit))


def _log_odds(value: float) -> float:
    heard = min(1.0 - LEAST, max(value, LEAST))
    return math.log(heard / (1.0 - heard))


def _read() -> Mapping[str, float]:
    text = resources.files("streamseg.propagation").joinpath(FILE).read_text("utf-8")
    return {name: value for name, value in json.loads(text).items() if not isinstance(value, str)}


_FOUND = _read()
