"""A reasoner that knows a synthetic scene's truth, and may take its time: it stands in for a large
model where none is at hand.

Runs in the reasoner's process: the scene and the answers come through the environment.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from streamseg import synthetic
from streamseg.benchmarks import clips
from streamseg.config import ReasoningConfig
from streamseg.reasoning import GroundingRequest, Reasoner
from streamseg.synthetic import Scene
from streamseg.types import Grounding, Speed, Target

FACTORY = f"{__name__}:build"
VARIABLE = "STREAMSEG_ORACLE"


def setting(
    scene: Scene, seed: int, split: str, answers: Mapping[str, Sequence[int]], busy_s: float = 0.0
) -> dict[str, str]:
    """What to put into the environment before the reasoner starts.

    Args:
        answers: For each sentence the ids of the objects meant; it cannot tell of any other.
        busy_s: How long it keeps a core busy over each answer.
    """
    told = {
        "scene": [scene.name, seed, split, scene.size, scene.fps, scene.frames],
        "answers": {text: list(ids) for text, ids in answers.items()},
        "busy_s": busy_s,
    }
    return {VARIABLE: json.dumps(told)}


class Oracle:
    """Points at what is true on the frame it is asked about."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        name, seed, split, (width, height), fps, frames = told["scene"]
        self._scene = synthetic.scene(name, seed, split, (width, height), fps, frames)
        self._answers: Mapping[str, Sequence[int]] = told["answers"]
        self._busy_s = float(told["busy_s"])

    def ground(self, request: GroundingRequest) -> Grounding:
        """The true boxes; no targets where none of the objects shows."""
        started = time.perf_counter()
        while time.perf_counter() - started < self._busy_s:
            np.sort(np.arange(10_000)[::-1])
        ids = self._answers.get(request.text)
        if ids is None:
            return Grounding((), "no such sentence", cannot_tell=True)
        boxes = clips.boxes(self._scene, request.target.index)
        targets = tuple(Target(boxes[k], label=f"object {k}") for k in ids if k in boxes)
        return Grounding(targets, "as it is", 1, time.perf_counter() - started)


def build(config: ReasoningConfig, speed: Speed) -> Reasoner:
    """Made in the reasoner's process."""
    return Oracle(json.loads(os.environ[VARIABLE]))
