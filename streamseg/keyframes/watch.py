"""The watch over a stream for one query: takes a frame's signals and lets the trigger decide."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from streamseg.config import Config
from streamseg.keyframes import words
from streamseg.keyframes.difficulty import DifficultyEstimator
from streamseg.keyframes.relevance import TextRelevance
from streamseg.keyframes.sampling.live import LiveSampler, Sample
from streamseg.keyframes.scene import SceneChange
from streamseg.keyframes.trigger import Decision, Trigger, TriggerSignals
from streamseg.types import Difficulty, Frame, MaskSet, TrackState, TrackView


@dataclass(frozen=True, slots=True)
class Look:
    """One frame as the watch sees it: how hard the task is now, and whether to ask."""

    difficulty: Difficulty
    decision: Decision


class KeyframeWatch:
    """Made anew for every query; `look` is called on every frame."""

    def __init__(self, config: Config, query_text: str) -> None:
        self._sampler = LiveSampler(config.sampler)
        self._trigger = Trigger(config.trigger, config.difficulty, config.sampler.warmup_frames)
        self._relevance = TextRelevance(query_text)
        self._difficulty = DifficultyEstimator(query_text)
        self._scene = SceneChange()
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
    ) -> Look:
        """Take the signals of a frame and decide.

        Args:
            masks: The tracks on this frame.
            busy: A request is in flight.
            replaying: An answer is being caught up.
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
            grounding_age_s=grounding_age_s if live else None,
            difficulty=difficulty.value,
        )
        self._fresh = False
        return Look(difficulty, self._trigger.decide(signals, now_ns))

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

    def witnessed(
        self, *, able: bool, doubted: bool, unheld: int, cost_s: float, now_ns: int
    ) -> None:
        """The look fired last is over: see `Trigger.witnessed`."""
        self._trigger.witnessed(able, doubted, unheld, cost_s, now_ns)

    def new_epoch(self) -> None:
        """The picture broke: what was seen before says nothing of what comes."""
        self._trigger.reset()
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
