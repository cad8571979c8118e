"""XMem's engines, found or made when the loop first asks for a size and a count of objects."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import cast

import torch

from streamseg.config import EngineConfig
from streamseg.engines import Engine
from streamseg.engines.xmem import XMemOnEngines
from streamseg.export.precision import DTYPES, lowered
from streamseg.export.provider import Provider
from streamseg.export.xmem import Kind, XMemParts, XMemShapes
from streamseg.nets.xmem import XMem

_LOG = logging.getLogger(__name__)


class XMemEngines:
    """The engines of one network.

    Args:
        network: In float32, on the device.
        config: What runs it.
        cache: Folder for engines built on first use.
        top_k: Of the readout.
    """

    def __init__(self, network: XMem, config: EngineConfig, cache: Path, top_k: int) -> None:
        self._network = lowered(network, config.precision)
        self._config = config
        self._top_k = top_k
        self._provider = Provider(network, config, network.device, cache)
        self._engines: dict[tuple[str, int | None, tuple[int, int]], Engine] = {}
        self._makers: dict[tuple[int, int], XMemParts] = {}
        self._families: dict[str, str] = {}
        self._refused: dict[str, tuple[str, ...]] = {}
        self._lock = threading.Lock()

    def network(self) -> XMemOnEngines:
        """What XMem's loop runs on."""
        needs_buckets = self._config.family != "torch" or bool(self._config.fallback)
        static = needs_buckets or self._config.compile or self._config.cuda_graph
        return XMemOnEngines(
            self.find,
            self.summary,
            self._network.key_dim,
            self._network.hidden_dim,
            self._network.device,
            self._config.objects if static else (),
            DTYPES[self._config.precision],
        )

    def find(self, kind: str, count: int | None, size: tuple[int, int]) -> Engine:
        """The engine for one kind of part, made on the first call."""
        key = (kind, count, size)
        engine = self._engines.get(key)
        if engine is not None:
            return engine
        with self._lock:
            if key not in self._engines:
                self._engines[key] = self._make(cast(Kind, kind), count, size)
            return self._engines[key]

    def summary(self) -> dict[str, object]:
        """Per part the family that runs it, and who refused it with which words."""
        return {
            "asked": self._config.family,
            "precision": self._config.precision,
            "parts": dict(self._families),
            "refused": {part: list(words) for part, words in self._refused.items()},
            "cache_problems": list(self._provider.problems),
        }

    def _make(self, kind: Kind, count: int | None, size: tuple[int, int]) -> Engine:
        if size not in self._makers:
            shapes = XMemShapes(*size, (), self._config.capacity, self._top_k)
            self._makers[size] = XMemParts(self._network, shapes)
        with torch.inference_mode(False):
            part = self._makers[size].make(kind, count)
            provided = self._provider.provide(part)
        self._families[part.name] = provided.family
        if provided.refused:
            self._refused[part.name] = provided.refused
            words = "; ".join(provided.refused)
            _LOG.warning("%s runs on %s instead: %s", part.name, provided.family, words)
        return provided.engine
