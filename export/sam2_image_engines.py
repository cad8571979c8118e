"""SAM2's engines for pictures: which part answers each of the segmenter's calls."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from streamseg.config import Sam2Config
from streamseg.engines import Engine
from streamseg.engines.sam2_image import Sam2ImageOnEngines
from streamseg.export.part import Part
from streamseg.export.pool import EnginePool
from streamseg.export.precision import DTYPES, lowered
from streamseg.export.sam2_image import Kind, Sam2ImageParts
from streamseg.nets.sam2_image import Sam2Image

_Key = tuple[str, int, int]
"""Kind of part, count of prompts, points beside each one's box."""


class Sam2ImageEngines:
    """The engines of one network.

    Args:
        network: In float32, on the device.
        config: What runs it.
        cache: Folder for engines built on first use.
    """

    def __init__(self, network: Sam2Image, config: Sam2Config, cache: Path) -> None:
        self._config = config
        self._network = lowered(network, config.engine.precision)
        self._maker = Sam2ImageParts(self._network)
        self._pool = EnginePool[_Key](network, network.device, config.engine, cache, self._part)

    def network(self) -> Sam2ImageOnEngines:
        """What the segmenter runs on."""
        net, engine, static = self._network, self._config.engine, self._pool.is_static
        return Sam2ImageOnEngines(
            self.find,
            self.summary,
            net.size,
            net.device,
            DTYPES[engine.precision],
            engine.objects if static else (),
            self._config.points if static else 0,
        )

    def find(self, kind: str, count: int, points: int) -> Engine:
        """The engine for one kind of part, made on the first call."""
        return self._pool.engine((kind, count, points))

    def summary(self) -> dict[str, object]:
        """See `EnginePool.summary`."""
        return self._pool.summary()

    def _part(self, key: _Key) -> Part:
        kind, count, points = key
        return self._maker.make(cast(Kind, kind), count, points)
