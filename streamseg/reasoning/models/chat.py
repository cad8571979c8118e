"""From a model that chats to a reasoner: asks, reads the answer, moves it into the frame's pixels.

One `Chat` for each way to run a model; what is asked and how it is read is the same for all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from streamseg.config import PicturesSection
from streamseg.errors import ReasoningError
from streamseg.reasoning import GroundingRequest
from streamseg.reasoning.language import answer, prompt
from streamseg.reasoning.language.coordinates import Family, Scale, scale_of
from streamseg.reasoning.language.prompt import Prompt, Shown
from streamseg.types import Difficulty, Frame, Grounding, GroundingMode

_SPARE = 0.9
"""Of the deadline, after which nothing is begun: past the whole of it the process is ended."""

_LABEL = 40


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote.

    Attributes:
        text: All of it, with what was put into its mouth.
        tokens: That it took, thinking and answer together, in its own tokens.
        notes: What was done to it, for people: "steered to answer".
    """

    text: str
    tokens: int
    notes: tuple[str, ...] = ()


class Chat(Protocol):
    """A model that reads texts and pictures and writes text, one prompt at a time."""

    family: Family
    as_json: bool
    """Answers come as one JSON object rather than in tags."""

    @property
    def pictures(self) -> PicturesSection:
        """How fine the model is shown pictures."""

    def complete(self, asked: Prompt, until: float) -> Completion:
        """Let the model answer; sooner than `until` on `time.monotonic`, if need be cut short.

        Raises:
            ReasoningError: No answer could be had.
        """


class ChatReasoner:
    """Implements `Reasoner` and `Locator` over a `Chat`."""

    def __init__(self, chat: Chat, max_targets: int, deadline_s: float) -> None:
        """Args:
        deadline_s: An answer that takes longer is of no use.
        """
        self.chat = chat
        self._max_targets = max_targets
        self._deadline_s = deadline_s

    def ground(self, request: GroundingRequest) -> Grounding:
        """Ask for boxes and points; in FAST mode without a chain of thought.

        Raises:
            ReasoningError: No answer, or none that can be read.
        """
        started = time.monotonic()
        chat, target = self.chat, request.target
        scale = scale_for(chat, target)
        segment, references = _thinned(request, chat.pictures.context_frames)
        asked = prompt.grounding(
            request.text,
            target,
            segment,
            references,
            scale,
            chat.family.convention,
            thinks=request.mode is GroundingMode.REASONING,
            budget=request.token_budget,
            as_json=chat.as_json,
        )
        wrote = chat.complete(asked, started + _SPARE * self._deadline_s)
        try:
            read = answer.parse(wrote.text)
            targets = answer.targets(read, scale, self._max_targets)
        except ReasoningError as error:
            told = f" ({'; '.join(wrote.notes)})" if wrote.notes else ""
            raise ReasoningError(f"the model's answer: {error}{told}") from None
        targets = tuple(
            target if target.label else replace(target, label=_short(request.text))
            for target in targets
        )
        notes = [*wrote.notes, *(["the list was cut off"] if read.cut else [])]
        reasoning = "\n".join(filter(None, (read.thinking, *(f"({note})" for note in notes))))
        return Grounding(
            targets,
            reasoning,
            wrote.tokens,
            time.monotonic() - started,
            cannot_tell=read.cannot_tell,
        )

    def locate(self, request: GroundingRequest) -> Grounding:
        """Ask in which part of the key segment's frames, or on which, what is meant is to be seen.

        Raises:
            ReasoningError: No answer, or none that can be read.
        """
        started = time.monotonic()
        frames = _spread(request.segment, 1 + self.chat.pictures.context_frames)
        start_s, end_s = frames[0].pts_s, frames[-1].pts_s
        where: tuple[float, ...]
        if request.mode is GroundingMode.SEGMENT and end_s > start_s:
            interval = self.interval(request.text, frames, start_s, end_s)
            places = ((time_s - start_s) / (end_s - start_s) for time_s in interval)
            where = tuple(min(1.0, max(0.0, place)) for place in places)
        else:
            where = (_share(frames, self.position(request.text, frames)),)
        return Grounding((), seconds=time.monotonic() - started, where=where)

    def interval(
        self, query: str, frames: Sequence[Frame], start_s: float, end_s: float
    ) -> tuple[float, float]:
        """Ask which part of a video a sentence speaks of (VideoSeg-R1, section 3.2, level one).

        Args:
            frames: A sample of it, in time order.
            start_s, end_s: Times between which it is asked about.

        Returns:
            Start and end in seconds, within these.

        Raises:
            ReasoningError: No answer, or none that can be read.
        """
        wrote = self._ask(prompt.segment(query, frames, start_s, end_s))
        start, end = answer.parse_interval(wrote.text, end_s - start_s)
        return start_s + start, start_s + end

    def position(self, query: str, frames: Sequence[Frame]) -> float:
        """Ask at which moment of a part, in [0, 1], the object is seen best (level two).

        Raises:
            ReasoningError: No answer, or none that can be read.
        """
        return answer.parse_fraction(self._ask(prompt.position(query, frames)).text)

    def difficulty(self, query: str, frames: Sequence[Frame]) -> Difficulty:
        """Ask for the five dimensions of a task's difficulty (section 3.4).

        Raises:
            ReasoningError: No answer, or none that can be read.
        """
        return answer.parse_difficulty(self._ask(prompt.difficulty(query, frames)).text)

    def _ask(self, asked: Prompt) -> Completion:
        return self.chat.complete(asked, time.monotonic() + _SPARE * self._deadline_s)


def scale_for(chat: Chat, frame: Frame) -> Scale:
    """How a chat's model sees a target frame."""
    return scale_of(chat.family, frame.width, frame.height, chat.pictures.pixels)


def shown_size(family: Family, pictures: PicturesSection, shown: Shown) -> tuple[int, int]:
    """Width and height at which a prompt's picture is shown."""
    pixels = pictures.pixels if shown.target else pictures.context_pixels
    return scale_of(family, shown.frame.width, shown.frame.height, pixels).shown


def _thinned(request: GroundingRequest, most: int) -> tuple[Sequence[Frame], Sequence[Frame]]:
    """Segment and references with at most `most` frames beside the target, evenly spread; the
    segment's have precedence."""
    own = (request.target.epoch, request.target.index)
    segment = [frame for frame in request.segment if (frame.epoch, frame.index) != own]
    references = [frame for frame in request.references if (frame.epoch, frame.index) != own]
    kept = _spread(segment, most)
    return kept, _spread(references, most - len(kept))


def _share(frames: Sequence[Frame], place: float) -> float:
    """A place among frames, counted evenly, as a share of the time between first and last."""
    at = place * (len(frames) - 1)
    before = frames[math.floor(at)].pts_ns
    between = frames[math.ceil(at)].pts_ns - before
    whole = frames[-1].pts_ns - frames[0].pts_ns
    return (before - frames[0].pts_ns + (at % 1.0) * between) / whole if whole > 0 else 0.0


def _spread(frames: Sequence[Frame], most: int) -> Sequence[Frame]:
    if len(frames) <= most:
        return frames
    if most <= 1:
        return frames[:most]
    return [frames[round(at * (len(frames) - 1) / (most - 1))] for at in range(most)]


def _short(query: str) -> str:
    """A sentence as a label."""
    line = " ".join(query.split())
    return line if len(line) <= _LABEL else f"{line[: _LABEL - 1]}…"
