"""SAM2's engines for video: which part answers each of the loop's calls."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from streamseg.config import Sam2PropagationConfig
from streamseg.engines import Engine
from streamseg.engines.sam2 import Sam2OnEngines, Sam2Sizes
from streamseg.errors import ConfigError
from streamseg.export.part import Part
from streamseg.export.pool import EnginePool
from streamseg.export.precision import DTYPES, lowered
from streamseg.export.sam2_video import Kind, Sam2VideoParts
from streamseg.nets.sam2_video import Sam2Video

_Key = tuple[str, int, int]
"""Kind of part, count of objects, frames in the bank."""


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
        self._config = config
        self._network = lowered(network, config.engine.precision)
        self._maker = Sam2VideoParts(self._network, config.query_rows)
        self._pool = EnginePool[_Key](network, network.device, config.engine, cache, self._part)

    def network(self) -> Sam2OnEngines:
        """What the propagator runs on."""
        net, engine, static = self._network, self._config.engine, self._pool.is_static
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
        return self._pool.engine((kind, count, frames))

    def summary(self) -> dict[str, object]:
        """See `EnginePool.summary`."""
        return self._pool.summary()

    def _part(self, key: _Key) -> Part:
        kind, count, frames = key
        return self._maker.make(cast(Kind, kind), count, frames)
