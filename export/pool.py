"""The engines of one network: each made when the loop first asks for it, then kept."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import nn

from streamseg.config import EngineConfig
from streamseg.engines import Engine
from streamseg.export.part import Part
from streamseg.export.provider import Provider

_LOG = logging.getLogger(__name__)
PartKey = TypeVar("PartKey", bound=Hashable)


class EnginePool(Generic[PartKey]):
    """Engines by whatever names a part among its network's.

    Args:
        network: In float32: its weights name the files in the cache.
        device: Where engines run.
        config: What runs them.
        cache: Folder for engines built on first use.
        make: A key to its part, in the precision of the config.

    Raises:
        EngineError, MissingDependencyError: No family that the config allows can run here.
    """

    def __init__(
        self,
        network: nn.Module,
        device: torch.device,
        config: EngineConfig,
        cache: Path,
        make: Callable[[PartKey], Part],
    ) -> None:
        self._config = config
        self._make = make
        self._provider = Provider(network, config, device, cache)
        self._provider.check()
        self._engines: dict[PartKey, Engine] = {}
        self._families: dict[str, str] = {}
        self._refused: dict[str, tuple[str, ...]] = {}
        self._lock = threading.Lock()

    @property
    def is_static(self) -> bool:
        """Whether an engine takes one shape only, so that there must be one for every bucket."""
        config = self._config
        exported = config.family != "torch" or bool(config.fallback)
        return exported or config.compile or config.cuda_graph

    def engine(self, key: PartKey) -> Engine:
        """The engine for one part, made on the first call.

        Raises:
            EngineError, MissingDependencyError: Nothing that the config allows runs it.
        """
        engine = self._engines.get(key)
        if engine is not None:
            return engine
        with self._lock:
            if key not in self._engines:
                self._engines[key] = self._provide(key)
            return self._engines[key]

    def summary(self) -> dict[str, object]:
        """Per part the family that runs it, and who refused it with which words.

        May be asked while another thread makes an engine: what it reads it copies at once, and
        whoever was refused has its family by then.
        """
        refused = {part: list(words) for part, words in dict(self._refused).items()}
        return {
            "asked": self._config.family,
            "precision": self._config.precision,
            "parts": dict(self._families),
            "refused": refused,
            "cache_problems": list(self._provider.problems),
        }

    def _provide(self, key: PartKey) -> Engine:
        with torch.inference_mode(False):
            part = self._make(key)
            provided = self._provider.provide(part)
        self._families[part.name] = provided.family
        if provided.refused:
            self._refused[part.name] = provided.refused
            words = "; ".join(provided.refused)
            _LOG.warning("%s runs on %s instead: %s", part.name, provided.family, words)
        engine: Engine = provided.engine
        return engine
