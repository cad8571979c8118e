"""FlowPropagator: optical flow carries each mask, colours re-cut its edge, and doubt ends it.

The embedded default's propagator: no weights. It refuses rather than invents: an object whose
pixels stop looking like it loses its mask within a few frames, and comes back only where its
colours and its patch confirm it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from streamseg.config import FlowConfig
from streamseg.propagation.flow.opencv import cv2
from streamseg.propagation.flow.pictures import FlowEngine, FlowPair, Picture, picture
from streamseg.propagation.flow.tracked import TrackedObject, compete
from streamseg.types import Frame, Labels, Mask, Propagated


class FlowPropagator:
    """Implements `Propagator` (see the package's protocol). Used by one thread at a time."""

    def __init__(self, config: FlowConfig) -> None:
        self._config = config
        self._engine = FlowEngine()
        self._objects: dict[int, TrackedObject] = {}
        self._frame: Frame | None = None
        self._picture: Picture | None = None
        self._shape = (0, 0)

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(self._objects)

    def step(self, frame: Frame, seeds: Mapping[int, Mask] | None = None) -> Propagated:
        """Advance to `frame`; a picture of another size than the last forgets every object."""
        if self._shape != (frame.height, frame.width):
            self.reset()
            self._shape = (frame.height, frame.width)
        now = picture(frame, self._config.max_side, self._config.flow_side)
        self._advance(frame, now)
        for object_id, mask in (seeds or {}).items():
            self._seed(object_id, mask, now)
        if seeds:
            compete(self._objects.values())
        if self._picture is not None and self._picture is not now:
            self._picture.forget_colours()
        self._frame, self._picture = frame, now
        return self._output()

    def remove(self, ids: Iterable[int]) -> None:
        for object_id in ids:
            self._objects.pop(object_id, None)

    def spawn(self) -> FlowPropagator:
        return FlowPropagator(self._config)

    def fork(self) -> FlowPropagator:
        twin = FlowPropagator(self._config)
        twin._objects = {key: item.copy() for key, item in self._objects.items()}
        twin._frame, twin._picture, twin._shape = self._frame, self._picture, self._shape
        return twin

    def adopt(self, lane: FlowPropagator, ids: Mapping[int, int]) -> Propagated:
        for theirs, ours in ids.items():
            if theirs in lane._objects:
                self._objects[ours] = lane._objects[theirs]
        if self._picture is None:
            self._frame, self._picture, self._shape = lane._frame, lane._picture, lane._shape
        compete(self._objects.values())
        return self._output()

    def reset(self) -> None:
        self._objects.clear()
        self._frame = self._picture = None
        self._shape = (0, 0)

    def _advance(self, frame: Frame, now: Picture) -> None:
        if not self._objects or self._frame is None or self._picture is None:
            return
        before, since = self._picture, frame.index - self._frame.index
        pair = self._flow(self._frame, frame, before, now)
        for item in self._objects.values():
            item.advance(before, now, pair, max(1, since))
        compete(self._objects.values())
        others = [item.silhouette for item in self._objects.values() if item.silhouette]
        for item in self._objects.values():
            item.settle(now, others)

    def _flow(self, earlier: Frame, later: Frame, before: Picture, now: Picture) -> FlowPair:
        key = ("flow", earlier.index, self._config.max_side, self._config.flow_side)
        return later.memo(key, lambda: self._engine.between(before, now))

    def _seed(self, object_id: int, mask: Mask, now: Picture) -> None:
        soft = cv2.resize(
            mask.view(np.uint8) * np.uint8(255),
            now.level(0).shape[1::-1],
            interpolation=cv2.INTER_AREA,
        )
        self._objects[object_id] = TrackedObject.from_mask(
            soft, now, self._config, self._objects.get(object_id)
        )

    def _output(self) -> Propagated:
        labels: Labels = np.zeros(self._shape, np.uint16)
        for object_id, item in self._objects.items():
            if self._picture is not None:
                item.paint(labels, np.uint16(object_id), self._picture)
        scores = {object_id: item.score for object_id, item in self._objects.items()}
        return Propagated(labels, scores)
