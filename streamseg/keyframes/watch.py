"""The watch over a stream for one query: takes a frame's signals and lets the trigger decide."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from streamseg.config import Config
from streamseg.keyframes import words
from streamseg.keyframes.difficulty import DifficultyEstimator, mode, token_budget, with_doubt
from streamseg.keyframes.relevance import TextRelevance
from streamseg.keyframes.sampling.live import LiveSampler, Sample
from streamseg.keyframes.scene import SceneChange
from streamseg.keyframes.speeds import Considering, hear
from streamseg.keyframes.trigger import Decision, Trigger, TriggerSignals
from streamseg.types import (
    DeepReason,
    Difficulty,
    Frame,
    Grounding,
    GroundingMode,
    MaskSet,
    Spared,
    TrackState,
    TrackView,
    TriggerReason,
)


@dataclass(frozen=True, slots=True)
class Look:
    """One frame as the watch sees it: how hard the task is now, and whether to ask."""

    difficulty: Difficulty
    decision: Decision


@dataclass(frozen=True, slots=True)
class Call:
    """What the deep reasoner is to be asked: why, and how much it may think.

    Attributes:
        reason: Why the fast one was asked before it.
    """

    deep: DeepReason
    reason: TriggerReason
    difficulty: float
    mode: GroundingMode
    token_budget: int

    def __str__(self) -> str:
        return f"{self.deep}, difficulty {self.difficulty:.1f}"


class KeyframeWatch:
    """Made anew for every query; `look` is called on every frame."""

    def __init__(self, config: Config, query_text: str) -> None:
        self._sampler = LiveSampler(config.sampler)
        self._trigger = Trigger(config.trigger, config.difficulty, config.sampler.warmup_frames)
        self._relevance = TextRelevance(query_text)
        self._difficulty = DifficultyEstimator(query_text)
        self._scene = SceneChange()
        self._considering = Considering(config.trigger.deep, config.difficulty)
        self._efforts = config.difficulty
        self._answered_for = TriggerReason.NEW_QUERY
        self._doubted = 1.0
        self._every = config.trigger.relevance_every
        self._remembered = config.buffer.max_frames
        self._needs_motion = words.read(query_text).needs_motion
        self._relevances: OrderedDict[int, float] = OrderedDict()
        self._seen = 0
        self._fresh = True

    def look(
        self,
        frame: Frame,
        masks: MaskSet,
        *,
        busy: bool,
        grounding_age_s: float | None,
        now_ns: int,
        replaying: bool = False,
        shifting: bool = False,
        waiting: bool = False,
    ) -> Look:
        """Take the signals of a frame and decide.

        Args:
            masks: The tracks on this frame.
            busy: A request is in flight.
            replaying: An answer is being caught up.
            shifting: Who is meant may change.
            waiting: Those who may be meant are followed, and nobody is meant now.
            grounding_age_s: Since the newest answer that was merged; None before the first.
        """
        self._seen += 1
        change = self._scene(frame)
        difficulty = self._difficulty.update(frame, masks, change.motion, now_ns)
        live = [view for view in masks.objects if view.state is not TrackState.LOST]
        signals = TriggerSignals(
            busy=busy,
            replaying=replaying,
            new_query=self._fresh,
            frames_seen=self._seen,
            needs_motion=self._needs_motion,
            n_live=len(live),
            n_lost=len(masks.objects) - len(live),
            worst_score=_worst_score(live),
            scene_change=change.cut,
            relevance=self._take_relevance(frame),
            grounding_age_s=grounding_age_s if live or waiting else None,
            shifting=shifting,
            waiting=waiting,
            difficulty=difficulty.value,
        )
        self._fresh = False
        decision = self._trigger.decide(signals, now_ns)
        if decision.reason is TriggerReason.SCENE_CUT:
            self._considering.new_scene()
        return Look(difficulty, decision)

    def sample(self, frames: list[Frame]) -> Sample:
        """The frames that a request shows, from the ring's, oldest first.

        What was pointed at once is worth nothing more: asking again is for a newer frame.
        """
        sample = self._sampler.sample(frames, self._relevances)
        for index in self._relevances:
            if index <= sample.target.index:
                self._relevances[index] = 0.0
        return sample

    def answered(self, *, found: bool, cost_s: float, now_ns: int) -> None:
        """The request fired last is over: whether it named an object, and what it cost."""
        self._trigger.answered(found, cost_s, now_ns)

    def spent(self, cost_s: float, now_ns: int) -> None:
        """What carrying an answer to the present took, for the budget."""
        self._trigger.spent(cost_s, now_ns)

    def witnessed(
        self, *, able: bool, doubted: bool, unheld: int, cost_s: float, now_ns: int
    ) -> None:
        """The look fired last is over: see `Trigger.witnessed`."""
        self._trigger.witnessed(able, doubted, unheld, cost_s, now_ns)

    def consider(
        self, reason: TriggerReason, grounding: Grounding | None, difficulty: float, now_ns: int
    ) -> Spared | None:
        """Whether an answer of the fast reasoner will do: why the deep one is not asked, None where
        it is to be.

        Args:
            grounding: None where the fast one failed.
            difficulty: D as the question was asked.
        """
        self._answered_for = reason
        self._doubted = difficulty if grounding is None else with_doubt(difficulty, grounding)
        return self._considering.heard(hear(reason, grounding, self._doubted), now_ns / 1e9)

    def disagreed(self, now_ns: int) -> Spared | None:
        """The fast reasoner named another thing than the deep one chose: as `consider`."""
        return self._considering.disagreed(now_ns / 1e9)

    @property
    def wishes(self) -> bool:
        """There is something to ask the deep reasoner, once it is ready."""
        return self._considering.wishes

    def take_wish(self, now_ns: int) -> Call | None:
        """What the deep reasoner is asked now."""
        deep = self._considering.take_wish(now_ns / 1e9)
        if deep is None:
            return None
        difficulty = self._doubted
        effort = mode(difficulty, self._efforts), token_budget(difficulty, self._efforts)
        return Call(deep, self._answered_for, difficulty, *effort)

    def considered(self, *, told: bool, now_ns: int) -> None:
        """The deep reasoner is done; `told`: it answered, and could tell."""
        self._considering.considered(told=told, now_s=now_ns / 1e9)

    def new_epoch(self) -> None:
        """The picture broke: what was seen before says nothing of what comes."""
        self._trigger.reset()
        self._considering.new_scene()
        self._relevances.clear()
        self._seen = 0

    def _take_relevance(self, frame: Frame) -> float | None:
        if (self._seen - 1) % self._every:
            return None
        value = self._relevance(frame)
        self._relevances[frame.index] = value
        while len(self._relevances) > self._remembered:
            self._relevances.popitem(last=False)
        return value


def _worst_score(live: list[TrackView]) -> float:
    return min((view.evidence.belief for view in live), default=1.0)
