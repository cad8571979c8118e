"""Who of those cast is meant now: a rule held against where they are, on every frame.

A change takes a clear lead that lasts, so that two that cross hand over once and do not flicker.
Knows boxes and areas, neither pictures nor words.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streamseg.referents import Happening, Measure, Standing
from streamseg.types import Box

HOLD_S = 0.1
"""A lead lasts so long before who is meant changes ..."""
_CLEAR = 0.012
"""... and is at least this, in picture widths, where places are compared ..."""
_CLEAR_RATIO = 1.1
"""... or one value through the other, of sizes and speeds. Tuned on the `train` split of the
synthetic scenes in which referents shift, together with `HOLD_S`."""
_GONE_S = 0.4
"""Who is not seen for so long is not compared any more."""
_SPEED_S = 0.3
"""Over which speeds are taken."""
_STRIDE_S = 0.12
"""Who moves does so over two such spans in a row; a fresh cut shifts a mask but once."""
_MOVES, _RESTS = 0.025, 0.012
"""Speeds, in widths a second, from which a thing moves and up to which it rests."""
_LEAST_PX = 2.0
"""In the later of the two spans: outlines tremble by a pixel."""
_RESTED_S = 0.15
"""It must have rested, or moved, so long before it can be said to start, or to stop."""
_APART, _TOUCHES = 0.02, 0.006
"""Gaps between boxes, in widths, from which two are apart and up to which they touch."""
_RELEASED = 1.4
"""Times its reach, from which an anchor is let go of."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing on a frame.

    Attributes:
        box: In pixels.
        area: Of its mask, in pixels.
        whole: Nothing hides a part of it, neither the picture's border nor another thing.
    """

    box: Box
    area: float
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Moment:
    """What a frame shows of the cast.

    Attributes:
        now_s: Clock time.
        cast: By track id, those who may be meant.
        anchor: What they are compared with; None where it is not seen, or there is none.
        size: Width and height of the picture, in pixels.
        camera: How far the ground has moved since some frame before, x and y, in widths.
    """

    now_s: float
    cast: Mapping[int, Seen]
    anchor: Seen | None
    size: tuple[int, int]
    camera: tuple[float, float] = (0.0, 0.0)


class Referent:
    """Who is meant under one rule, from the first frame on which the cast is known."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.meant: frozenset[int] = frozenset()
        self._last: dict[int, tuple[float, float]] = {}
        self._lead_since_s: float | None = None
        self._paths: dict[int, _Movement] = {}
        self._anchor = _Movement()
        self._apart: set[int] = set()
        self._did: list[int] = []

    def watch(self, moment: Moment) -> frozenset[int]:
        """Take a frame, in order; who is meant on it."""
        self._follow(moment)
        if self.standing.after is not None:
            self.meant = self._doers(moment)
        else:
            self._compare(moment)
        return self.meant

    def forget(self) -> None:
        """The picture broke: nobody is where they were; what happened has happened."""
        self._paths.clear()
        self._last.clear()
        self._anchor = _Movement()

    # Comparisons --------------------------------------------------------------------------------

    def _compare(self, moment: Moment) -> None:
        values = self._values(moment)
        rule = self.standing
        order = sorted(values, key=lambda key: -values[key] if rule.most else values[key])
        wanted = frozenset(order[rule.rank - 1 : rule.rank - 1 + rule.count])
        stay = self.meant & values.keys()
        if rule.reach is not None:
            wanted = frozenset(key for key in wanted if self._within(key, values[key]))
            stay = frozenset(key for key in stay if self._within(key, values[key]))
        if wanted == stay or not stay:
            self._lead_since_s, self.meant = None, wanted
        elif wanted <= stay or not self._clear(wanted - stay, stay - wanted, values):
            self._lead_since_s, self.meant = None, stay
        else:
            since = self._lead_since_s
            self._lead_since_s = moment.now_s if since is None else since
            lasted = moment.now_s - self._lead_since_s >= HOLD_S
            self.meant = wanted if lasted else stay

    def _values(self, moment: Moment) -> dict[int, float]:
        """What everybody is compared by, those out of sight for a moment as they were last."""
        measure = self.standing.measure
        assert measure is not None
        for key, seen in moment.cast.items():
            known = self._last.get(key)
            if measure is Measure.SIZE and not seen.whole and known is not None:
                value: float | None = known[0]
            else:
                value = self._value(measure, key, seen, moment)
            if value is not None:
                self._last[key] = value, moment.now_s
        fresh = {k: v for k, v in self._last.items() if moment.now_s - v[1] <= _GONE_S}
        self._last = fresh
        return {key: value for key, (value, _) in fresh.items()}

    def _value(self, measure: Measure, key: int, seen: Seen, moment: Moment) -> float | None:
        if measure is Measure.SPEED:
            return self._paths[key].speed()
        if measure is Measure.GAP:
            anchor = moment.anchor
            return None if anchor is None else gap(seen.box, anchor.box) / moment.size[0]
        return _MEASURES[measure](seen, moment.size) / moment.size[0]

    def _within(self, key: int, value: float) -> bool:
        reach = self.standing.reach
        assert reach is not None
        return value <= reach * (_RELEASED if key in self.meant else 1.0)

    def _clear(
        self, rising: frozenset[int], falling: frozenset[int], values: Mapping[int, float]
    ) -> bool:
        """Whether every one who would be meant leads every one who would not be any more."""
        sign = 1.0 if self.standing.most else -1.0
        one = min((sign * values[key] for key in rising), default=math.inf)
        other = max((sign * values[key] for key in falling), default=-math.inf)
        if self.standing.measure in _RATIOS:
            low, high = sorted((abs(one), abs(other)))
            return one > other and high >= _CLEAR_RATIO * low
        return one - other >= _CLEAR

    # Happenings ---------------------------------------------------------------------------------

    def _follow(self, moment: Moment) -> None:
        """Note where everybody is against the ground."""
        if self.standing.measure is not Measure.SPEED and self.standing.after is None:
            return
        for key in self._paths.keys() - moment.cast.keys():
            del self._paths[key]
        for key, seen in moment.cast.items():
            self._paths.setdefault(key, _Movement()).note(seen.box, moment)
        if moment.anchor is None:
            self._anchor = _Movement()
        else:
            self._anchor.note(moment.anchor.box, moment)

    def _doers(self, moment: Moment) -> frozenset[int]:
        rule = self.standing
        if rule.by_anchor:
            if not self._did and moment.anchor is not None and self._anchor.does(rule.after):
                self._did = list(moment.cast)
            return frozenset(self._did[: rule.count])
        for key, seen in moment.cast.items():
            did = self._touches(key, seen, moment) or self._paths[key].does(rule.after)
            if did and key not in self._did and len(self._did) < rule.count:
                self._did.append(key)
        return frozenset(self._did)

    def _touches(self, key: int, seen: Seen, moment: Moment) -> bool:
        if self.standing.after is not Happening.TOUCHED or moment.anchor is None:
            return False
        between = gap(seen.box, moment.anchor.box) / moment.size[0]
        if between >= _APART:
            self._apart.add(key)
        return key in self._apart and between <= _TOUCHES


