"""The reasoner for any noun: an open-vocabulary detector says what is there, by the sentence's own
nouns; the grammar says which of it is meant, as over the boxes of `objects`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from streamseg.config import ConceptConfig
from streamseg.errors import CheckpointError
from streamseg.reasoning import GroundingRequest
from streamseg.reasoning.detection import Detections
from streamseg.reasoning.loading import require_packages
from streamseg.reasoning.models import folder
from streamseg.reasoning.objects import ObjectsReasoner
from streamseg.reasoning.words import grammar
from streamseg.reasoning.words.nouns import singular
from streamseg.reasoning.words.phrases import Phrase
from streamseg.types import Grounding, Image

FAMILIES = ("grounding-dino", "mm-grounding-dino", "owlv2", "sam3", "sam3_video")
"""By `model_type`: those that there is a finder for."""
_LONGEST = 40
"""Letters of a concept: detectors of phrases were trained on a few words."""


class Finder(Protocol):
    """Sees things that are said in words.

    Attributes:
        threshold: Score from which the network's word counts as seeing.
    """

    threshold: float

    def find(self, image: Image, concepts: Sequence[str]) -> Detections:
        """See concepts in (H, W, 3) uint8 RGB, down to half the threshold; `classes` of the answer
        are positions among the concepts.

        Raises:
            EngineError: The network cannot run.
        """


def prepare(config: ConceptConfig) -> Path:
    """Make sure of a detector's folder, fetching what is missing, and of its packages.

    Raises:
        CheckpointError: Files are missing, or describe another kind of network.
        MissingDependencyError: Its packages are not installed.
        UsageError: Its name can be no model's.
    """
    require_packages([("torch", "neural"), ("transformers", "neural")])
    place = folder.find(config.model, config.revision)
    kind = folder.read(place / "config.json").get("model_type")
    if kind not in FAMILIES:
        raise CheckpointError(
            f"{place / 'config.json'}: expected model_type {', '.join(FAMILIES[:-1])} or "
            f"{FAMILIES[-1]}, got {str(kind)[:60]!r}; give the folder of a detector of phrases"
        )
    return place


class ConceptReasoner:
    """Grounds any noun, and attributes, places, motion and relations among what is found."""

    def __init__(self, finder: Finder, max_targets: int = 16, most_concepts: int = 8) -> None:
        self._finder = finder
        self._max_targets = max_targets
        self._most_concepts = most_concepts

    def ground(self, request: GroundingRequest) -> Grounding:
        """See `ObjectsReasoner.ground`; the classes are the sentence's own nouns."""
        return self._reasoner(request).ground(request)

    def witness(self, request: GroundingRequest) -> Grounding:
        """See `Witness.witness`."""
        return self._reasoner(request).witness(request)

    def _reasoner(self, request: GroundingRequest) -> ObjectsReasoner:
        concepts = concepts_of(grammar.parse(request.text))[: self._most_concepts]
        return ObjectsReasoner(_Asked(self._finder, concepts), self._max_targets)


def concepts_of(phrases: Sequence[Phrase]) -> tuple[str, ...]:
    """The things that a sentence names, in the singular, each once: those meant, those that they
    stand in relation to, and those left out."""
    return tuple(dict.fromkeys(_heads(phrases)))


class _Asked:
    """A `Detector` whose classes are one sentence's concepts."""

    def __init__(self, finder: Finder, concepts: tuple[str, ...]) -> None:
        self.classes = concepts
        self.threshold = finder.threshold
        self._finder = finder

    def detect(self, image: Image) -> Detections:
        """See `Detector.detect`."""
        if not self.classes:
            return Detections(
                np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)
            )
        return self._finder.find(image, self.classes)


def _heads(phrases: Sequence[Phrase]) -> Iterator[str]:
    for phrase in phrases:
        if phrase.head:
            yield singular(phrase.head)[:_LONGEST].strip()
        yield from _heads([relation.other for relation in phrase.relations])
        yield from _heads(phrase.excluded)
