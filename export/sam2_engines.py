"""SAM2's engines for video, found or made when the loop first asks for a count and a length."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import cast

import torch

from streamseg.config import Sam2PropagationConfig
from streamseg.engines import Engine
from streamseg.engines.sam2 import Sam2OnEngines, Sam2Sizes
from streamseg.errors import ConfigError
from streamseg.export.precision import DTYPES, lowered
from streamseg.export.provider import Provider
from streamseg.export.sam2_video import Kind, Sam2VideoParts
from streamseg.nets.sam2_video import Sam2Video

_LOG = logging.getLogger(__name__)


class Sam2Engines:
    """The engines of one network.

    Args:
        network: In float32, on the device.
        config: What runs it.
        cache: Folder for engines built on first use.

    Raises:
        ConfigError: The longest bank asked for is not the network's.
    """

    def __init__(self, network: Sam2Video, config: Sam2PropagationConfig, cache: Path) -> None:
        if max(config.bank_frames) != network.memory_frames:
            raise ConfigError(
                f"propagation.sam2.bank_frames: expected {network.memory_frames} as the largest, "
                f"as the network has it, got {config.bank_frames}"
            )
        self._config, self._engine = config, config.engine
        self._network = lowered(network, self._engine.precision)
        self._maker = Sam2VideoParts(self._network, config.query_rows)
        self._provider = Provider(network, self._engine, network.device, cache)
        self._engines: dict[tuple[str, int, int], Engine] = {}
        self._families: dict[str, str] = {}
        self._refused: dict[str, tuple[str, ...]] = {}
        self._lock = threading.Lock()

    def network(self) -> Sam2OnEngines:
        """What the propagator runs on."""
        engine, net = self._engine, self._network
        exported = engine.family != "torch" or bool(engine.fallback)
        static = exported or engine.compile or engine.cuda_graph
        return Sam2OnEngines(
            self.find,
            self.summary,
            Sam2Sizes.of(net),
            net.device,
            DTYPES[engine.precision],
            engine.objects if static else (),
            self._config.bank_frames if static else (),
        )

    def find(self, kind: str, count: int, frames: int) -> Engine:
        """The engine for one kind of part, made on the first call."""
        key = (kind, count, frames)
        engine = self._engines.get(key)
        if engine is not None:
            return engine
        with self._lock:
            if key not in self._engines:
                self._engines[key] = self._make(cast(Kind, kind), count, frames)
            return self._engines[key]

    def summary(self) -> dict[str, object]:
        """Per part the family that runs it, and who refused it with which words."""
        return {
            "asked": self._engine.family,
            "precision": self._engine.precision,
            "parts": dict(self._families),
            "refused": {part: list(words) for part, words in self._refused.items()},
            "cache_problems": list(self._provider.problems),
        }

    def _make(self, kind: Kind, count: int, frames: int) -> Engine:
        with torch.inference_mode(False):
            part = self._maker.make(kind, count, frames)
            provided = self._provider.provide(part)
        self._families[part.name] = provided.family
        if provided.refused:
            self._refused[part.name] = provided.refused
            words = "; ".join(provided.refused)
            _LOG.warning("%s runs on %s instead: %s", part.name, provided.family, words)
        engine: Engine = provided.engine
        return engine
