"""The everyday reasoner: a detector says what is there, the attributes say which is meant.

Things that the detector has no class for are looked for among regions, as the attribute reasoner
does, and doubted as much.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from streamseg.reasoning import GroundingRequest
from streamseg.reasoning.attribute import answer_from, colours_in
from streamseg.reasoning.detection import Detections, Detector
from streamseg.reasoning.detection.boxes import are_one, box_ious
from streamseg.reasoning.detection.figures import figure, part_names
from streamseg.reasoning.resolve import ACCEPT
from streamseg.reasoning.scoring import Scores, View, names_shape
from streamseg.reasoning.seen import candidates
from streamseg.reasoning.seen.candidates import Candidate
from streamseg.reasoning.seen.colour import word_weights
from streamseg.reasoning.seen.picture import Picture, observe
from streamseg.reasoning.sightings import belief, kinds_meant, sightings
from streamseg.reasoning.words import grammar
from streamseg.reasoning.words.nouns import Grade, Meaning, meaning, taken_for
from streamseg.reasoning.words.phrases import Attribute, Phrase
from streamseg.types import Grounding, WordSense, WordUse

_SAME_REGION = 0.6
"""A region whose box overlaps a detected one so far says nothing new."""
_COLOUR_SHARE = 0.25
"""A car is red though its windows and wheels are not, a man white for his shirt."""
_MOTION_DENIED = 0.5
"""What a motion word leaves to a thing of the right class that does not seem to move so: enough to
be answered, by one that is surely seen, and too little to be sure of."""
_OTHER = 0.8
"""How much less a thing seen as something else can be what an unknown noun means."""
_TAKEN_FOR = 0.75
"""How far a thing seen as what the noun is often taken for can be what it means."""


class ObjectsReasoner:
    """Grounds nouns by a detector, and attributes, places, motion and relations among its boxes."""

    def __init__(self, detector: Detector, max_targets: int = 16) -> None:
        self._detector = detector
        self._max_targets = max_targets

    def ground(self, request: GroundingRequest) -> Grounding:
        """See `AttributeReasoner.ground`. A noun whose class is not seen is "no such object"."""
        started = time.perf_counter()
        phrases = grammar.parse(request.text)
        picture = observe(request.target, request.segment)
        seen = self._detector.detect(request.target.image)
        regions: list[Candidate] = []
        if any(_asks_for_regions(phrase, self._detector.classes) for phrase in phrases):
            regions = candidates.find(picture, colours_in(phrases))
        view = look(picture, seen, regions, self._detector)
        answer = answer_from(view, phrases, request, self._max_targets)
        kinds = kinds_meant(phrases, self._detector.classes)
        told = None if kinds is None else sightings(seen, kinds, self._detector)
        return replace(answer, seen=told, seconds=time.perf_counter() - started)

    def witness(self, request: GroundingRequest) -> Grounding:
        """See `Witness.witness`: the detector alone, neither attributes nor motion."""
        started = time.perf_counter()
        kinds = kinds_meant(grammar.parse(request.text), self._detector.classes)
        if kinds is None:
            return Grounding(())
        seen = self._detector.detect(request.target.image)
        told = sightings(seen, kinds, self._detector)
        return Grounding((), seen=told, seconds=time.perf_counter() - started)


@dataclass(eq=False)
class ObjectView(View):
    """Things seen by a detector, and after them regions that nothing was seen in.

    Attributes:
        classes: The detector's, lower case.
        evidence: (N, classes) float32 in [0, 1], how surely each candidate is of each class.
    """

    classes: tuple[str, ...] = ()
    evidence: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    @cached_property
    def seen(self) -> Scores:
        """(N,) how surely each is of any class."""
        return np.asarray(self.evidence.max(axis=1, initial=0.0), np.float64)

    @cached_property
    def colour_needed(self) -> Scores:
        """See `View.colour_needed`."""
        return np.where(self.seen > 0.0, _COLOUR_SHARE, 0.5)

    @cached_property
    def specks(self) -> Scores:
        """See `View.specks`: what is seen by its kind is no chance."""
        return np.where(self.seen > 0.0, 0.0, super().specks)

    @cached_property
    def closed(self) -> Scores:
        """See `View.closed`."""
        return np.where(self.seen > 0.0, 1.0, super().closed)

    def colour_shares(self, word: str) -> Scores:
        """See `View.colour_shares`: the part of a thing that bears a colour best speaks for it."""
        weights = word_weights(word).astype(np.float64)
        shares = self.names @ weights
        for k in np.flatnonzero(self.seen > 0.0).tolist():
            parts = part_names(self.picture, self.candidates[k])
            shares[k] = max(float(shares[k]), *(float(names @ weights) for names in parts))
        return np.asarray(shares)

    def eased(self, phrase: Phrase, attribute: Attribute, held: Scores) -> Scores:
        """See `View.eased`: motion chooses among things of a class where it tells them apart;
        where it does not, its measure is too rough to deny what the detector sees."""
        if self._meaning(phrase) is None:
            return super().eased(phrase, attribute, held)
        if attribute.kind == "shape" and names_shape(phrase.head, attribute):
            return np.maximum(held, self.named(phrase) > 0.0)  # a ball in flight is a streak
        if attribute.kind != "motion":
            return held
        among = held[self.named(phrase) >= ACCEPT]
        if len(among) and among.min() < 0.5 <= among.max():
            return held
        return np.asarray(_MOTION_DENIED + (1.0 - _MOTION_DENIED) * held)

    def sense(self, phrase: Phrase) -> WordSense | None:
        """See `View.sense`: by class where there is one."""
        found = self._meaning(phrase)
        if found is None:
            sense = super().sense(phrase)
            return sense and replace(sense, known_to="")
        if found.grade is Grade.KIND_OF:
            return WordSense(phrase.head, WordUse.COARSE, str(found), seen=True)
        return WordSense(phrase.head, WordUse.UNDERSTOOD)

    def tells(self, phrase: Phrase) -> bool:
        """See `View.tells`: a class tells, and so does a kind of it."""
        return self._meaning(phrase) is not None or super().tells(phrase)

    def named(self, phrase: Phrase) -> Scores:
        """See `View.named`."""
        if not phrase.head:
            return np.ones(len(self))
        found, likely = self._meaning(phrase), taken_for(phrase.head, self.classes)
        if found is not None:
            return np.maximum(self._seen_as(found.classes), _TAKEN_FOR * self._seen_as(likely))
        others = self._seen_as(set(self.classes) - likely)
        return super().named(phrase) * (1.0 - _OTHER * others)

    def _seen_as(self, names: Collection[str]) -> Scores:
        """(N,) how surely each is of any of these classes."""
        columns = [k for k, name in enumerate(self.classes) if name in names]
        return np.asarray(self.evidence[:, columns].max(axis=1, initial=0.0), np.float64)

    def label(self, k: int) -> str:
        """See `View.label`."""
        if self.seen[k] > 0.0:
            return self.classes[int(self.evidence[k].argmax())]
        return super().label(k)

    def points(self, k: int) -> bool:
        """See `View.points`: where in its box a thing lies is not known."""
        return bool(self.seen[k] <= 0.0)

    def _meaning(self, phrase: Phrase) -> Meaning | None:
        return meaning(phrase.head, self.classes) if phrase.head else None


def look(
    picture: Picture, seen: Detections, regions: Sequence[Candidate], detector: Detector
) -> ObjectView:
    """Put detections and regions side by side; boxes around the same thing become one."""
    merged: list[tuple[int, dict[int, float]]] = []
    for k in range(len(seen)):
        held = belief(float(seen.scores[k]), detector.threshold)
        if held <= 0.0:
            continue
        kind = int(seen.classes[k])
        for first, classes in merged:
            if are_one(seen.boxes[k], seen.boxes[first], kind in classes):
                classes[kind] = max(classes.get(kind, 0.0), held)
                break
        else:
            merged.append((k, {kind: held}))
    shrink = np.asarray([*picture.scale] * 2, np.float32)
    boxes = np.asarray(seen.boxes[[k for k, _ in merged]] / shrink, np.float32)
    items = [
        figure(picture, box, max(classes.values()))
        for box, (_, classes) in zip(boxes, merged, strict=True)
    ]
    rest = [item for item in regions if _is_new(item, boxes)]
    evidence = np.zeros((len(items) + len(rest), len(detector.classes)), np.float32)
    for row, (_, classes) in enumerate(merged):
        for kind, held in classes.items():
            evidence[row, kind] = held
    return ObjectView(picture, [*items, *rest], classes=detector.classes, evidence=evidence)


def _is_new(item: Candidate, boxes: NDArray[np.float32]) -> bool:
    if not len(boxes):
        return True
    own = np.asarray([item.x0, item.y0, item.x1, item.y1], np.float32)
    return float(box_ious(own, boxes).max()) < _SAME_REGION


def _asks_for_regions(phrase: Phrase, classes: Sequence[str]) -> bool:
    """Whether anything that a phrase names may be no thing that the detector knows."""
    if not phrase.head or meaning(phrase.head, classes) is None:
        return True
    others = (other for relation in phrase.relations for other in relation.others)
    inner = (*others, *phrase.excluded, *phrase.bystanders)
    return any(_asks_for_regions(other, classes) for other in inner)