class _Movement:
    """Where one thing was against the ground lately, and whether it rests or moves."""

    def __init__(self) -> None:
        self._places: deque[tuple[float, float, float]] = deque()
        self._resting_since_s: float | None = None
        self._moving_since_s: float | None = None
        self._rested = self._moved = False
        self._did: Happening | None = None
        self._width = 1

    def note(self, box: Box, moment: Moment) -> None:
        width = self._width = moment.size[0]
        x = (box[0] + box[2]) / (2.0 * width) - moment.camera[0]
        y = (box[1] + box[3]) / (2.0 * width) - moment.camera[1]
        self._places.append((moment.now_s, x, y))
        while moment.now_s - self._places[0][0] > max(_SPEED_S, 2.0 * _STRIDE_S):
            self._places.popleft()
        self._judge(moment.now_s)

    def does(self, what: Happening | None) -> bool:
        """It is seen to begin this on the frame noted last."""
        return what is not None and self._did is what

    def speed(self) -> float | None:
        """In widths a second, over the last `_SPEED_S`; None before so much was seen."""
        if len(self._places) < 2:
            return None
        (t0, x0, y0), (t1, x1, y1) = self._places[0], self._places[-1]
        return math.hypot(x1 - x0, y1 - y0) / (t1 - t0) if t1 - t0 >= 0.5 * _SPEED_S else None

    def _judge(self, now_s: float) -> None:
        self._did = None
        moving, resting = self._moves(now_s), self._rests()
        self._moving_since_s = _since(self._moving_since_s, moving, now_s)
        self._resting_since_s = _since(self._resting_since_s, resting, now_s)
        if moving and self._rested:
            self._did = Happening.MOVED
        if resting and self._moved:
            self._did = Happening.STOPPED
        self._rested = self._lasts(self._resting_since_s, now_s) or (self._rested and not moving)
        self._moved = self._lasts(self._moving_since_s, now_s) or (self._moved and not resting)

    @staticmethod
    def _lasts(since_s: float | None, now_s: float) -> bool:
        return since_s is not None and now_s - since_s >= _RESTED_S

    def _moves(self, now_s: float) -> bool:
        """Over both of the last two spans, the same way."""
        middle, first = self._at(now_s - _STRIDE_S), self._at(now_s - 2.0 * _STRIDE_S)
        if middle is None or first is None:
            return False
        _, x, y = self._places[-1]
        late, early = (x - middle[1], y - middle[2]), (middle[1] - first[1], middle[2] - first[2])
        least = max(_MOVES * _STRIDE_S, _LEAST_PX / self._width)
        if math.hypot(*late) < least or math.hypot(*early) < 0.5 * least:
            return False
        return late[0] * early[0] + late[1] * early[1] > 0.0

    def _rests(self) -> bool:
        speed = self.speed()
        return speed is not None and speed <= _RESTS

    def _at(self, time_s: float) -> tuple[float, float, float] | None:
        """The place noted last at or before a time; None where that is forgotten."""
        return next((place for place in reversed(self._places) if place[0] <= time_s), None)


