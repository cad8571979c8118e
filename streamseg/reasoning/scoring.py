"""How well each candidate answers to one attribute, softly; knows no phrases and no relations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from streamseg.reasoning.seen import shape as outline
from streamseg.reasoning.seen import texture
from streamseg.reasoning.seen.candidates import Candidate
from streamseg.reasoning.seen.colour import NAMES, word_weights
from streamseg.reasoning.seen.picture import Picture
from streamseg.reasoning.words.lexicon import GEOMETRIC, NOUN_SHAPES, SHAPE_OF_NOUN
from streamseg.reasoning.words.nouns import COCO80, meaning, singular
from streamseg.reasoning.words.phrases import Attribute, Phrase
from streamseg.types import WordSense, WordUse

Scores = NDArray[np.float64]
"""(N,) in [0, 1], one for each candidate."""

EVERYDAY = "everyday"
"""The config whose reasoner knows things by name."""
_OBJECT, _OBJECT_AT_LEAST = 0.12, 0.28
"""Objectness that makes an object of what bears the colour asked for, and of anything else; these,
as the next three, were chosen on the development clips and synthetic scenes of the train split."""
_COLOUR_ABOUT = (0.12, 0.02)
"""Share of the picture that bears a colour besides a candidate, from which it is ground as well."""
_SPECK = (0.0008, 0.0001)
"""Area in squared widths."""
_SURFACE, _OPEN = 0.0225, 0.6
"""Area in squared widths of what is a surface rather than a thing where it is cut off by two sides
of the picture, and what is left of how far it can be a thing."""
_ROUGHLY = 0.35
"""What a shape leaves to things of another outline where only the noun speaks of it: a block that
lies askew, or a box half hidden, is one still."""
_MOVING = 0.024
"""Speed from which a thing is said to move, in picture widths per second."""


def rise(value: Scores | float, middle: float, width: float) -> Scores:
    """A smooth step from 0 to 1 about `middle`."""
    steps = (np.asarray(value, np.float64) - middle) / width
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(steps, -40.0, 40.0))))


@dataclass(eq=False)
class View:
    """All candidates of one picture side by side; what costs time is measured when first asked.

    Lengths are in picture widths, so that thresholds hold at every size.
    """

    picture: Picture
    candidates: list[Candidate]
    _textures: dict[int, texture.Texture] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.candidates)

    @cached_property
    def centres(self) -> NDArray[np.float64]:
        """(N, 2) x and y of the boxes' centres, in widths."""
        found = [item.centre for item in self.candidates]
        return np.asarray(found, np.float64).reshape(-1, 2) / self.picture.shape[1]

    @cached_property
    def areas(self) -> Scores:
        """Area with holes filled by the outline, in squared widths."""
        return np.asarray([item.area for item in self.candidates]) / self.picture.shape[1] ** 2

    @cached_property
    def velocities(self) -> NDArray[np.float64]:
        """(N, 2) in widths per second."""
        found = [item.velocity for item in self.candidates]
        return np.asarray(found, np.float64).reshape(-1, 2) / self.picture.shape[1]

    @cached_property
    def speeds(self) -> Scores:
        return np.asarray(np.hypot(*self.velocities.T))

    @cached_property
    def shapes(self) -> list[outline.Shape]:
        return [outline.describe(item.mask) for item in self.candidates]

    @cached_property
    def names(self) -> NDArray[np.float64]:
        """(N, 13) mean memberships in colour names."""
        return np.asarray([item.names for item in self.candidates], np.float64).reshape(
            len(self), -1
        )

    @cached_property
    def lightness(self) -> Scores:
        return np.asarray([float(item.lab[0]) for item in self.candidates])

    @cached_property
    def objectness(self) -> Scores:
        return np.asarray([item.objectness for item in self.candidates])

    @cached_property
    def prominence(self) -> Scores:
        """How much of an object it is, its size counted."""
        return np.asarray([item.rank for item in self.candidates])

    @cached_property
    def alone(self) -> Scores:
        """(N,) how far each moves by itself, not with what lies around it as hair does."""
        return np.asarray(rise(np.asarray([item.alone for item in self.candidates]), 0.7, 0.05))

    @property
    def motion_known(self) -> bool:
        return bool(np.isfinite(self.picture.speed_noise))

    @cached_property
    def colour_needed(self) -> Scores:
        """Share of a candidate that has to bear a colour for it to be called so."""
        return np.full(len(self), 0.5)

    def label(self, k: int) -> str:
        """A candidate in words that stay true while it moves."""
        return f"{NAMES[int(np.argmax(self.candidates[k].names))]} object"

    def sense(self, phrase: Phrase) -> WordSense | None:
        """What is known here of a phrase's noun; None where it has none."""
        if not phrase.head:
            return None
        last = phrase.head.split()[-1]
        shape = last if last in NOUN_SHAPES else singular(last)
        if shape in GEOMETRIC:
            return WordSense(phrase.head, WordUse.UNDERSTOOD)
        known_to = EVERYDAY if meaning(phrase.head, COCO80) is not None else ""
        if shape in NOUN_SHAPES:
            taken_as = "anything of that shape"
            return WordSense(phrase.head, WordUse.COARSE, taken_as, known_to)
        if phrase.nouns:
            taken_as = f"anything that may be a {phrase.nouns[-1]}"
            return WordSense(phrase.head, WordUse.COARSE, taken_as, known_to)
        return WordSense(phrase.head, WordUse.UNKNOWN, "whatever stands out", known_to)

    def tells(self, phrase: Phrase) -> bool:
        """Whether the noun by itself says what kind of thing is meant."""
        sense = self.sense(phrase)
        return sense is not None and sense.use is WordUse.UNDERSTOOD

    def eased(self, phrase: Phrase, attribute: Attribute, held: Scores) -> Scores:
        """(N,) what counts of an attribute's scores, beside how surely the noun is known."""
        if attribute.kind == "shape" and names_shape(phrase.head, attribute):
            return np.asarray(_ROUGHLY + (1.0 - _ROUGHLY) * held)
        return held

    def colour_shares(self, word: str) -> Scores:
        """(N,) share of each candidate that answers to a colour's name."""
        return np.asarray(self.names @ word_weights(word).astype(np.float64))

    def least_objectness(self, colours: Sequence[str]) -> Scores:
        """(N,) how much of an object has to be each candidate that bears one of these colours.

        More for specks, of which a picture has many, and where the colour lies all about: leaves,
        sky, skin and wood are of it without being the thing.
        """
        weights = np.max([word_weights(word) for word in colours], axis=0).astype(np.float64)
        pixels = self.picture.shape[0] * self.picture.shape[1]
        everywhere = float(self.picture.names.reshape(pixels, -1).mean(axis=0) @ weights) / 255.0
        own = np.asarray([item.area for item in self.candidates]) / pixels
        elsewhere = everywhere - own * (self.names @ weights)
        about = np.asarray(rise(elsewhere, *_COLOUR_ABOUT))
        return _OBJECT + (_OBJECT_AT_LEAST - _OBJECT) * np.maximum(about, self.specks)

    @cached_property
    def specks(self) -> Scores:
        """(N,) 1 for what is too small to be told from a chance."""
        return np.asarray(1.0 - rise(self.areas, *_SPECK))

    @cached_property
    def closed(self) -> Scores:
        """(N,) less than 1 for large parts of the picture of which two sides are not to be seen:
        walls, skies and floors."""
        open_sides = np.asarray([len(item.sides) > 1 for item in self.candidates], bool)
        return np.where(open_sides & (self.areas > _SURFACE), _OPEN, 1.0)

    def points(self, k: int) -> bool:
        """Whether enough is known of a candidate's outline to point into it."""
        return True

    def named(self, phrase: Phrase) -> Scores:
        """(N,) how far each candidate can be what the phrase's noun says."""
        scores = np.ones(len(self))
        for noun in phrase.nouns:
            scores = scores * suits_noun(self, noun)
        return scores

    def texture(self, index: int) -> texture.Texture:
        """Measured on the picture at its own resolution, once for each candidate."""
        if index not in self._textures:
            item = self.candidates[index]
            self._textures[index] = texture.describe(
                self.picture.source, item.x0, item.y0, item.mask, self.picture.scale
            )
        return self._textures[index]


