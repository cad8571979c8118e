"""SalientSegmenter: the salient object of the crop around a box, by a small network.

U²-Net (Qin et al., Pattern Recognition 2020) and its kin know things whole, where colours know
patches: the crop around a person's box yields the person. Knows no words and no time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg import weights
from streamseg.config import SalientConfig
from streamseg.engines.whole import WholeEngine, open_whole
from streamseg.errors import CheckpointError
from streamseg.types import Box, Frame, Image, Mask, Segmented, Target

_MEAN = np.asarray((0.485, 0.456, 0.406), np.float32)
_DEVIATION = np.asarray((0.229, 0.224, 0.225), np.float32)
"""ImageNet's, of each channel in [0, 1]."""
_FLAT = 0.05
"""A map whose values span less than this says nothing."""


class SalientSegmenter:
    """Implements `Segmenter`. Keeps no state between calls: any number of threads may share it.

    Its score is how sure the network is of its own mask: the mean distance of its values from
    undecided, over what the mask and its surroundings in the box cover.
    """

    def __init__(self, engine: WholeEngine, config: SalientConfig) -> None:
        """
        Raises:
            CheckpointError: It is no network of one picture to one map.
        """
        self._engine = engine
        self._config = config
        self._input, self._output, self._size = _ports(engine)

    @classmethod
    def from_config(cls, config: SalientConfig) -> SalientSegmenter:
        """Load the network that the config names.

        Raises:
            CheckpointError: It is missing, or another kind of network.
            EngineError: It cannot run, or not by what the config says.
            MissingDependencyError: A package that runs it is not installed.
        """
        place = weights.locate(config.network, "cutter")
        picture = (1, 3, config.side, config.side)
        return cls(open_whole("cutter", Path(place), config, picture), config)

    def segment(self, frame: Frame, targets: Sequence[Target]) -> list[Segmented]:
        """See `Segmenter.segment`; each target costs one run of the network."""
        return [self._segment_one(frame, target) for target in targets]

    def _segment_one(self, frame: Frame, target: Target) -> Segmented:
        mask: Mask = np.zeros((frame.height, frame.width), np.bool_)
        place = _around(target.box, frame, self._config.margin)
        if place is None:
            return Segmented(mask, 0.0)
        rows, columns, box = place
        window = frame.image[rows, columns]
        soft = self._look(window)
        if soft is None:
            return Segmented(mask, 0.0)
        fine = cv2.resize(soft, (window.shape[1], window.shape[0]), interpolation=cv2.INTER_LINEAR)
        x0, y0, x1, y1 = box
        inside = np.zeros(fine.shape, np.bool_)
        inside[y0:y1, x0:x1] = fine[y0:y1, x0:x1] > self._config.threshold
        if not inside.any():
            return Segmented(mask, 0.0)
        mask[rows, columns] = inside
        sure = float(np.abs(2.0 * fine[y0:y1, x0:x1] - 1.0).mean())
        return Segmented(mask, sure)

    def _look(self, window: Image) -> NDArray[np.float32] | None:
        """(s, s) float32 in [0, 1]; None when the network sees nothing that stands out."""
        width, height = self._size
        small = cv2.resize(window, (width, height), interpolation=cv2.INTER_AREA)
        pixels = small.astype(np.float32) / max(float(small.max()), 1.0)
        pixels = ((pixels - _MEAN) / _DEVIATION).transpose(2, 0, 1)
        found = self._engine.run({self._input: np.ascontiguousarray(pixels[None])})[self._output]
        plane = np.asarray(found[0, 0], np.float32)
        low, high = float(plane.min()), float(plane.max())
        return None if high - low < _FLAT else (plane - low) / np.float32(high - low)


def _around(
    box: Box, frame: Frame, margin: float
) -> tuple[slice, slice, tuple[int, int, int, int]] | None:
    """Rows and columns of the crop, and the box in its pixels; None when it holds no pixel."""
    if not all(math.isfinite(edge) for edge in box):
        return None
    x0, y0 = max(0.0, box[0]), max(0.0, box[1])
    x1, y1 = min(float(frame.width), box[2]), min(float(frame.height), box[3])
    if x1 - x0 < 1 or y1 - y0 < 1:
        return None
    dx, dy = margin * (x1 - x0), margin * (y1 - y0)
    left, top = int(max(0.0, x0 - dx)), int(max(0.0, y0 - dy))
    right, bottom = math.ceil(min(frame.width, x1 + dx)), math.ceil(min(frame.height, y1 + dy))
    own = (
        math.floor(x0) - left, math.floor(y0) - top, math.ceil(x1) - left, math.ceil(y1) - top,
    )  # fmt: skip
    return slice(top, bottom), slice(left, right), own


def _ports(engine: WholeEngine) -> tuple[str, str, tuple[int, int]]:
    """Names of the input and of the first map, and the input's width and height."""
    first = engine.inputs[0]
    maps = [spec for spec in engine.outputs if len(spec.shape) == 4 and spec.shape[:2] == (1, 1)]
    fits = len(engine.inputs) == 1 and first.shape[:2] == (1, 3) and len(first.shape) == 4
    if not fits or not maps:
        shapes = ", ".join(f"{spec.name} {spec}" for spec in (*engine.inputs, *engine.outputs))
        raise CheckpointError(
            f"{engine.name}: expected one picture (1, 3, h, w) in and a map (1, 1, h, w) out, "
            f"got {shapes}; give a salient-object network such as u2netp"
        )
    return first.name, maps[0].name, (first.shape[3], first.shape[2])
