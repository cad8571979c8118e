"""One object under way: its silhouette, its colours, and how sure it still is.

Knows nothing of the other objects but where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from streamseg.config import FlowConfig
from streamseg.propagation.flow import edges
from streamseg.propagation.flow.anchor import Anchor, rigid_step
from streamseg.propagation.flow.appearance import (
    BINS,
    ColourModel,
    Gain,
    Histogram,
    changed,
    colour_index,
    histogram,
    likelihood,
    relit,
    similarity,
)
from streamseg.propagation.flow.carry import (
    BoxF,
    Carried,
    Plane,
    Region,
    Silhouette,
    carry,
)
from streamseg.propagation.flow.opencv import cv2
from streamseg.propagation.flow.pictures import FlowPair, Picture
from streamseg.propagation.flow.pieces import clean, is_one_piece, thickness
from streamseg.propagation.flow.recovery import Wanted, recover
from streamseg.types import Labels

_LOOK_EVERY = 2
_LEAST_AREA = 12.0
_GIVE_UP = 0.15
_FAINT_FRAMES = 10
_CARRIED, _COLOURS, _NEARBY, _OUTSIDE, _INSIDE = 3.0, 0.8, 0.5, 2.5, 1.5
"""Weights of the witnesses: the carried mask, the colour histograms, the colours nearby, and
the outline (outside it, inside it)."""
_SWOLLEN = 1.4
_COVERED = 6.0
_SOME, _MUCH, _GLIDES = 0.08, 0.2, 45
_ROI_PIXELS = 40_000
"""A larger region is worked on at the next pyramid level: bounded work per object."""


@dataclass(slots=True, eq=False)
class TrackedObject:
    """State per object; small, and copied cheaply: arrays are replaced, never written to.

    Attributes:
        silhouette: Present soft mask, None while not seen.
        score: Confidence in [0, 1].
        area: Slowly following visible area, level-0 pixels.
        velocity: Level-0 pixels per frame.
        place: Last known box, level-0 pixels.
        age: Steps since it was seeded.
        light: How the light has changed since, None when it has not.
    """

    config: FlowConfig
    model: ColourModel
    silhouette: Silhouette | None
    anchor: Anchor | None
    area: float
    place: BoxF
    score: float = 1.0
    velocity: tuple[float, float] = (0.0, 0.0)
    age: int = 0
    unseen: int = 0
    _agreement: float = 1.0
    light: Gain | None = None
    thickness: float = 0.0
    one_piece: bool = False
    _misfit: float = 11.0
    _pace: tuple[float, float] = (0.0, 0.0)
    _stray: Plane | None = None
    _overlaid: float = 0.0
    _gliding: int = 0
    _visible: float = 1.0
    _seen_again: int = 0
    _faint: int = 0

    @classmethod
    def from_mask(
        cls,
        soft: NDArray[np.uint8],
        now: Picture,
        config: FlowConfig,
        known: TrackedObject | None,
    ) -> TrackedObject:
        """Seed from a (h, w) uint8 level-0 mask, 255 inside; `known` keeps its motion."""
        x, y, width, height = cv2.boundingRect(cv2.threshold(soft, 127, 255, 0)[1])
        box = (float(x), float(y), float(x + width), float(y + height))
        region = _work_region(box, 4 * config.band, now)
        whole = Silhouette(
            Region(0, 0, 0, soft.shape[1], soft.shape[0]), soft.astype(np.float32) / 255.0
        )
        if width == 0 or region is None:
            model = known.model if known else _blank_model()
            return cls(config, model, None, None, 1.0, (0.0, 0.0, 0.0, 0.0), score=0.0, unseen=1)
        silhouette = Silhouette(region, whole.at(region))
        _, bins = colour_index(region.of(now))
        model = ColourModel.learn(bins, silhouette.soft, _surroundings(silhouette.soft, 12))
        velocity = known.velocity if known else (0.0, 0.0)
        anchor = Anchor.of(silhouette)
        return cls(
            config,
            model,
            silhouette,
            anchor,
            silhouette.area,
            box,
            velocity=velocity,
            thickness=thickness(soft),
            one_piece=is_one_piece(soft),
        )

    def copy(self) -> TrackedObject:
        return replace(self, model=self.model.copy())

    def advance(self, before: Picture, now: Picture, pair: FlowPair, frames: int) -> None:
        """Carry the silhouette to the present picture and cut its edge anew."""
        self.age += 1
        self.light = changed(self.light, pair.gain)
        if self.silhouette is None:
            self.unseen += frames
            return
        carried = carry(
            self.silhouette, pair, before, now, self.velocity, frames, 8.0 + 2.0 * self._misfit
        )
        carried = carried and self._trim(carried, now)
        if carried is None:
            self._lose()
            return
        self._agreement = carried.agreement
        self._misfit += 0.1 * (min(carried.misfit, 11.0) - self._misfit)
        self._follow(carried, now, frames)
        self._move(carried, frames)
        self.silhouette = self._cut(carried, now)

    def _follow(self, carried: Carried, now: Picture, frames: int) -> None:
        """Move the outline with the object; on as before where a look-alike overlies much of it."""
        expected = (self._pace[0] * frames, self._pace[1] * frames)
        fitted = rigid_step(carried, expected)
        self._stray = None
        if fitted is None:
            return
        step, rigid, self._stray = fitted
        if self._overlaid > _SOME and self.anchor is not None:
            rigid = max(rigid, self.anchor.faith)  # what strays is not the object's
        self._gliding = self._gliding + 1 if self._overlaid > _MUCH else 0
        stray = cv2.magnitude(
            carried.motion[..., 0] + np.float32(expected[0]),
            carried.motion[..., 1] + np.float32(expected[1]),
        )
        if 0 < self._gliding < _GLIDES and self._mostly_keeps(carried, stray):
            # What moves in the outline is by now as likely the look-alike as the object.
            step = np.array([[1.0, 0.0, expected[0]], [0.0, 1.0, expected[1]]])
            self._stray = stray
        else:
            self._pace = self._paced(step, frames)
        if self.anchor is not None:
            self.anchor = self.anchor.follow(step, rigid)

    def _mostly_keeps(self, carried: Carried, stray: Plane) -> bool:
        """Whether most of the silhouette still moves as expected: if not, the object turned."""
        soft = carried.silhouette.soft
        keeps = float(soft[stray < 2.0 * self._slack_px()].sum())
        return keeps > 0.5 * float(soft.sum())

    def _slack_px(self) -> float:
        """How far the flow may depart from a rigid object's motion, level-0 pixels."""
        return 0.7 + 0.004 * float(np.sqrt(self.area)) + 0.05 * float(np.hypot(*self._pace))

    def _paced(self, step: NDArray[np.float64], frames: int) -> tuple[float, float]:
        """Level-0 pixels per frame that the middle moves, followed with some inertia."""
        middle = np.array([self.place[0] + self.place[2], self.place[1] + self.place[3], 2.0]) / 2
        pace = (step @ middle - middle[:2]) / frames
        keep = 0.6 if self.age > 1 else 0.0
        return (
            keep * self._pace[0] + (1 - keep) * float(pace[0]),
            keep * self._pace[1] + (1 - keep) * float(pace[1]),
        )

    def _trim(self, carried: Carried, now: Picture) -> Carried | None:
        """Shrink (or rescale) the region to what the cut needs."""
        box = carried.silhouette.box(0.2)
        if box is None:
            return None
        region = _work_region(box, 3 * self.config.band, now)
        if region is None:
            return None
        wide = carried.silhouette.region
        return replace(
            carried,
            silhouette=Silhouette(region, carried.silhouette.at(region)),
            trust=wide.resample(carried.trust, region),
            motion=wide.resample(carried.motion, region),
        )

    def _move(self, carried: Carried, frames: int) -> None:
        """Note where it is now and how fast it goes."""
        box = carried.silhouette.box(0.5)
        if box is None:
            return
        self.place = box
        mass = float(carried.silhouette.soft.sum())
        back = np.einsum("ij,ijk->k", carried.silhouette.soft, carried.motion) / max(mass, 1.0)
        keep = 0.5 if self.age > 1 else 0.0
        self.velocity = (
            keep * self.velocity[0] - (1 - keep) * float(back[0]) / frames,
            keep * self.velocity[1] - (1 - keep) * float(back[1]) / frames,
        )

    def _cut(self, carried: Carried, now: Picture) -> Silhouette:
        region, soft = carried.silhouette.region, carried.silhouette.soft
        band = max(2, self.config.band >> region.level)
        if self.age % self.config.recut_every:
            return Silhouette(region, np.clip(soft * 1.4 - 0.2, 0.0, 1.0))
        lab, bins = colour_index(relit(region.of(now), self.light))
        odds = edges.prior(soft, band)
        odds *= _CARRIED * (0.4 + 0.6 * carried.trust)
        ratio = self.model.ratio.take(bins)
        odds += _COLOURS * ratio
        odds += _NEARBY * edges.local_evidence(lab, soft, likelihood(ratio), band)
        if self.anchor is not None:
            outline = self.anchor.at(region)
            shape = edges.prior(outline, 2)
            likely = float((outline * likelihood(ratio)).sum() / max(outline.sum(), 1.0))
            # An outline that holds much of the wrong colour is not the object's any more.
            right = np.clip((likely / self.model.typical - 0.5) / 0.3, 0.0, 1.0)
            grip = float(right) * self.anchor.faith
            odds += grip * (_OUTSIDE * np.minimum(shape, 0) + _INSIDE * np.maximum(shape, 0))
        odds -= self._covering(carried, bins)
        np.clip(odds, -4, 4, out=odds)
        guide = edges.contrast_guide(lab, soft)
        odds = edges.snap(odds, guide, max(2, band // 2), 40.0)
        within = self.anchor.at(region) if self.anchor is not None and self.one_piece else None
        usual = self.area / 4.0**region.level
        return Silhouette(region, clean(likelihood(2.0 * odds), soft, usual, within))

    def _covering(self, carried: Carried, bins: NDArray[np.uint16]) -> Plane | float:
        """Log odds against what moves otherwise than the object, where that is a rigid one.

        The flow near the edge of a look-alike that passes is a mixture, so it is kept off by
        more than its own pixels.
        """
        self._overlaid = 0.0
        if self._stray is None or self.anchor is None:
            return 0.0
        slack = self._slack_px()
        apart: Plane = np.clip((self._stray - slack) / slack, 0.0, 1.0) * carried.trust
        apart *= float(np.clip(4.0 * self.anchor.faith - 3.0, 0.0, 1.0))
        typical = 0.3 * float(self.model.key @ self.model.key)
        apart *= cv2.blur(np.minimum(self.model.key.take(bins) / np.float32(typical), 1.0), (5, 5))
        spill, kept_off = self._reaches(carried.silhouette.region.level)
        apart = cv2.dilate(cv2.erode(apart, spill), kept_off)
        outline = self.anchor.at(carried.silhouette.region)
        self._overlaid = float((outline * apart).sum() / max(float(outline.sum()), 1.0))
        apart *= np.float32(_COVERED)
        return apart

    def _reaches(self, level: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Squares that erode and then dilate what moves otherwise.

        Another's motion spills over the object's edge by about half a flow patch: so narrow a
        strip is its own. What is left after that is kept off by more than it was eroded.
        """
        spill = int(np.clip(0.3 * self.thickness, 0.0, 6.0)) >> level
        kept_off = spill + (int(np.clip(0.25 * self.thickness, 0.0, 4.0)) >> level)
        return _square(spill), _square(kept_off)

    def settle(self, now: Picture, others: Sequence[Silhouette]) -> None:
        """After the competition for pixels: judge what is left, learn from it or let it go."""
        if self.silhouette is None:
            self._look_again(now, others)
            return
        soft, area = self.silhouette.soft, self.silhouette.area
        whole = self.anchor.shown(now) if self.anchor else self.area
        if self.anchor is not None and area / max(self.area, 1.0) > 0.7 and whole > 1.5 * area:
            self.anchor = Anchor.of(self.silhouette)  # the outline has grown astray
            whole = area
        self._visible = area / max(whole, 1.0)
        if min(self._visible, area / max(self.area, 1.0)) < 0.05 or area < _LEAST_AREA:
            self._lose()
            return
        _, bins = colour_index(relit(self.silhouette.region.of(now), self.light))
        own = histogram(bins, soft)
        self.score += 0.5 * (self._evidence(own, bins) - self.score)
        if self.score < _GIVE_UP:
            self._lose()
            return
        self._learn(own, bins, now)

    def _evidence(self, own: Histogram, bins: NDArray[np.uint16]) -> float:
        """In [0, 1]: does what is left look like the object, and is there enough of it?"""
        if self.silhouette is None:
            return 0.0
        soft = self.silhouette.soft
        looks = similarity(own, 0.5 * (self.model.key + self.model.recent))
        likely = float((likelihood(self.model.ratio.take(bins)) * soft).sum() / soft.sum())
        fit = min(1.0, likely / max(self.model.typical, 0.3))
        self._faint = self._faint + 1 if self._visible < 0.35 else 0
        enough = min(1.0, self._visible / 0.25)
        if self._faint > _FAINT_FRAMES:  # a remnant that does not grow is something else
            enough *= 0.2
        # Where a look-alike lies over most of it, what still shows may be either's.
        enough *= 1.0 - 0.8 * float(np.clip((self._overlaid - 0.3) / 0.15, 0.0, 1.0))
        enough *= min(1.0, _SWOLLEN * self.area / max(self.silhouette.area, 1.0))
        steady = 0.5 + 0.5 * self._agreement
        return float(np.clip((looks - 0.35) / 0.45, 0.0, 1.0)) * enough * steady * fit

    def _learn(self, own: Histogram, bins: NDArray[np.uint16], now: Picture) -> None:
        """Follow the surroundings always; the object's own colours and shape only when sure."""
        if self.silhouette is None:
            return
        soft, area = self.silhouette.soft, self.silhouette.area
        sure = self.score > 0.6 and area > 0.6 * self.area
        around = _surroundings(soft, 2 * self.config.band)
        if self.anchor is not None:  # what was cut off by mistake is not to be learnt as ground
            around *= 1.0 - self.anchor.faith * self.anchor.at(self.silhouette.region)
        self.model.follow(own if sure else None, histogram(bins, around), 0.05)
        if sure or area > self.area:
            self.area += 0.02 * (area - self.area)
        if self.anchor is not None and sure:
            self.anchor = self.anchor.correct(self.silhouette)
            if area > 0.8 * self.anchor.area:
                self.anchor = self.anchor.renew(self.silhouette, self.age)

    def _lose(self) -> None:
        self.silhouette = None
        self.score = 0.0
        self.unseen = max(1, self.unseen)
        self._seen_again = 0

    def _look_again(self, now: Picture, others: Sequence[Silhouette]) -> None:
        """Come back where the same spot answers the description on two looks in a row."""
        if self.anchor is None or self.unseen < 3:
            return
        if self.age % _LOOK_EVERY and not self._seen_again:
            return
        wanted = Wanted(self.model, self.anchor.outline, self.place, self.light, self.unseen)
        found = recover(wanted, now, others)
        box = found.box() if found else None
        if found is None or box is None:
            self._seen_again = 0
            return
        self._seen_again += 1
        if self._seen_again < 2:
            return
        region = _work_region(box, 3 * self.config.band, now)
        if region is None:
            return
        self.silhouette = Silhouette(region, found.at(region))
        self.anchor = replace(Anchor.of(self.silhouette), faith=0.0)
        self.place, self.velocity = box, (0.0, 0.0)
        self.score, self.unseen, self._visible = 0.5, 0, 1.0

    def paint(self, labels: Labels, value: np.uint16, now: Picture) -> None:
        """Write this object's pixels into (H, W) labels at the frame's resolution."""
        if self.silhouette is None:
            return
        region, soft = self.silhouette.region, self.silhouette.soft
        height, width = labels.shape
        level_h, level_w = now.level(region.level).shape[:2]
        sx, sy = width / level_w, height / level_h
        x0, y0 = int(region.x * sx), int(region.y * sy)
        x1 = min(width, int(-(-(region.x + region.width) * sx // 1)))
        y1 = min(height, int(-(-(region.y + region.height) * sy // 1)))
        if sx == 1 and sy == 1:
            fine = soft
        else:
            place = np.array(
                [
                    [1 / sx, 0, (x0 + 0.5) / sx - 0.5 - region.x],
                    [0, 1 / sy, (y0 + 0.5) / sy - 0.5 - region.y],
                ],
                np.float32,
            )
            fine = cv2.warpAffine(
                soft,
                place,
                (x1 - x0, y1 - y0),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
        labels[y0:y1, x0:x1][fine > 0.5] = value


def compete(objects: Iterable[TrackedObject]) -> None:
    """Give every pixel that several silhouettes claim to the one that claims it most."""
    live = [item for item in objects if item.silhouette is not None]
    for one, other in combinations(live, 2):
        if one.silhouette is None or other.silhouette is None:
            continue
        if not _overlap(one.silhouette.region, other.silhouette.region):
            continue
        claim = other.silhouette.at(one.silhouette.region)
        counter = one.silhouette.at(other.silhouette.region)
        one.silhouette = _yield_to(one.silhouette, claim, wins_ties=True)
        other.silhouette = _yield_to(other.silhouette, counter, wins_ties=False)


def _yield_to(own: Silhouette, claim: NDArray[np.float32], wins_ties: bool) -> Silhouette:
    contested = (claim > 0.5) & ((claim > own.soft) if wins_ties else (claim >= own.soft))
    if not contested.any():
        return own
    return Silhouette(own.region, np.where(contested, np.minimum(own.soft, 1.0 - claim), own.soft))


def _overlap(one: Region, other: Region) -> bool:
    a, b = 2.0**one.level, 2.0**other.level
    return (
        one.x * a < (other.x + other.width) * b
        and other.x * b < (one.x + one.width) * a
        and one.y * a < (other.y + other.height) * b
        and other.y * b < (one.y + one.height) * a
    )


def _work_region(box: BoxF, margin: int, now: Picture) -> Region | None:
    """The box with a margin, on the finest level at which it has few enough pixels."""
    wide = (box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin)
    pixels = (wide[2] - wide[0]) * (wide[3] - wide[1])
    level = 0
    while pixels > _ROI_PIXELS and level < 3:
        level += 1
        pixels /= 4
    return Region.around(wide, level, now)


def _square(reach: int) -> NDArray[np.uint8]:
    return np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)


def _surroundings(soft: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """(h, w) weights of the pixels around, those close by (shadows, neighbours) most of all."""
    near: NDArray[np.float32] = cv2.blur(soft, (2 * reach + 1, 2 * reach + 1))
    near += 0.05
    near *= 1.0 - soft
    return near


def _blank_model() -> ColourModel:
    flat = np.full(BINS, 1.0 / BINS, np.float32)
    return ColourModel(flat, flat, flat)
