"""Which tracks are shown where who is meant may change: the whole cast is carried along."""

from __future__ import annotations

from collections.abc import Collection

import cv2
import numpy as np

from streamseg.propagation.shifting import camera
from streamseg.propagation.shifting.referent import Moment, Referent, Seen
from streamseg.propagation.track import Track
from streamseg.referents import Measure, Role, Standing
from streamseg.types import Box, Frame, Labels

_AREAS = (Measure.SIZE, Measure.NEAR)
_BORDER_PX = 1.5
_KNOWN = 2
"""Answers that name whoever joins a cast, before it may be meant: one wrong one moves nothing."""


class Roles:
    """Gives the tracks of one query their roles, frame by frame, once an answer told the rule."""

    def __init__(self) -> None:
        self._referent: Referent | None = None
        self._query_id: int | None = None
        self._before: Frame | None = None
        self._camera = (0.0, 0.0)
        self._numbers: Labels = np.zeros(0, np.uint16)
        self._shift: frozenset[int] | None = None
        self._founders: frozenset[int] | None = None
        """Those of the first answer; None until they are seen."""

    @property
    def known(self) -> bool:
        """A rule is in force."""
        return self._referent is not None

    def take(self, standing: Standing | None, query_id: int | None) -> None:
        """Note an answer's rule. One without a rule ends that of an older query."""
        if standing is None:
            if query_id not in (None, self._query_id):
                self._referent, self._query_id = None, None
            return
        if query_id != self._query_id or self._referent is None:
            self._referent, self._query_id = Referent(standing), query_id
            self._founders = None
        elif self._referent.standing != standing:
            self._referent = Referent(standing)

    def confirmed(self, track: Track, role: Role, shifting: bool) -> None:
        """Note what an answer says that a track is; between those meant and the cast the watch
        decides."""
        track.named += 1
        both = {track.role, role}
        if not shifting or Role.ANCHOR in both or track.query_id != self._query_id:
            track.role = role

    def update(self, frame: Frame, labels: Labels, tracks: Collection[Track], now_ns: int) -> None:
        """Hold the rule against where everybody is, and set their roles."""
        referent = self._referent
        if referent is None:
            return
        mine = [t for t in tracks if t.query_id == self._query_id and not t.held]
        if self._founders is None:
            self._founders = frozenset(track.id for track in mine)
        boxes = {track.id: track.box for track in tracks if track.box is not None}
        standing = referent.standing
        if standing.after is not None or standing.measure is Measure.SPEED:
            self._pan(frame, boxes.values())
        areas = standing.measure in _AREAS
        cast = {
            track.id: _seen(track.id, track.box, boxes, labels, areas)
            for track in mine
            if track.box is not None and track.role is not Role.ANCHOR
            if track.id in self._founders or track.named >= _KNOWN
        }
        anchors = (t.box for t in mine if t.role is Role.ANCHOR and t.box is not None)
        anchor = next((Seen(box, 0.0) for box in anchors), None)
        size = frame.width, frame.height
        before = referent.meant
        meant = referent.watch(Moment(now_ns / 1e9, cast, anchor, size, self._camera))
        for track in mine:
            if track.role is not Role.ANCHOR:
                track.role = Role.MEANT if track.id in meant else Role.CAST
        if meant != before:
            self._shift = meant

    def news(self) -> frozenset[int] | None:
        """Who is meant now, where that changed since last asked; empty for nobody."""
        shift, self._shift = self._shift, None
        return shift

    def shown(self, labels: Labels, tracks: Collection[Track]) -> Labels:
        """The index map with those alone who are meant; the same array where all are."""
        hidden = [t.id for t in tracks if t.role is not Role.MEANT and t.box is not None]
        if not hidden:
            return labels
        if not len(self._numbers):
            self._numbers = np.arange(np.iinfo(np.uint16).max + 1, dtype=np.uint16)
        self._numbers[hidden] = 0
        shown = self._numbers[labels]
        self._numbers[hidden] = hidden
        return shown

    def new_epoch(self) -> None:
        """The picture broke."""
        self._before, self._camera = None, (0.0, 0.0)
        if self._referent is not None:
            self._referent.forget()

    def _pan(self, frame: Frame, boxes: Collection[Box]) -> None:
        """Add how far the camera moved since the frame before."""
        before = self._before
        if before is not None and before.index != frame.index:
            dx, dy = camera.shift(before, frame, boxes)
            self._camera = self._camera[0] + dx, self._camera[1] + dy
        self._before = frame


def _seen(track_id: int, box: Box, boxes: dict[int, Box], labels: Labels, areas: bool) -> Seen:
    height, width = labels.shape
    x0, y0, x1, y1 = box
    area = 0.0
    if areas:
        window = labels[int(y0) : int(y1), int(x0) : int(x1)] == track_id
        area = float(cv2.countNonZero(window.view(np.uint8)))
    inside = min(x0, y0, width - x1, height - y1) >= _BORDER_PX
    others = (other for key, other in boxes.items() if key != track_id)
    clear = not any(
        x0 < other[2] and other[0] < x1 and y0 < other[3] and other[1] < y1 for other in others
    )
    return Seen(box, area, inside and clear)
