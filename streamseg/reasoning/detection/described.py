"""A detector from an ONNX file and its description: feeds a picture, reads boxes, drops doubles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.config import ObjectsConfig
from streamseg.engines.whole import WholeEngine, open_whole
from streamseg.errors import ConfigError
from streamseg.reasoning.detection import Boxes, Detections
from streamseg.reasoning.detection.boxes import corners, select
from streamseg.reasoning.detection.layout import (
    DistanceReading,
    Feeding,
    GridReading,
    Layout,
    SetReading,
    find_layout,
)
from streamseg.types import Image

Raw = tuple[Boxes, NDArray[np.float32]]
"""(n, 4) corner boxes in input pixels, (n, classes) probabilities."""


class DescribedDetector:
    """Implements `Detector` over a network that is run whole, by what the config says."""

    def __init__(self, engine: WholeEngine, layout: Layout, threshold: float | None = None) -> None:
        """
        Raises:
            ConfigError: The description does not fit the file.
        """
        self.classes = layout.names
        self.threshold = layout.threshold if threshold is None else threshold
        self._engine = engine
        self._layout = layout
        self._input = _checked(engine, layout)

    @classmethod
    def open(cls, model: Path, config: ObjectsConfig) -> DescribedDetector:
        """Load a file with the description that the config names.

        Raises:
            ConfigError, EngineError, MissingDependencyError: As the package's `build`.
        """
        layout = find_layout(model, config.layout)
        width, height = layout.feeding.size
        engine = open_whole("detector", model, config, (1, 3, height, width))
        return cls(engine, layout, config.threshold)

    def detect(self, image: Image) -> Detections:
        """See `Detector.detect`."""
        height, width = image.shape[:2]
        picture, scale = feed(image, self._layout.feeding)
        outputs = self._engine.run({self._input: picture})
        boxes, probabilities = read(outputs, self._layout)
        boxes = np.asarray(boxes / np.asarray([*scale, *scale], np.float32), np.float32)
        limits = np.asarray([width, height, width, height], np.float32)
        np.clip(boxes, 0.0, limits, out=boxes)
        return select(boxes, probabilities, 0.5 * self.threshold, self._layout.nms_iou)


def feed(image: Image, feeding: Feeding) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """The picture as the network takes it, (1, 3, h, w) float32, and input pixels per source pixel
    along x and y."""
    width, height = feeding.size
    rows, columns = image.shape[:2]
    if feeding.resize == "stretch":
        sized, scale = cv2.resize(image, (width, height)), (width / columns, height / rows)
    else:
        ratio = min(width / columns, height / rows)
        inner = (max(1, round(columns * ratio)), max(1, round(rows * ratio)))
        sized = np.full((height, width, 3), feeding.fill, np.uint8)
        sized[: inner[1], : inner[0]] = cv2.resize(image, inner)
        scale = (inner[0] / columns, inner[1] / rows)
    if feeding.order == "bgr":
        sized = sized[..., ::-1]
    mean = np.asarray(feeding.mean, np.float32)
    deviation = np.asarray(feeding.deviation, np.float32)
    planes = ((sized.astype(np.float32) - mean) / deviation).transpose(2, 0, 1)
    return np.ascontiguousarray(planes[None]), scale


def read(outputs: Mapping[str, NDArray[Any]], layout: Layout) -> Raw:
    """Boxes in input pixels and class probabilities from what the network gave."""
    reading = layout.reading
    if isinstance(reading, DistanceReading):
        return _distances(outputs, reading, len(layout.names), layout.feeding.size)
    if isinstance(reading, SetReading):
        return _set(outputs, reading, layout.feeding.size)
    return _grid(outputs, reading, len(layout.names))


def _distances(
    outputs: Mapping[str, NDArray[Any]],
    reading: DistanceReading,
    classes: int,
    size: tuple[int, int],
) -> Raw:
    """Generalised focal loss (Li et al., NeurIPS 2020): a side is the mean of its distribution."""
    by_shape = {array.shape[1:]: array for array in outputs.values()}
    boxes, scores = [], []
    for stride in reading.strides:
        columns, rows = -(-size[0] // stride), -(-size[1] // stride)
        probabilities = by_shape[(rows * columns, classes)][0]
        sides = by_shape[(rows * columns, 4 * reading.bins)][0]
        scores.append(_sigmoid(probabilities) if reading.sigmoid else probabilities)
        spread = np.exp(
            (shaped := sides.reshape(-1, 4, reading.bins)) - shaped.max(axis=2, keepdims=True)
        )
        spread /= spread.sum(axis=2, keepdims=True)
        reach = stride * (spread @ np.arange(reading.bins, dtype=np.float32))
        y, x = np.divmod(np.arange(rows * columns), columns)
        centre = (np.stack([x, y], axis=1) + 0.5) * stride - (0.5 if reading.half_pixel else 0.0)
        boxes.append(np.concatenate([centre - reach[:, :2], centre + reach[:, 2:]], axis=1))
    return np.concatenate(boxes).astype(np.float32), np.concatenate(scores).astype(np.float32)


def _set(outputs: Mapping[str, NDArray[Any]], reading: SetReading, size: tuple[int, int]) -> Raw:
    """DETR's set prediction (Carion et al., ECCV 2020), with a sigmoid for each class as its
    successors have it."""
    logits = outputs[reading.logits][0]
    if reading.background:
        logits = logits[:, :-1]
    sides = np.asarray([*size, *size], np.float32)
    return np.asarray(corners(outputs[reading.boxes][0]) * sides, np.float32), _sigmoid(logits)


def _grid(outputs: Mapping[str, NDArray[Any]], reading: GridReading, classes: int) -> Raw:
    table = outputs[reading.output][0] if reading.output else next(iter(outputs.values()))[0]
    if table.shape[0] == 4 + classes:
        table = table.T
    scores = table[:, 4:]
    return corners(table[:, :4]), _sigmoid(scores) if reading.sigmoid else scores


def _sigmoid(values: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(1.0 / (1.0 + np.exp(-values.astype(np.float32))), np.float32)


def _checked(engine: WholeEngine, layout: Layout) -> str:
    """The input's name, once everything that the description says is there."""
    width, height = layout.feeding.size
    expected = (1, 3, height, width)
    inputs = {spec.name: spec.shape for spec in engine.inputs}
    name = next((name for name, shape in inputs.items() if shape == expected), None)
    if name is None or len(inputs) != 1:
        raise ConfigError(f"{engine.name}: expected one input of {list(expected)}, got {inputs}")
    shapes = {spec.name: spec.shape for spec in engine.outputs}
    for what, there in _needed(layout, shapes):
        if not there:
            raise ConfigError(f"{engine.name}: expected {what}, got {shapes}")
    return name


def _needed(layout: Layout, shapes: Mapping[str, tuple[int, ...]]) -> list[tuple[str, bool]]:
    """What the reading needs of the outputs, in words, and whether it is there."""
    reading, classes = layout.reading, len(layout.names)
    if isinstance(reading, DistanceReading):
        needed = []
        for stride in reading.strides:
            cells = -(-layout.feeding.size[0] // stride) * -(-layout.feeding.size[1] // stride)
            for width in (classes, 4 * reading.bins):
                wanted = (1, cells, width)
                needed.append((f"an output of {list(wanted)}", wanted in shapes.values()))
        return needed
    if isinstance(reading, SetReading):
        width = classes + reading.background
        return [
            (f"boxes in {reading.boxes!r}", shapes.get(reading.boxes, (0,))[-1] == 4),
            (
                f"{width} logits in {reading.logits!r}",
                shapes.get(reading.logits, (0,))[-1] == width,
            ),
        ]
    shape = shapes.get(reading.output, next(iter(shapes.values()), ()))
    fits = len(shape) == 3 and 4 + classes in shape[1:]
    return [(f"an output with {4 + classes} channels", fits)]
