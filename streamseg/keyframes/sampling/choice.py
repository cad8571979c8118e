"""From one reading of a video to the frames that a reasoner is asked about, the best first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from streamseg.config import Config
from streamseg.keyframes.relevance import TextRelevance
from streamseg.keyframes.sampling.guide import RelevanceGuide
from streamseg.keyframes.sampling.hierarchy import Guide, HierarchicalSampler, Plan
from streamseg.keyframes.sampling.survey import Survey
from streamseg.types import Frame

_NEAR_S = 0.2
"""How far from the target two more frames are shown, to judge motion by."""


class VideoChoice:
    """Sees every frame once, then chooses.

    Args:
        fps: Frames per second of the video.
        target: The target frame, where somebody has chosen it.
    """

    def __init__(self, config: Config, query: str, fps: float, target: int | None = None) -> None:
        self._config = config.offline
        self._near = max(1, round(_NEAR_S * fps))
        self._target = target
        self._sampler = HierarchicalSampler(config.offline)
        self._survey = Survey(TextRelevance(query), config.trigger.relevance_every)
        self._frames = 0
        self._plan: Plan | None = None

    def see(self, frame: Frame) -> None:
        """Take the next frame of the first reading."""
        self._frames += 1
        self._survey.see(frame)

    def plans(self, guides: Sequence[Guide] = ()) -> Iterator[Plan]:
        """The sampler's choice, then others for when nothing is found there.

        Args:
            guides: Who may know where the words apply. The first that answers is taken; relevance
                by colours where none does.
        """
        if self._target is not None:
            self._plan = self._around(self._target, "the one asked for")
            yield self._plan
            return
        plan = self._plan = self._first_plan(guides)
        yield plan
        apart = max(1, self._frames // (2 * self._config.tries))
        for target in self._survey.best(self._config.tries - 1, apart, without=plan.target):
            self._plan = self._around(target, "another, for nothing was found before")
            yield self._plan

    def _first_plan(self, guides: Sequence[Guide]) -> Plan:
        colours = RelevanceGuide(self._survey.relevance, "colours")
        for guide in guides:
            plan = self._sampler.plan(self._frames, guide)
            if plan.asked["segment"].answers or plan.asked["frame"].answers:
                return plan
        return self._sampler.plan(self._frames, colours)

    def shown(self, plan: Plan) -> list[int]:
        """Numbers of the key segment's frames for the reasoner, two near the target among them."""
        near = {plan.target - self._near, plan.target + self._near}
        return sorted({*plan.shown, *(at for at in near if 0 <= at < self._frames)})

    def references(self, plan: Plan) -> list[int]:
        """Numbers of frames from all over the video, none of them shown already."""
        shown = set(self.shown(plan))
        wanted = self._survey.references(self._config.reference_frames)
        return [at for at in wanted if at not in shown]

    def summary(self) -> dict[str, Any]:
        """What was chosen, and what the questions cost; ready for JSON."""
        plan = self._plan
        if plan is None:
            return {}
        return {
            "guide": plan.guide,
            "segment": [plan.segment.start, plan.segment.stop],
            "target": plan.target,
            "rounds": plan.rounds,
            "asked": {
                form: {
                    "calls": cost.calls,
                    "answers": cost.answers,
                    "seconds": round(cost.seconds, 4),
                }
                for form, cost in plan.asked.items()
            },
        }

    def _around(self, target: int, guide: str) -> Plan:
        half = max(1, self._frames // 20)
        segment = range(max(0, target - half), min(self._frames, target + half + 1))
        asked = {} if self._plan is None else self._plan.asked
        return self._sampler.around(target, segment, guide=guide, asked=asked)
