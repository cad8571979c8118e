"""What a detector sees of the kinds that a sentence means, be it the thing meant or another.

The witness that tracks are held against: a mask that none of these supports is of something else.
Knows nouns and boxes, no attributes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from streamseg.reasoning.detection import Detections, Detector
from streamseg.reasoning.detection.boxes import are_one
from streamseg.reasoning.words.nouns import meaning, taken_for
from streamseg.reasoning.words.phrases import Phrase
from streamseg.types import Sighting


def kinds_meant(phrases: Sequence[Phrase], classes: Collection[str]) -> frozenset[str] | None:
    """Classes of a detector that the phrases' nouns stand for, or are taken for; None where one of
    them stands for none: what it means may be anything, and no box speaks against it."""
    kinds: set[str] = set()
    for phrase in phrases:
        found = meaning(phrase.head, classes) if phrase.head else None
        if found is None:
            return None
        kinds |= found.classes | taken_for(phrase.head, classes)
    return frozenset(kinds) if kinds else None


def sightings(seen: Detections, kinds: Collection[str], detector: Detector) -> tuple[Sighting, ...]:
    """Everything seen of some classes, best first, down to what is hardly seen; a thing once."""
    names = detector.classes
    kept: list[int] = []
    for k in range(len(seen)):
        kind = int(seen.classes[k])
        if names[kind] not in kinds or belief(float(seen.scores[k]), detector.threshold) <= 0.0:
            continue
        rivals = ((seen.boxes[m], int(seen.classes[m]) == kind) for m in kept)
        if not any(are_one(seen.boxes[k], box, alike) for box, alike in rivals):
            kept.append(k)
    return tuple(
        Sighting(
            (float(x0), float(y0), float(x1), float(y1)),
            belief(float(seen.scores[k]), detector.threshold),
            names[int(seen.classes[k])],
        )
        for k in kept
        for x0, y0, x1, y1 in (seen.boxes[k],)
    )


def belief(score: float, threshold: float) -> float:
    """A detector's score as evidence in [0, 1]: none at half its threshold, 0.6 at it."""
    return float(np.interp(score, (0.5 * threshold, threshold, 1.6 * threshold), (0.0, 0.6, 1.0)))
