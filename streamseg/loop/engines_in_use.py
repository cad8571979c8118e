"""Which engines the stages of a run use, and news of it: one stands in, one cannot be kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class EnginesInUse:
    """Asks the stages; those that run no network on engines have nothing to say.

    Args:
        stages: By name. One whose network runs on engines has `engines`, a method that says
            what `streamseg.export.pool.EnginePool.summary` does.
    """

    def __init__(self, stages: Mapping[str, object]) -> None:
        self._stages = stages
        self._told: set[tuple[str, str]] = set()

    def summary(self) -> dict[str, Any]:
        """By stage: who runs each part, and who refused it with which words."""
        told: dict[str, Any] = {
            name: getattr(stage, "engines", dict)() for name, stage in self._stages.items()
        }
        return {name: engines for name, engines in told.items() if engines}

    def news(self) -> Iterator[tuple[str, str]]:
        """What has not been told yet: kind of event and message.

        Engines are made when they are first needed, so there may be news on any frame.
        """
        for stage, engines in self.summary().items():
            for part, words in engines["refused"].items():
                if self._is_new(stage, part):
                    stand_in = f"{part} runs on {engines['parts'][part]}"
                    yield "engine_fallback", f"{stage}: {stand_in} instead: {'; '.join(words)}"
            for problem in engines["cache_problems"]:
                if self._is_new("cache", problem):
                    yield "engine_cache", problem

    def _is_new(self, about: str, what: str) -> bool:
        new = (about, what) not in self._told
        self._told.add((about, what))
        return new
