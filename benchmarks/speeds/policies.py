"""Deep calls and J&F on synthetic clips: our table against asking the deep one every 20 frames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from streamseg import StreamSegmenter, synthetic
from streamseg.benchmarks.speeds import oracle
from streamseg.benchmarks.speeds.roundabout import said_roundabout
from streamseg.clock import VirtualClock
from streamseg.evaluation import metrics
from streamseg.sources.synthetic import SyntheticSource
from streamseg.synthetic import Expression, Scene
from streamseg.types import Mask, Speed

PERIOD = 20
"""Frames between two calls of the fixed period."""
DELAY_S = 0.5
"""What the deep one takes; less than the period, so that it can be kept."""
_SCORED_EVERY = 3
_VISIBLE_SHARE = 0.1

POLICIES: dict[str, tuple[str, ...]] = {
    "table": (),
    "fixed": (
        "reasoning.fast.backend=none",
        "reasoning.deep.backend=attribute",  # in whose place the oracle answers
        f"trigger.refresh_s={PERIOD / synthetic.DEFAULT_FPS}",
        f"trigger.search_retry_s={PERIOD / synthetic.DEFAULT_FPS}",
        f"trigger.search_retry_cap_s={PERIOD / synthetic.DEFAULT_FPS}",
        "trigger.budget_fraction=1.0",
    ),
    "fast alone": (),
}


@dataclass(frozen=True, slots=True)
class Played:
    """One sentence under one policy.

    Attributes:
        jf: Mean over the scored frames; of an absent thing, the share of frames without a mask.
    """

    policy: str
    level: str
    seed: int
    text: str
    roundabout: bool
    calls: int
    frames: int
    jf: float


def play_all(
    config: str, levels: Sequence[str], scenes: int, split: str, size: tuple[int, int]
) -> Iterator[Played]:
    """Two sentences of every scene, one of them said in a roundabout way, under every policy."""
    for seed in range(1, scenes + 1):
        for level in levels:
            scene = synthetic.scene(level, seed, split, size)
            for expression, roundabout in _sentences(scene, seed):
                for policy, overrides in POLICIES.items():
                    os.environ.update(
                        oracle.setting(scene, seed, split, {expression.text: expression.object_ids})
                    )
                    given = (f"reasoning.deep.delay_s={DELAY_S}", *overrides)
                    made = {} if policy == "fast alone" else {Speed.DEEP: oracle.FACTORY}
                    segmenter = StreamSegmenter.from_config(config, given, made)
                    jf = _score(segmenter, scene, expression)
                    calls = segmenter.summary()["calls"].get("deep", {}).get("asked", 0)
                    yield Played(
                        policy,
                        level,
                        seed,
                        expression.text,
                        roundabout,
                        calls,
                        scene.frames,
                        jf,
                    )


def figures(played: Sequence[Played]) -> dict[str, dict[str, float]]:
    """Calls a clip and J&F by policy, and what the period alone would call."""
    found = {}
    for policy in POLICIES:
        rows = [each for each in played if each.policy == policy]
        found[policy] = {
            "clips": len(rows),
            "calls": fmean(each.calls for each in rows),
            "calls_of_period": fmean(-(-each.frames // PERIOD) for each in rows),
            "jf": fmean(each.jf for each in rows),
            "jf_plain": fmean(each.jf for each in rows if not each.roundabout),
            "jf_roundabout": fmean(each.jf for each in rows if each.roundabout),
        }
    return found


def _sentences(scene: Scene, seed: int) -> Iterator[tuple[Expression, bool]]:
    """A plain one and a roundabout one, of kinds that change from seed to seed."""
    kinds = list({each.kind: each for each in reversed(scene.expressions)}.values())
    yield kinds[seed % len(kinds)], False
    for step in range(1, len(kinds)):
        expression = kinds[(seed + step) % len(kinds)]
        told = said_roundabout(expression, seed)
        if told.text != expression.text:
            yield told, True
            return


def _score(segmenter: StreamSegmenter, scene: Scene, expression: Expression) -> float:
    areas = {item.id: item.sprite.area_px for item in scene.objects}
    values = []
    for result in segmenter.run(SyntheticSource(scene, VirtualClock()), expression.text):
        if result.frame.index % _SCORED_EVERY:
            continue
        ids = expression.at(result.frame.index / scene.fps)
        least = _VISIBLE_SHARE * sum(areas.get(each, 0.0) for each in ids)
        truth: Mask = np.isin(scene.frame(result.frame.index)[1], ids)
        shown: Mask = result.masks.labels > 0
        if not truth.any():
            values.append(float(not shown.any()))
        elif np.count_nonzero(truth) >= least:
            values.append((metrics.region(shown, truth) + metrics.boundary(shown, truth)) / 2.0)
    return fmean(values)
