"""XMem's network over engines: what its loop calls, each call answered by one engine.

Objects are padded to the next bucket that there are engines for, and more than the largest
are taken in turns; nothing that an object gets depends on its company but the value encoder's
sum of all masks, which is taken before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from streamseg.config import EngineConfig
from streamseg.engines import Engine
from streamseg.engines.buckets import in_turns
from streamseg.engines.torch import XMem, aggregate

Find = Callable[[str, int | None, tuple[int, int]], Engine]
"""Kind of part, count of objects, (H, W) of the picture: to its engine."""


_DECODED = ("probabilities", "new_sensory")


class Features(NamedTuple):
    """As `streamseg.nets.xmem.KeyFeatures`."""

    key: Tensor
    shrinkage: Tensor
    selection: Tensor
    f16: Tensor
    fused16: Tensor
    skip8: Tensor
    skip4: Tensor


class XMemOnEngines:
    """Stands in for `streamseg.nets.xmem.XMem` in its loop.

    Args:
        find: Gives the engines; asked on every call.
        summary: Says which engines these are.
        key_dim: C^k.
        hidden_dim: C^h.
        device: Where the loop keeps its tensors.
        buckets: Counts of objects to have engines for; none: any count has its own.
        feature_dtype: Of f16 and the decoder's features.
    """

    aggregate = staticmethod(aggregate)

    def __init__(
        self,
        find: Find,
        summary: Callable[[], dict[str, object]],
        key_dim: int,
        hidden_dim: int,
        device: torch.device,
        buckets: Sequence[int] = (),
        feature_dtype: torch.dtype = torch.float32,
    ) -> None:
        self.key_dim = key_dim
        self.hidden_dim = hidden_dim
        self.summary = summary
        self._find = find
        self._device = device
        self._buckets = sorted(buckets)
        self._dtype = feature_dtype

    @property
    def device(self) -> torch.device:
        return self._device

    def eval(self) -> XMemOnEngines:
        """Engines know no training; for the loop's sake."""
        return self

    def encode_key(self, image: Tensor) -> Features:
        """As `XMem.encode_key`."""
        engine = self._find("key", None, _size(image))
        return Features(**engine.run({"image": image.contiguous()}))

    def encode_value(
        self, image: Tensor, f16: Tensor, masks: Tensor, sensory: Tensor, *, deep: bool
    ) -> tuple[Tensor, Tensor]:
        """As `XMem.encode_value`."""
        shared = {"image": image, "f16": f16.to(self._dtype)}
        own = {"masks": masks, "others": masks.sum(0, keepdim=True) - masks}
        if not deep:
            (value,) = self._batched("value", _size(image), shared, own, ("value",))
            return value, sensory
        own["sensory"] = sensory
        value, new = self._batched(
            "value_deep", _size(image), shared, own, ("value", "new_sensory")
        )
        return value, new

    def decode(
        self, features: Features, readout: Tensor, sensory: Tensor, *, update: bool
    ) -> tuple[Tensor, Tensor]:
        """As `XMem.decode`; the sensory update is computed even where it is not asked for."""
        shared = {
            "fused16": features.fused16.to(self._dtype),
            "skip8": features.skip8.to(self._dtype),
            "skip4": features.skip4.to(self._dtype),
        }
        own = {"readout": readout, "sensory": sensory}
        size = _pixels(readout)
        probabilities, new = self._batched("decode", size, shared, own, _DECODED)
        return probabilities, new if update else sensory

    def fuse(self, features: Features, readout: Tensor, sensory: Tensor) -> Tensor:
        """As `XMem.fuse`."""
        shared = {"fused16": features.fused16.to(self._dtype)}
        own = {"readout": readout, "sensory": sensory}
        (fused,) = self._batched("fuse", _pixels(readout), shared, own, ("fused",))
        return fused

    def refine(
        self, skip8: Tensor, skip4: Tensor, fused: Tensor, sensory: Tensor, *, update: bool
    ) -> tuple[Tensor, Tensor]:
        """As `XMem.refine`, of as many windows; the sensory update is always computed."""
        own = {
            "skip8": skip8.to(self._dtype),
            "skip4": skip4.to(self._dtype),
            "fused": fused.to(self._dtype),
            "sensory": sensory,
        }
        probabilities, new = self._batched("window", _pixels(fused), {}, own, _DECODED)
        return probabilities, new if update else sensory

    def _batched(
        self,
        kind: str,
        size: tuple[int, int],
        shared: dict[str, Tensor],
        own: dict[str, Tensor],
        outputs: Sequence[str],
    ) -> list[Tensor]:
        return in_turns(
            lambda count: self._find(kind, count, size), shared, own, outputs, self._buckets
        )


def on_engines(network: XMem, config: EngineConfig, cache: Path, top_k: int) -> XMemOnEngines:
    """The network on the engines that the config asks for; they are made on first use.

    Args:
        network: In float32, on its device.
        config: What runs it.
        cache: Folder for engines built on first use.
        top_k: Of the memory's reading.
    """
    from streamseg.export.xmem_engines import XMemEngines

    made: XMemOnEngines = XMemEngines(network, config, cache, top_k).network()
    return made


def _size(image: Tensor) -> tuple[int, int]:
    return int(image.shape[-2]), int(image.shape[-1])


def _pixels(cells: Tensor) -> tuple[int, int]:
    """Of the picture or window that a tensor at stride 16 is of."""
    return 16 * int(cells.shape[-2]), 16 * int(cells.shape[-1])
