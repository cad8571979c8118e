"""Two speeds on the clock: how soon the fast and the considered mask show after a new query, and
what both in flight cost the frames.
"""

from __future__ import annotations

import os
import time
from statistics import median
from typing import Any

import numpy as np

from streamseg import StreamSegmenter, synthetic
from streamseg.benchmarks.speeds import oracle
from streamseg.synthetic import Scene
from streamseg.types import Event, FrameResult, Speed

PATIENCE_S = 30.0
_COVERED = 0.5


class _Stopwatch:
    """One run: asks one question after another and notes when which object was shown."""

    def __init__(self, config: str, scene: Scene, deep: bool, busy_s: float) -> None:
        plain = {e.object_ids: e.text for e in scene.expressions if e.kind == "plain"}
        plain = {ids: text for ids, text in plain.items() if len(ids) == 1}
        self._named = [(text, ids[0]) for ids, text in plain.items()][:2]
        named = {number for _, number in self._named}
        self._chosen = next(item.id for item in scene.objects if item.id not in named)
        answers = {text: [self._chosen] for text, _ in self._named}
        os.environ.update(oracle.setting(scene, 1, "test", answers, busy_s))
        made = {Speed.DEEP: oracle.FACTORY} if deep else {}
        self._segmenter = StreamSegmenter.from_config(config, ["difficulty.tau_easy=1.0"], made)
        self._scene, self._deep = scene, deep
        self._answered: float | None = None
        self.first_s: list[float] = []
        self.considered_s: list[float] = []
        self.latencies_ms: list[float] = []

    def run(self, questions: int) -> None:
        """Ask so many questions in turn, each once the last one is settled."""
        warmed, asked, asked_s, first = False, 0, 0.0, False
        size = f"{self._scene.size[0]}x{self._scene.size[1]}"
        spec = f"synthetic:easy?seed=1&live=1&size={size}&frames={self._scene.frames}"
        results = self._segmenter.run(spec, self._named[1][0], on_event=self._listen)
        for result in results:
            now = time.monotonic()
            if not warmed:
                # Both processes are there, and what comes before the first question is over.
                warmed = self._settled(result, 1) and self._warm(result)
                if warmed:
                    asked_s = self._ask(asked)
                    first = False
                continue
            self.latencies_ms.append(result.timings_ms["latency"])
            text, meant = self._named[asked % 2]
            if result.query != text:
                continue
            if not first and self._covers(result, meant):
                self.first_s.append(now - asked_s)
                first = True
            if not self._settled(result, asked % 2) and now - asked_s < PATIENCE_S:
                continue
            if self._deep and self._answered is not None:
                self.considered_s.append(now - self._answered)
            asked += 1
            if asked == questions:
                results.close()
                return
            asked_s, first = self._ask(asked), False

    def _ask(self, number: int) -> float:
        self._answered = None
        self._segmenter.set_query(self._named[number % 2][0])
        return time.monotonic()

    def _settled(self, result: FrameResult, number: int) -> bool:
        meant = self._chosen if self._deep else self._named[number][1]
        return self._covers(result, meant) and (not self._deep or self._answered is not None)

    def _warm(self, result: FrameResult) -> bool:
        return result.frame.index > 60

    def _covers(self, result: FrameResult, number: int) -> bool:
        truth = self._scene.frame(result.frame.index)[1] == number
        return bool(truth.any() and np.mean(result.masks.labels[truth] > 0) > _COVERED)

    def _listen(self, event: Event) -> None:
        if event.kind == "grounded" and event.message.startswith("deep, "):
            self._answered = time.monotonic()


def watch(config: str, size: tuple[int, int], questions: int, busy_s: float) -> dict[str, Any]:
    """Seconds from a question to its fast mask, and from the deep answer to the considered one;
    milliseconds of latency with a deep reasoner that keeps a core busy for `busy_s` over every
    question, and without one.
    """
    scene = synthetic.scene("easy", 1, size=size, frames=30_000)
    with_deep = _Stopwatch(config, scene, True, busy_s)
    with_deep.run(questions)
    alone = _Stopwatch(config, scene, False, busy_s)
    alone.run(questions * 10)
    p99 = [float(np.percentile(each.latencies_ms, 99)) for each in (with_deep, alone)]
    return {
        "questions": questions,
        "busy_s": busy_s,
        "first_mask_s": {"median": median(with_deep.first_s), "max": max(with_deep.first_s)},
        "considered_s": {
            "median": median(with_deep.considered_s),
            "max": max(with_deep.considered_s),
        },
        "frames": [len(with_deep.latencies_ms), len(alone.latencies_ms)],
        "p99_ms": {"both": p99[0], "fast_alone": p99[1], "ratio": p99[0] / p99[1]},
    }
