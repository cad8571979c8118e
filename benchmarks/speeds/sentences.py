"""What the fast reasoner makes of many synthetic sentences: how hard each was said to be before and
after its answer, and how far the answer was from the truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from streamseg import reasoning, segmentation, synthetic
from streamseg.benchmarks import clips
from streamseg.benchmarks.speeds.roundabout import said_roundabout
from streamseg.config import Config
from streamseg.evaluation import metrics
from streamseg.keyframes.difficulty import DifficultyEstimator, with_doubt
from streamseg.keyframes.scene import SceneChange
from streamseg.reasoning import GroundingRequest
from streamseg.synthetic import Expression, Scene
from streamseg.types import Difficulty, Frame, Grounding, Mask, MaskSet, Speed, Target

FRAMES = 7
"""Frames seen before the question, as the loop's warm-up has it."""
LEVELS = ("easy", "medium", "hard")


@dataclass(frozen=True, slots=True)
class Told:
    """One sentence, rated and answered.

    Attributes:
        difficulty: Before the answer.
        roundabout: It takes knowledge of the world.
        failure: In [0, 1]: 1 less J&F of what was cut out; of an absent thing 1 for any mask.
        best: The same of what is cut out of the true boxes, as a perfect reasoner gives them.
    """

    level: str
    seed: int
    roundabout: bool
    expression: Expression
    difficulty: Difficulty
    grounding: Grounding
    failure: float
    best: float

    @property
    def considered(self) -> float:
        """D once the fast reasoner has answered."""
        return with_doubt(self.difficulty.value, self.grounding)


def ask_all(
    config: Config, sentences: int, split: str, levels: Sequence[str] = LEVELS
) -> Iterator[Told]:
    """Ask about so many sentences, the levels in turn, every kind as often as scenes have it; each
    as it is, or said in a roundabout way, in turn."""
    asker = _Asker(config)
    asked = 0
    for seed in count(1):
        for level in levels:
            scene = synthetic.scene(level, seed, split, frames=FRAMES)
            kinds = {each.kind: each for each in reversed(scene.expressions)}
            for expression in kinds.values():
                if asked == sentences:
                    return
                told = said_roundabout(expression, asked // 2) if asked % 2 else expression
                yield asker.ask(scene, seed, told, told.text != expression.text)
                asked += 1


class _Asker:
    def __init__(self, config: Config) -> None:
        self._reasoner = reasoning.build(config.reasoning, Speed.FAST)
        self._segmenter = segmentation.build(config.segmentation)

    def ask(self, scene: Scene, seed: int, expression: Expression, roundabout: bool) -> Told:
        drawn = [scene.frame(index) for index in range(FRAMES)]
        frames = tuple(
            Frame(index, round(index * 1e9 / scene.fps), 0, image)
            for index, (image, _) in enumerate(drawn)
        )
        rated = _rate(expression.text, frames)
        grounding = self._reasoner.ground(GroundingRequest(expression.text, frames[-1], frames))
        meant = expression.at((FRAMES - 1) / scene.fps)
        truth = np.isin(drawn[-1][1], meant)
        boxes = clips.boxes(scene, FRAMES - 1)
        true = Grounding(tuple(Target(boxes[k]) for k in meant if k in boxes))
        failure, best = (self._failure(frames[-1], each, truth) for each in (grounding, true))
        return Told(scene.name, seed, roundabout, expression, rated, grounding, failure, best)

    def _failure(self, frame: Frame, grounding: Grounding, truth: Mask) -> float:
        if not truth.any():
            return float(bool(grounding.targets))
        if not grounding.targets:
            return 1.0
        cuts = self._segmenter.segment(frame, grounding.targets)
        shown = np.any([cut.mask for cut in cuts], axis=0)
        return 1.0 - (metrics.region(shown, truth) + metrics.boundary(shown, truth)) / 2.0


def _rate(text: str, frames: Sequence[Frame]) -> Difficulty:
    estimator, change = DifficultyEstimator(text), SceneChange()
    nothing = MaskSet(np.zeros(frames[0].image.shape[:2], np.uint16))
    for frame in frames:
        rated = estimator.update(frame, nothing, change(frame).motion, frame.pts_ns)
    return rated


def figures(told: Sequence[Told]) -> dict[str, float]:
    """How well D tells what will fail, and what the fast reasoner alone costs where D is low.

    `rank_before` and `rank` are Spearman's coefficients of D, before and after the answer, with the
    failure; `rank_wrong` of the latter with being wrong (a failure above a half), and
    `rank_wrong_most` what the failure itself has there: being wrong is all ties.
    """
    failure = np.asarray([each.failure for each in told])
    best = np.asarray([each.best for each in told])
    before = np.asarray([each.difficulty.value for each in told])
    after = np.asarray([each.considered for each in told])
    wrong = failure > 0.5
    easy = np.argsort(after, kind="stable")[: len(told) // 3]
    return {
        "sentences": len(told),
        "roundabout": float(np.mean([each.roundabout for each in told])),
        "wrong": float(wrong.mean()),
        "rank_before": _rank(before, failure),
        "rank": _rank(after, failure),
        "rank_wrong": _rank(after, wrong),
        "rank_wrong_most": _rank(failure, wrong),
        "easy_third_fast": float(1.0 - failure[easy].mean()),
        "easy_third_deep": float(1.0 - best[easy].mean()),
        "all_fast": float(1.0 - failure.mean()),
        "all_deep": float(1.0 - best.mean()),
    }


def _rank(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Spearman's coefficient, ties at their mean rank."""
    ranks = rankdata(one), rankdata(other)
    return float(np.corrcoef(*ranks)[0, 1])
