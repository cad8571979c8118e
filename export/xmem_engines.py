"""XMem's engines: which part answers each of the loop's calls."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from streamseg.config import EngineConfig
from streamseg.engines import Engine
from streamseg.engines.xmem import XMemOnEngines
from streamseg.export.part import Part
from streamseg.export.pool import EnginePool
from streamseg.export.precision import DTYPES, lowered
from streamseg.export.xmem import Kind, XMemParts, XMemShapes
from streamseg.nets.xmem import STRIDE, XMem

_Key = tuple[str, int | None, tuple[int, int]]
"""Kind of part, count of objects, (H, W) of the padded picture."""


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
        self._makers: dict[tuple[int, int], XMemParts] = {}
        self._pool = EnginePool[_Key](network, network.device, config, cache, self._part)

    def network(self) -> XMemOnEngines:
        """What XMem's loop runs on."""
        return XMemOnEngines(
            self.find,
            self.summary,
            self._network.key_dim,
            self._network.hidden_dim,
            self._network.device,
            self._config.objects if self._pool.is_static else (),
            DTYPES[self._config.precision],
        )

    def find(self, kind: str, count: int | None, size: tuple[int, int]) -> Engine:
        """The engine for one kind of part, made on the first call."""
        return self._pool.engine((kind, count, size))

    def summary(self) -> dict[str, object]:
        """See `EnginePool.summary`."""
        return self._pool.summary()

    def _part(self, key: _Key) -> Part:
        kind, count, size = key
        if size not in self._makers:
            window = (size[0] // STRIDE, size[1] // STRIDE)  # asked for as a picture of its size
            shapes = XMemShapes(*size, (), self._config.capacity, self._top_k, window)
            self._makers[size] = XMemParts(self._network, shapes)
        return self._makers[size].make(cast(Kind, kind), count)