def names_shape(head: str, attribute: Attribute) -> bool:
    """Whether a shape is told by a noun alone of which it is not all: a block, a ball, a wheel."""
    last = singular(head.split()[-1]) if head else ""
    return last in NOUN_SHAPES - GEOMETRIC and SHAPE_OF_NOUN[last] in attribute.values


def answers_to(view: View, attribute: Attribute, colours: int = 1) -> Scores | None:
    """Score every candidate on one attribute; None when there is no measure for it.

    Args:
        colours: How many colours are asked of the same object: each then needs a smaller share.
    """
    measure = _MEASURES.get(attribute.kind)
    if measure is None or not len(view):
        return None
    found = [
        scores
        for value in attribute.values
        if (scores := measure(view, attribute, value)) is not None
    ]
    if not found:
        return None
    best = np.max(found, axis=0)
    if attribute.kind == "colour":
        needed = view.colour_needed / colours
        best = rise((best - needed) / (0.12 * needed), 0.0, 1.0)
        if attribute.tone:
            best = best * _tone(view, attribute, attribute.tone)
    return np.asarray(1.0 - best if attribute.negated else best)


def _colour(view: View, attribute: Attribute, value: str) -> Scores:
    """Share of the region that answers to the word; a step is made of it by the caller."""
    return view.colour_shares(value)


def _tone(view: View, attribute: Attribute, value: str) -> Scores:
    if value == "dark":
        return 0.15 + 0.85 * (1.0 - rise(view.lightness, 50.0, 5.0))
    if value == "light":
        return 0.15 + 0.85 * rise(view.lightness, 58.0, 5.0)
    chroma = np.asarray([float(np.hypot(*item.lab[1:])) for item in view.candidates])
    vivid = np.maximum(rise(chroma, 35.0, 5.0), rise(view.lightness, 75.0, 4.0))
    return 0.15 + 0.85 * vivid


