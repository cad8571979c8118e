"""Reasoning: a sentence and a few frames in, boxes and points out, behind one small protocol."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from streamseg.config import ReasoningConfig
from streamseg.errors import ConfigError
from streamseg.types import Frame, Grounding, GroundingMode, Speed


@dataclass(frozen=True, slots=True, eq=False)
class GroundingRequest:
    """What the reasoner is asked.

    Attributes:
        text: The query.
        target: The frame whose pixels the answer's boxes and points are in.
        segment: The key segment, in time order, `target` among them (by index).
        references: Frames from further away, for context.
        mode: FAST asks for an answer without a chain of thought, WITNESS only for what is seen.
        token_budget: L(D), the reasoning length that the task's difficulty allows.
    """

    text: str
    target: Frame
    segment: tuple[Frame, ...]
    references: tuple[Frame, ...] = ()
    mode: GroundingMode = GroundingMode.REASONING
    token_budget: int = 64


class Reasoner(Protocol):
    """Answers requests, one at a time, in a process of its own."""

    def ground(self, request: GroundingRequest) -> Grounding:
        """Point at what the text means on the target frame; no targets when there is nothing.

        Raises:
            ReasoningError: No answer could be had.
        """


@runtime_checkable
class Witness(Protocol):
    """A reasoner that can also say, for less, what it sees of the kinds that a sentence means."""

    def witness(self, request: GroundingRequest) -> Grounding:
        """Look at the target frame and choose nothing: `Grounding.seen` alone is filled, and is
        None where no kind is known for the words.

        Raises:
            ReasoningError: The look could not be taken.
        """


@runtime_checkable
class Locator(Protocol):
    """A reasoner that can also say where in a video the words apply, as VideoSeg-R1's sampler asks
    (section 3.2)."""

    def locate(self, request: GroundingRequest) -> Grounding:
        """Look at the key segment's frames and choose nothing: `Grounding.where` alone is filled.

        Raises:
            ReasoningError: No answer could be had.
        """


LOCATORS = frozenset(("remote", "vlm", "exported"))
"""Backends whose reasoner is a `Locator`."""


def prepare(config: ReasoningConfig, speeds: Iterable[Speed] = Speed) -> None:
    """Make sure, before the first frame, of what the reasoners' processes will need; loads nothing.

    Args:
        speeds: Those that the config's backends answer at.

    Raises:
        CheckpointError: Its files are not here and cannot be fetched, or do not fit.
        ConfigError: Nothing describes how its network is to be read.
        MissingDependencyError: A package that it needs is not installed.
    """
    for backend in {config.speed(speed).backend for speed in speeds}:
        if backend == "objects":
            from streamseg.reasoning import detection

            detection.prepare(config.objects)
        elif backend == "concept":
            from streamseg.reasoning.models import concept

            concept.prepare(config.concept)
        elif backend == "remote":
            from streamseg.reasoning.models import remote

            remote.prepare(config.remote)
        elif backend == "vlm":
            from streamseg.reasoning.models import vlm

            vlm.prepare(config.vlm)
        elif backend == "exported":
            from streamseg.reasoning.models.exported import chat

            chat.prepare(config.exported)


def build(config: ReasoningConfig, speed: Speed = Speed.FAST) -> Reasoner:
    """Make the reasoner that the config names for a speed; called inside the worker process.

    Raises:
        ConfigError: It names none.
    """
    chosen = config.speed(speed)
    match chosen.backend:
        case "attribute":
            from streamseg.reasoning.attribute import AttributeReasoner

            return AttributeReasoner(max_targets=config.max_targets)
        case "objects":
            from streamseg.reasoning import detection
            from streamseg.reasoning.objects import ObjectsReasoner

            return ObjectsReasoner(detection.build(config.objects), config.max_targets)
        case "concept":
            from streamseg.reasoning.models import concept
            from streamseg.reasoning.models.finders import open_finder

            finder = open_finder(concept.prepare(config.concept), config.concept)
            most = config.concept.most_concepts
            return concept.ConceptReasoner(finder, config.max_targets, most)
        case "remote":
            from streamseg.reasoning.models.chat import ChatReasoner
            from streamseg.reasoning.models.remote import RemoteChat

            endpoint = RemoteChat(config.remote, config.max_targets)
            return ChatReasoner(endpoint, config.max_targets, chosen.deadline_s)
        case "vlm":
            from streamseg.reasoning.models.chat import ChatReasoner
            from streamseg.reasoning.models.vlm import VlmChat

            network = VlmChat.open(config.vlm, config.max_targets)
            return ChatReasoner(network, config.max_targets, chosen.deadline_s)
        case "exported":
            from streamseg.reasoning.models.chat import ChatReasoner
            from streamseg.reasoning.models.exported.chat import ExportedChat

            graphs = ExportedChat.open(config.exported, config.max_targets)
            return ChatReasoner(graphs, config.max_targets, chosen.deadline_s)
        case "none":
            raise ConfigError(f"reasoning.{speed}.backend: expected a reasoner, got none")
