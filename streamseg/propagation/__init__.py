"""Propagation: masks from frame to frame, behind one small protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, Self

from streamseg.config import PropagationConfig
from streamseg.types import Frame, Mask, Propagated


class Propagator(Protocol):
    """Carries the masks of several objects along a stream.

    Objects enter in one way only: a *lane* (`spawn`) is seeded on a keyframe, replayed to the
    present, and adopted. A propagator is used by one thread at a time; a lane may run in
    another thread than the propagator that spawned it (weights are shared, state is not).
    """

    @property
    def ids(self) -> tuple[int, ...]:
        """The objects held, in the order they were added."""

    def step(self, frame: Frame, seeds: Mapping[int, Mask] | None = None) -> Propagated:
        """Advance to `frame`.

        Args:
            frame: Later than the last one; frames in between may have been skipped.
            seeds: Masks (H, W) bool that hold on this frame for the ids given: a new id is
                added, a known one is corrected. Ids not given keep being propagated.
        """

    def remove(self, ids: Iterable[int]) -> None:
        """Forget objects and free what they hold; unknown ids are ignored."""

    def spawn(self) -> Self:
        """An empty propagator that shares this one's weights."""

    def fork(self) -> Self:
        """An independent copy of this one as it stands."""

    def adopt(self, lane: Self, ids: Mapping[int, int]) -> Propagated:
        """Take over objects of `lane`, which stands on the same frame as this one.

        Args:
            lane: Not used any more afterwards.
            ids: Lane's id to id here. An id already held is refreshed by the lane's object.

        Returns:
            This propagator's output for the present frame, with the adopted objects in it.
        """

    def reset(self) -> None:
        """Forget every object: a new epoch."""


def build(config: PropagationConfig) -> Propagator:
    """Make the propagator that the config names.

    Raises:
        CheckpointError: Its weights are missing or of another shape.
        MissingDependencyError: Its packages are not installed.
    """
    if config.backend == "xmem":
        from streamseg.propagation.xmem.propagator import NeuralPropagator

        return NeuralPropagator.from_config(config.xmem)
    if config.backend == "sam2":
        from streamseg.propagation.sam2.propagator import Sam2Propagator

        return Sam2Propagator.from_config(config.sam2)
    from streamseg.propagation.flow.propagator import FlowPropagator

    return FlowPropagator(config.flow)
