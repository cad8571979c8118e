"""Segmentation: prompts to masks on a keyframe, behind one small protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from streamseg.config import SegmentationConfig
from streamseg.types import Frame, Segmented, Target


class Segmenter(Protocol):
    """Cuts pointed-at objects out of one frame."""

    def segment(self, frame: Frame, targets: Sequence[Target]) -> list[Segmented]:
        """Return one mask per target, in order, at the frame's resolution.

        All targets go in one call so that the picture is encoded once. May run in a thread
        beside the loop. A target that nothing can be cut for comes back with an empty mask
        and score 0.
        """


@runtime_checkable
class Sketcher(Protocol):
    """A segmenter that can also cut in a hurry."""

    def sketch(self, frame: Frame, targets: Sequence[Target]) -> list[Segmented]:
        """As `Segmenter.segment`, quicker and less well: for a first mask that is waited for."""


def build(config: SegmentationConfig) -> Segmenter:
    """Make the segmenter that the config names.

    Raises:
        CheckpointError: Its weights are missing or of another shape.
        MissingDependencyError: Its packages are not installed.
    """
    if config.backend == "sam2":
        from streamseg.segmentation.sam2 import Sam2Segmenter

        return Sam2Segmenter.from_config(config.sam2)
    from streamseg.segmentation.grabcut import GrabCutSegmenter

    grabcut = GrabCutSegmenter(config.grabcut)
    if config.backend == "salient":
        from streamseg.segmentation.better import BetterOfTwo
        from streamseg.segmentation.salient import SalientSegmenter

        return BetterOfTwo(SalientSegmenter.from_config(config.salient), grabcut)
    return grabcut
