"""VideoSeg-R1's hierarchical text-guided sampler (section 3.2) over a whole video.

Level one: a guide is asked K times which interval answers to the words, starts and ends are
averaged, and while the key segment is longer than a share of the video it is asked again about
that segment alone. Level two: it is asked M times where in the segment the target frame lies.
Reference frames come from the whole video. Who the guide is, is not known here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from streamseg.config import OfflineConfig
from streamseg.keyframes.sampling.spread import spread

T = TypeVar("T")
Interval = tuple[float, float]
"""Start and end, as shares of what was asked about, in [0, 1]."""


class Guide(Protocol):
    """Says where in a video the words apply."""

    @property
    def name(self) -> str:
        """For the summary."""

    def segments(self, span: range, count: int) -> Sequence[Interval]:
        """`count` answers to "in which part of these frames is it?"; fewer where some cannot be
        had, none where it cannot tell.

        Args:
            span: Frames, consecutive.
        """

    def positions(self, span: range, count: int) -> Sequence[float]:
        """`count` answers to "where in these frames is it seen best?", each a share of the span in
        [0, 1]; fewer or none likewise."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one form of question cost: answers wanted, answers had, seconds."""

    calls: int = 0
    answers: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What was chosen; frames by number.

    Attributes:
        segment: The key segment.
        target: The frame to point on, in the segment.
        shown: Frames of the segment for the reasoner, the target among them.
        rounds: Times that the segment was compressed.
        guide: Who was asked.
        asked: By form of question, "segment" and "frame".
    """

    segment: range
    target: int
    shown: tuple[int, ...]
    rounds: int = 0
    guide: str = ""
    asked: Mapping[str, Asked] = field(default_factory=dict)


class HierarchicalSampler:
    """Chooses by asking a guide; keeps nothing between calls.

    Args:
        now_s: Takes the time that answers cost.
    """

    def __init__(self, config: OfflineConfig, now_s: Callable[[], float] = time.perf_counter):
        self._config = config
        self._now_s = now_s

    def plan(self, length: int, guide: Guide) -> Plan:
        """Choose from a video of `length` frames, at least one."""
        if length < 1:
            raise ValueError("expected a video of at least one frame to sample from, got none")
        config, counts = self._config, {"segment": Asked(), "frame": Asked()}
        segment, rounds = self._narrowed(range(length), guide, counts), 0
        while len(segment) > config.delta * length and rounds < config.rounds:
            segment = self._narrowed(segment, guide, counts)
            rounds += 1
        places = self._ask("frame", guide.positions, segment, config.positions, counts)
        usable = [min(1.0, max(0.0, place)) for place in places if math.isfinite(place)]
        mean = sum(usable) / len(usable) if usable else 0.5
        target = segment[min(len(segment) - 1, math.floor(len(segment) * mean))]
        return self.around(target, segment, rounds, guide.name, counts)

    def around(
        self,
        target: int,
        segment: range,
        rounds: int = 0,
        guide: str = "",
        asked: Mapping[str, Asked] | None = None,
    ) -> Plan:
        """The plan for a target frame that is known, which need not lie in the segment."""
        shown = spread(segment, self._config.segment_frames, keep=target)
        return Plan(segment, target, tuple(sorted(shown)), rounds, guide, asked or {})

    def _narrowed(self, span: range, guide: Guide, counts: dict[str, Asked]) -> range:
        """The mean of what the guide answers about `span`; the whole of it where it cannot tell."""
        answers = self._ask("segment", guide.segments, span, self._config.intervals, counts)
        usable = [_ordered(answer) for answer in answers if all(map(math.isfinite, answer))]
        if not usable:
            return span
        start = sum(start for start, _ in usable) / len(usable)
        end = sum(end for _, end in usable) / len(usable)
        first = min(len(span) - 1, math.floor(start * len(span) + 1e-9))
        last = max(first + 1, math.ceil(end * len(span) - 1e-9))
        return span[first:last]

    def _ask(
        self,
        form: str,
        question: Callable[[range, int], Sequence[T]],
        span: range,
        count: int,
        counts: dict[str, Asked],
    ) -> Sequence[T]:
        begun_s = self._now_s()
        answers = question(span, count)
        cost_s, so_far = self._now_s() - begun_s, counts[form]
        counts[form] = Asked(
            so_far.calls + count, so_far.answers + len(answers), so_far.seconds + cost_s
        )
        return answers


def _ordered(answer: Interval) -> Interval:
    low, high = sorted(min(1.0, max(0.0, edge)) for edge in answer)
    return low, high
