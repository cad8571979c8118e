"""Which frames the reasoner sees: a key segment, the target frame in it, and context around it.

The live form of VideoSeg-R1's hierarchical text-guided sampler (section 3.2): the same two
levels, over the ring of the last seconds in place of the whole video. The past is only useful
here as far as it can be carried to the present, so relevance is weighed against freshness: the
answer is replayed from the target frame on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamseg.config import SamplerConfig
from streamseg.keyframes.sampling.spread import spread
from streamseg.types import Frame

UNKNOWN_RELEVANCE = 0.5
"""Of frames before the first one whose relevance was taken."""
STALENESS_PER_S = 0.5
"""Relevance that a frame must have more than another to be preferred though a second older."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The frames of one request, each tuple in time order.

    Attributes:
        segment: The key segment, thinned; `target` among them.
        target: The frame to point on.
        references: From the rest of the ring.
    """

    segment: tuple[Frame, ...]
    target: Frame
    references: tuple[Frame, ...]


class LiveSampler:
    """Picks from the ring; keeps nothing between calls."""

    def __init__(self, config: SamplerConfig) -> None:
        self._config = config

    def sample(self, frames: Sequence[Frame], relevance: Mapping[int, float]) -> Sample:
        """Choose the frames of a request.

        Args:
            frames: The ring, in time order, at least one; frames of older epochs are left out.
            relevance: Text relevance in [0, 1] by frame index, where it was taken; a frame
                without one has that of the last frame that has.
        """
        if not frames:
            raise ValueError("expected at least one frame to sample from, got none")
        epoch = frames[-1].epoch
        ring = [frame for frame in frames if frame.epoch == epoch]
        worth = _worth(ring, relevance)
        first, last = self._key_segment(ring, worth)
        target = max(range(first, last + 1), key=lambda at: (worth[at], at))
        shown = spread(range(first, last + 1), self._config.segment_frames, keep=target)
        others = [at for at in range(len(ring)) if at < first or at > last]
        context = spread(others, self._config.reference_frames)
        return Sample(
            segment=tuple(ring[at] for at in shown),
            target=ring[target],
            references=tuple(ring[at] for at in context),
        )

    def _key_segment(self, ring: Sequence[Frame], worth: Sequence[float]) -> tuple[int, int]:
        """First and last position of the run, at most `segment_s` long, that is worth most.

        It ends within the last `segment_s`: an older one could not be caught up from.
        """
        length_ns = round(self._config.segment_s * 1e9)
        newest_ns = ring[-1].pts_ns
        sums = [0.0]
        for value in worth:
            sums.append(sums[-1] + value)
        best, chosen = -float("inf"), (len(ring) - 1, len(ring) - 1)
        first = 0
        for last, frame in enumerate(ring):
            while frame.pts_ns - ring[first].pts_ns > length_ns:
                first += 1
            if newest_ns - frame.pts_ns > length_ns:
                continue
            mean = (sums[last + 1] - sums[first]) / (last + 1 - first)
            if mean >= best:
                best, chosen = mean, (first, last)
        return chosen


def _worth(ring: Sequence[Frame], relevance: Mapping[int, float]) -> list[float]:
    """Relevance less staleness, for each frame of the ring."""
    newest_ns = ring[-1].pts_ns
    known = UNKNOWN_RELEVANCE
    worth = []
    for frame in ring:
        known = relevance.get(frame.index, known)
        worth.append(known - STALENESS_PER_S * (newest_ns - frame.pts_ns) / 1e9)
    return worth
