"""The cutter through our export: an ONNX file as it is."""

from __future__ import annotations

from pathlib import Path

from streamseg import weights
from streamseg.config import SalientConfig
from streamseg.engines.arrays import ArrayEngine
from streamseg.export.whole import Whole, as_it_is
from streamseg.segmentation.salient import SalientSegmenter


def cutter(config: SalientConfig) -> Whole:
    """The one that the config names.

    Raises:
        CheckpointError: Its file is missing.
    """

    def fits(engine: ArrayEngine) -> None:
        SalientSegmenter(engine, config)

    place = Path(weights.locate(config.network, "cutter"))
    return as_it_is("cutter", place, (1, 3, config.side, config.side), fits)
