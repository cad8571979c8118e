"""The detector through our export: a folder of transformers' as a part, an ONNX file as it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from streamseg import weights
from streamseg.config import ObjectsConfig
from streamseg.engines.arrays import ArrayEngine
from streamseg.engines.whole import file_sha256
from streamseg.errors import ConfigError
from streamseg.export.build import Made, Order, make
from streamseg.export.part import Part
from streamseg.export.whole import Whole, as_it_is
from streamseg.reasoning.detection import pretrained
from streamseg.reasoning.detection.described import DescribedDetector
from streamseg.reasoning.detection.layout import find_layout

_CHECKS = "TRANSFORMERS_DISABLE_TORCH_CHECK"


def detector(config: ObjectsConfig) -> Whole:
    """The one that the config names.

    Raises:
        CheckpointError: Its files are missing.
        ConfigError: Nothing describes how an ONNX file is to be read.
    """
    place = weights.locate(config.detector, "detector")
    if place.suffix != ".onnx":
        return Whole("detector", lambda order: _exported(place, order))
    layout = find_layout(place, config.layout)
    width, height = layout.feeding.size

    def fits(engine: ArrayEngine) -> None:
        DescribedDetector(engine, layout)

    return as_it_is("detector", place, (1, 3, height, width), fits)


class _Answer(nn.Module):
    """A detector of transformers' with tensors in and out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        answer = self.network(pixel_values=picture)
        return answer.logits, answer.pred_boxes


def detector_part(folder: Path) -> Part:
    """A folder's detector as a part, on a picture prepared as the folder wants it.

    Raises:
        CheckpointError: A file is missing or damaged.
        MissingDependencyError: transformers is not installed.
    """
    network = pretrained.load(folder)
    picture = pretrained.prepare_for(folder)(_example((240, 320)))
    inputs = {pretrained.PICTURE: torch.from_numpy(picture)}
    outputs = (pretrained.LOGITS, pretrained.BOXES)
    return Part("detector", _Answer(network), inputs, outputs)


def _exported(folder: Path, order: Order) -> Made:
    if order.precision != "fp32":
        # Rounding changes which queries are chosen, and so every row of the answer: nothing that
        # compares numbers can tell that from a broken network.
        raise ConfigError(
            f"detector: expected --precision fp32, got {order.precision}: what it looks at is "
            "chosen by comparing numbers"
        )
    with _unchecked():
        return make(detector_part(folder), order, file_sha256(pretrained.weights_file(folder)))


@contextmanager
def _unchecked() -> Iterator[None]:
    """Without transformers' checks of shapes as it runs: there is no ONNX for them."""
    before = os.environ.get(_CHECKS)
    os.environ[_CHECKS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_CHECKS]
        else:
            os.environ[_CHECKS] = before


def _example(size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture (h, w, 3) with flat areas, edges between them, and some grain."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (8, 8, 3))
    rows = np.arange(size[0]) * 8 // size[0]
    columns = np.arange(size[1]) * 8 // size[1]
    grain = random.normal(0.0, 12.0, (*size, 3))
    return np.clip(coarse[rows][:, columns] + grain, 0, 255).astype(np.uint8)
