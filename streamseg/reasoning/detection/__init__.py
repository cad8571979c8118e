"""Detection: a picture in, boxes of known classes out, behind one small protocol."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamseg.config import ObjectsConfig
from streamseg.reasoning.loading import require_packages
from streamseg.types import Image

Boxes = NDArray[np.float32]
"""(n, 4) float32: x0, y0, x1, y1 in pixels of the source."""


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What a detector sees in one picture, best first.

    Attributes:
        boxes: (n, 4) float32, clipped to the picture.
        scores: (n,) float32 in [0, 1], as the network gives them.
        classes: (n,) int64, positions among the detector's `classes`.
    """

    boxes: Boxes
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.boxes)


class Detector(Protocol):
    """Sees things of a fixed list of classes.

    Attributes:
        classes: Their names, lower case.
        threshold: Score from which the network's word counts as seeing.
    """

    classes: tuple[str, ...]
    threshold: float

    def detect(self, image: Image) -> Detections:
        """See what is in (H, W, 3) uint8 RGB, down to half the threshold.

        Raises:
            EngineError: The network cannot run.
        """


def prepare(config: ObjectsConfig) -> Path:
    """Make sure of a detector's files, fetching what is missing, and of its packages.

    Returns:
        An ONNX file, or a folder of transformers'.

    Raises:
        CheckpointError: Its files are missing or do not fit.
        ConfigError: Nothing describes how the network is to be read.
        EngineError: It is to run by what it was not exported for.
        MissingDependencyError: Its packages are not installed.
    """
    from streamseg import weights
    from streamseg.engines.whole import check_runs

    place = weights.locate(config.detector, "detector")
    if place.suffix == ".onnx":
        from streamseg.reasoning.detection.layout import find_layout

        find_layout(place, config.layout)
        needed, file = ["onnxruntime"], place
    else:
        from streamseg.reasoning.detection.pretrained import check, weights_file

        check(place)
        needed, file = ["torch", "transformers"], weights_file(place)
    check_runs("detector", file, config)
    if config.engine.folder:
        needed = ["onnxruntime"] if config.engine.family == "onnxruntime" else ["torch"]
    require_packages((package, "everyday") for package in needed)
    return place


def build(config: ObjectsConfig) -> Detector:
    """Make the detector that the config names.

    Raises:
        CheckpointError, ConfigError, MissingDependencyError: As `prepare`.
        EngineError: The network cannot be loaded, or not where the config says.
    """
    place = prepare(config)
    if place.suffix == ".onnx":
        from streamseg.reasoning.detection.described import DescribedDetector

        return DescribedDetector.open(place, config)
    from streamseg.reasoning.detection.pretrained import PretrainedDetector

    return PretrainedDetector.open(place, config)
