"""SAM2's whole loop on engines against the plain network: the same masks over a clip?"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from streamseg.config import Sam2PropagationConfig
from streamseg.export.verify_xmem import PipelineVerdict, overlaps
from streamseg.propagation.sam2.propagator import Network, Sam2Propagator
from streamseg.synthetic import Scene, scene
from streamseg.types import Frame, Mask

_OBJECTS = 2
_SIZE = (640, 360)


def verify_loop(
    network: Network,
    engines: Network,
    config: Sam2PropagationConfig,
    frames: int,
    on_frame: Callable[[], None] = lambda: None,
) -> PipelineVerdict:
    """Run a synthetic clip twice, side by side; two objects are given on its first picture.

    Args:
        network: What is right.
        engines: What is judged.
        config: Of the loop.
        frames: How many.
        on_frame: Called after every frame.
    """
    # Nothing is kept on frames: each encodes the picture itself.
    config = config.model_copy(update={"keep_features": "none"})
    plain, judged = Sam2Propagator(network, config), Sam2Propagator(engines, config)
    shown = scene("medium", seed=7, size=_SIZE)
    found: list[float] = []
    difference = 0.0
    for index in range(frames):
        frame = Frame(index, index, 0, shown.frame(index)[0])
        seeds = _first_masks(shown) if index == 0 else None
        plain.step(frame, seeds)
        judged.step(frame, seeds)
        expected, got = plain.logits.cpu(), judged.logits.cpu()
        difference = max(difference, float((expected.sigmoid() - got.sigmoid()).abs().max()))
        for mine, other in zip(expected > 0, got > 0, strict=True):
            # Each by itself: where two claim a pixel alike, a rounding decides who has it.
            found += overlaps(mine.long().numpy(), other.long().numpy(), 2)
        on_frame()
    return PipelineVerdict(float(np.mean(found)), difference, frames)


def _first_masks(shown: Scene) -> dict[int, Mask]:
    """The largest objects of the first picture, numbered from 1."""
    labels = shown.frame(0)[1]
    ids, areas = np.unique(labels[labels > 0], return_counts=True)
    largest = ids[np.argsort(areas)[::-1][:_OBJECTS]]
    return {at: cast(Mask, labels == id_) for at, id_ in enumerate(largest, start=1)}
