"""SAM2's video network over engines: what its loop calls, each call answered by one engine.

Objects are padded to the next bucket that there are engines for, memory banks to the next length;
what is padded is masked, so that nothing an object gets depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from streamseg.config import Sam2PropagationConfig
from streamseg.engines import Engine
from streamseg.engines.buckets import in_turns

Find = Callable[[str, int, int], Engine]
"""Kind of part, count of objects, frames in the bank: to its engine."""


@dataclass(frozen=True, slots=True)
class Sam2Sizes:
    """What a loop must know of the network; see `nets.sam2_video.Sam2Video`."""

    size: int
    grid: tuple[int, int]
    channels: int
    memory_channels: int
    memory_frames: int
    pointers: int

    @classmethod
    def of(cls, network: Any) -> Sam2Sizes:
        """Of a `Sam2Video`."""
        return cls(**{field.name: getattr(network, field.name) for field in fields(cls)})


class Sam2OnEngines:
    """Stands in for `streamseg.nets.sam2_video.Sam2Video` in its loop.

    Args:
        find: Gives the engines; asked on every call.
        summary: Says which engines these are.
        sizes: Of the network.
        device: Where the loop keeps its tensors.
        dtype: Of features and memories.
        buckets: Counts of objects to have engines for; none: any count has its own.
        lengths: Fills of the memory bank to have engines for; none: likewise.
    """

    def __init__(
        self,
        find: Find,
        summary: Callable[[], dict[str, object]],
        sizes: Sam2Sizes,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        buckets: Sequence[int] = (),
        lengths: Sequence[int] = (),
    ) -> None:
        self.size, self.grid = sizes.size, sizes.grid
        self.channels, self.memory_channels = sizes.channels, sizes.memory_channels
        self.memory_frames, self.pointers = sizes.memory_frames, sizes.pointers
        self.summary = summary
        self._find, self._device, self._dtype = find, device, dtype
        self._buckets, self._lengths = sorted(buckets), sorted(lengths)

    @property
    def device(self) -> torch.device:
        return self._device

    @property
    def dtype(self) -> torch.dtype:
        return self._dtype

    def look(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `Sam2Video.look`."""
        out = self._find("encoder", 1, 0).run({"image": image.contiguous()})
        return out["embedding"], out["middle"], out["fine"]

    def attend(self, embedding: Tensor, bank: Sequence[Tensor]) -> Tensor:
        """As `Sam2Video.attend`."""
        memory, ages, pointers, since = bank
        frames = self._length(memory.shape[1])
        missing = frames - memory.shape[1]
        own = {
            "memory": F.pad(memory, (0, 0, 0, 0, 0, missing)) if missing else memory,
            "ages": F.pad(ages, (0, missing), value=-1),
            "pointers": pointers,
            "since": since,
        }
        (conditioned,) = self._batched(
            "attention", {"embedding": embedding}, own, ("conditioned",), frames
        )
        return conditioned

    def track(
        self, conditioned: Tensor, middle: Tensor, fine: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `Sam2Video.track`."""
        shared = {"middle": middle, "fine": fine}
        names = ("logits", "pointer", "presence")
        logits, pointer, presence = self._batched(
            "track", shared, {"conditioned": conditioned}, names
        )
        return logits, pointer, presence

    def remember(self, embedding: Tensor, logits: Tensor, presence: Tensor) -> Tensor:
        """As `Sam2Video.remember`."""
        own = {"logits": logits, "presence": presence}
        (memory,) = self._batched("memory", {"embedding": embedding}, own, ("memory",))
        return memory

    def seed(self, embedding: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As `Sam2Video.seed`."""
        inputs = {"embedding": embedding.contiguous(), "masks": mask.contiguous()}
        out = self._find("seed", 1, 0).run(inputs)
        return out["memory"], out["pointer"]

    def _length(self, frames: int) -> int:
        return next((length for length in self._lengths if length >= frames), frames)

    def _batched(
        self,
        kind: str,
        shared: Mapping[str, Tensor],
        own: Mapping[str, Tensor],
        outputs: Sequence[str],
        frames: int = 0,
    ) -> list[Tensor]:
        return in_turns(
            lambda count: self._find(kind, count, frames), shared, own, outputs, self._buckets
        )


def on_engines(network: Any, config: Sam2PropagationConfig, cache: Path) -> Sam2OnEngines:
    """The network on the engines that the config asks for; they are made on first use.

    Args:
        network: A `nets.sam2_video.Sam2Video` in float32, on its device.
        config: What runs it.
        cache: Folder for engines built on first use.
    """
    from streamseg.export.sam2_engines import Sam2Engines

    made: Sam2OnEngines = Sam2Engines(network, config, cache).network()
    return made