def _since(before_s: float | None, holds: bool, now_s: float) -> float | None:
    """Since when something holds; None where it does not."""
    if not holds:
        return None
    return now_s if before_s is None else before_s


_Reading = Callable[[Seen, tuple[int, int]], float]


def _from_middle(seen: Seen, size: tuple[int, int]) -> float:
    x, y = (seen.box[0] + seen.box[2]) / 2.0, (seen.box[1] + seen.box[3]) / 2.0
    return math.hypot(x - size[0] / 2.0, y - size[1] / 2.0)


_MEASURES: Mapping[Measure, _Reading] = {
    Measure.X: lambda seen, _: (seen.box[0] + seen.box[2]) / 2.0,
    Measure.Y: lambda seen, _: (seen.box[1] + seen.box[3]) / 2.0,
    Measure.SIZE: lambda seen, size: seen.area / size[0],
    Measure.NEAR: lambda seen, _: seen.box[3] + 2.0 * math.sqrt(seen.area),
    Measure.CENTRE: _from_middle,
    Measure.TALL: lambda seen, _: seen.box[3] - seen.box[1],
    Measure.WIDE: lambda seen, _: seen.box[2] - seen.box[0],
}
"""Values in pixels (areas: pixels through the width)."""
_RATIOS = (Measure.SIZE, Measure.SPEED, Measure.TALL, Measure.WIDE)


def gap(one: Box, other: Box) -> float:
    """Pixels between two boxes, and where they overlap, a little less than none the nearer their
    middles are: who overlaps more is nearer."""
    across = max(one[0] - other[2], other[0] - one[2], 0.0)
    down = max(one[1] - other[3], other[1] - one[3], 0.0)
    between = math.hypot(across, down)
    if between > 0.0:
        return between
    middles = math.hypot(
        one[0] + one[2] - other[0] - other[2], one[1] + one[3] - other[1] - other[3]
    )
    return 0.5 * middles - 0.5 * math.hypot(
        one[2] - one[0] + other[2] - other[0], one[3] - one[1] + other[3] - other[1]
    )
