"""A reasoner as the sampler's guide: frames of the video are read again and shown to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streamseg.keyframes.sampling.hierarchy import Interval
from streamseg.reasoning import GroundingRequest
from streamseg.reasoning.dialogue import Question
from streamseg.reasoning.interview import Interview
from streamseg.types import Frame, GroundingMode, TriggerReason


class ReasonerGuide:
    """Puts the paper's two questions (VideoSeg-R1, section 3.2) to a reasoner.

    Models answer greedily, so that the same question has the same answer: each of the K or M times
    another sample of the span is shown.

    Args:
        interview: With a reasoner that can say.
        frame: Reads a frame again.
        shown: Frames shown with each question.
    """

    name = "the reasoner"

    def __init__(
        self,
        interview: Interview,
        frame: Callable[[int], Frame],
        query: str,
        query_id: int,
        shown: int,
    ) -> None:
        self._interview = interview
        self._frame = frame
        self._query = query
        self._query_id = query_id
        self._shown = shown

    def segments(self, span: range, count: int) -> Sequence[Interval]:
        answers = self._ask(GroundingMode.SEGMENT, span, count)
        return [(places[0], places[1]) for places in answers if len(places) == 2]

    def positions(self, span: range, count: int) -> Sequence[float]:
        answers = self._ask(GroundingMode.FRAME, span, count)
        return [places[0] for places in answers if len(places) == 1]

    def _ask(self, mode: GroundingMode, span: range, count: int) -> list[tuple[float, ...]]:
        answers: list[tuple[float, ...]] = []
        for turn in range(count):
            frames = tuple(self._frame(at) for at in sample(span, self._shown, turn / count))
            request = GroundingRequest(self._query, frames[0], frames, mode=mode, token_budget=0)
            question = Question(request, self._query_id, TriggerReason.NEW_QUERY, 1.0, 0)
            answer = self._interview.locate(question)
            if answer.grounding is None:
                continue
            answers.append(answer.grounding.where)
        return answers


def sample(span: range, count: int, shift: float) -> list[int]:
    """At most `count` frames of a span, its ends among them, the others evenly between and moved
    on by a share of their distance.

    Args:
        shift: In [0, 1).
    """
    if len(span) <= max(2, count):
        return list(span)
    step = (len(span) - 1) / max(1, count - 1)
    inner = (span[min(len(span) - 2, round((at + shift) * step))] for at in range(1, count - 1))
    return sorted({span[0], *inner, span[-1]})