def _size(view: View, attribute: Attribute, value: str) -> Scores:
    """Absolute and very soft: "big" is mostly a comparison, made elsewhere."""
    side = np.sqrt(view.areas)
    if value == "medium":
        return 0.4 + 0.6 * rise(side, 0.05, 0.01) * (1.0 - rise(side, 0.16, 0.02))
    big = rise(side, 0.09, 0.02)
    return 0.35 + 0.65 * (big if value == "big" else 1.0 - big)


def _place(view: View, attribute: Attribute, value: str) -> Scores | None:
    height = view.picture.shape[0] / view.picture.shape[1]
    x, y = view.centres[:, 0], view.centres[:, 1] / height
    sides = {
        "left": 1.0 - rise(x, 0.5, 0.05),
        "right": rise(x, 0.5, 0.05),
        "top": 1.0 - rise(y, 0.5, 0.06),
        "bottom": rise(y, 0.5, 0.06),
    }
    if value in sides:
        return sides[value]
    if value == "centre":
        return 1.0 - rise(np.hypot(x - 0.5, (y - 0.5) * height), 0.17, 0.025)
    if value == "corner":
        return rise(np.minimum(np.abs(x - 0.5), np.abs(y - 0.5)), 0.22, 0.04)
    if value == "edge":
        return rise(np.maximum(np.abs(x - 0.5), np.abs(y - 0.5)), 0.36, 0.03)
    vertical, _, horizontal = value.partition(" ")
    return sides[vertical] * sides[horizontal]


def _motion(view: View, attribute: Attribute, value: str) -> Scores | None:
    if not view.motion_known:
        return None
    threshold = max(_MOVING, 1.2 * view.picture.speed_noise / view.picture.shape[1])
    moving = rise(view.speeds, threshold, threshold / 8.0)
    if value in ("moving", "fast", "slow"):
        return moving
    if value == "still":
        return 1.0 - moving
    heading = view.velocities / np.maximum(view.speeds, 1e-9)[:, None]
    ways = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}
    if value in ways:
        return np.asarray(moving * rise(heading @ np.asarray(ways[value]), 0.62, 0.05))
    sign = {"entering": -1.0, "leaving": 1.0}[value]
    return np.asarray(moving * (1.0 - rise(_time_to_border(view, sign), 1.2, 0.15)))


def _time_to_border(view: View, sign: float) -> Scores:
    """Seconds until the box reaches the border, going on (sign 1) or back (-1) as it moves."""
    height, width = view.picture.shape
    soonest = np.full(len(view), np.inf)
    for k, item in enumerate(view.candidates):
        vx, vy = sign * item.velocity[0], sign * item.velocity[1]
        rooms = ((item.x0, -vx), (width - item.x1, vx), (item.y0, -vy), (height - item.y1, vy))
        times = [max(room, 0) / speed for room, speed in rooms if speed > 1e-6]
        soonest[k] = min(times, default=np.inf)
    return np.asarray(np.minimum(soonest, 1e6), np.float64)


def _shape(view: View, attribute: Attribute, value: str) -> Scores | None:
    found = [outline.answers_to(each, value) for each in view.shapes]
    return None if None in found else np.asarray(found, np.float64)


def _texture(view: View, attribute: Attribute, value: str) -> Scores | None:
    found = [texture.answers_to(view.texture(k), value) for k in range(len(view))]
    return None if None in found else np.asarray(found, np.float64)


_MEASURES: dict[str, Callable[[View, Attribute, str], Scores | None]] = {
    "colour": _colour,
    "tone": _tone,
    "size": _size,
    "place": _place,
    "motion": _motion,
    "shape": _shape,
    "texture": _texture,
}

_NOUNS: dict[str, Callable[[View], Scores]] = {
    "person": lambda view: rise(_uprights(view), 1.1, 0.15) * rise(view.areas, 0.004, 0.001),
    "animal": lambda view: (
        rise(view.speeds, _MOVING, 0.01) * rise(view.areas, 0.002, 0.0005) * view.alone
    ),
    "vehicle": lambda view: 1.0 - rise(_uprights(view), 1.3, 0.15),
    "arm": lambda view: rise(view.areas, 0.006, 0.002),
    "cup": lambda view: (
        rise(_solidities(view), 0.75, 0.03)
        * (1.0 - rise(_slims(view), 2.6, 0.2))
        * rise(view.areas, 0.0035, 0.0008)
    ),
}


def suits_noun(view: View, noun: str) -> Scores:
    """A weak prior in [0.25, 1]: what a thing of that name tends to look like."""
    prior = _NOUNS.get(noun)
    if prior is None or not len(view):
        return np.ones(len(view))
    return 0.25 + 0.75 * prior(view)


def _uprights(view: View) -> Scores:
    return np.asarray([each.upright for each in view.shapes])


def _solidities(view: View) -> Scores:
    return np.asarray([each.solidity for each in view.shapes])


def _slims(view: View) -> Scores:
    return np.asarray([each.elongation for each in view.shapes])
