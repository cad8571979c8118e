"""SAM2 as a propagator: every object is found again on every frame from what is remembered of it.

SAM 2, section 4, driven frame by frame: encode the picture, condition it on each object's memory
bank, decode a mask, remember it. All objects take each of these steps together.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from streamseg.config import Sam2PropagationConfig
from streamseg.errors import MissingDependencyError
from streamseg.propagation import Propagator
from streamseg.types import Frame, Labels, Mask, Propagated

try:
    import torch
except ImportError:
    raise MissingDependencyError("torch", "neural", "SAM2 needs it.") from None

from torch import Tensor
from torch.nn import functional as F

from streamseg.engines.torch import pick_device
from streamseg.eye import Eye, Features, resized, sight_of
from streamseg.propagation.sam2.memory import Bank, memories_each
from streamseg.weights import cache_dir, load_sam2_video

_DTYPES = {"float16": torch.float16, "float32": torch.float32}
_GIVEN_PIXEL, _GIVEN_PRESENCE = 1024.0, 10.0
"""Logits where a mask is given: of a pixel, so that no prediction outbids it; of the object."""


class Network(Protocol):
    """What the loop calls of `streamseg.nets.sam2_video.Sam2Video`; see there for shapes."""

    size: int
    grid: tuple[int, int]
    channels: int
    memory_channels: int
    memory_frames: int
    pointers: int

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype: ...

    def look(self, image: Tensor) -> Features: ...

    def attend(self, embedding: Tensor, bank: Sequence[Tensor]) -> Tensor: ...

    def track(
        self, conditioned: Tensor, middle: Tensor, fine: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]: ...

    def remember(self, embedding: Tensor, logits: Tensor, presence: Tensor) -> Tensor: ...

    def seed(self, embedding: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]: ...


class Sam2Propagator:
    """Carries masks by SAM2's video network.

    Where a known object is given again, what is given now takes the place of what was given
    before. Time is counted in steps: frames that were skipped leave no gap in the memory.

    Args:
        network: On its device; shared, never changed.
        config: What is kept of buffered frames, and how much of its memory is attended to.
        sight: Of the network's encoder: see `streamseg.eye.sight_of`.
    """

    def __init__(
        self, network: Network, config: Sam2PropagationConfig, sight: Hashable | None = None
    ) -> None:
        self._network = network
        self._eye = Eye(network, _DTYPES.get(config.keep_features), sight)
        self._memories = config.memories
        self.reset()

    @classmethod
    def from_config(cls, config: Sam2PropagationConfig) -> Sam2Propagator:
        """Load the network that the config names.

        Raises:
            CheckpointError: Its weights are missing or of another shape.
            MissingDependencyError: torch or transformers is not installed.
        """
        network = load_sam2_video(config.checkpoint, str(pick_device(config.device)))
        network.memory_attention.compare(config.query_rows)
        sight = sight_of(network.image_encoder, config.engine)
        if config.engine.is_plain:
            return cls(network, config, sight)
        from streamseg.engines.sam2 import on_engines

        return cls(on_engines(network, config, cache_dir() / "engines"), config, sight)

    def engines(self) -> dict[str, object]:
        """Which engines run the network; nothing where it runs as it is."""
        summary = getattr(self._network, "summary", None)
        return {} if summary is None else summary()

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(self._ids)

    @property
    def logits(self) -> Tensor:
        """(n, S/4, S/4) float32 of the present frame, in the order of `ids`; above 0: object."""
        return self._logits

    def reset(self) -> None:
        """Forget every object: a new epoch."""
        net = self._network
        side = net.size // 4
        self._ids: list[int] = []
        self._bank = Bank(
            net.memory_frames,
            (net.grid[0] * net.grid[1], net.memory_channels),
            net.pointers,
            net.channels,
            net.device,
            net.dtype,
        )
        self._logits = torch.zeros((0, side, side), device=net.device)
        self._presence = torch.zeros((0, 1), device=net.device)
        self._step = -1
        self._shape = (0, 0)

    # ── the loop ─────────────────────────────────────────────────────────────────────────

    @torch.inference_mode()
    def step(self, frame: Frame, seeds: Mapping[int, Mask] | None = None) -> Propagated:
        """Advance to `frame`; see `Propagator.step`."""
        self._step += 1
        self._shape = (frame.height, frame.width)
        given = seeds or {}
        tracked = [row for row, id_ in enumerate(self._ids) if id_ not in given]
        if tracked or given:
            features = self._eye.look(frame)
            if tracked:
                self._track(features, tracked)
            for id_, mask in given.items():
                self._seed(features[0], id_, mask)
        return self._published()

    def _track(self, features: Features, tracked: list[int]) -> None:
        """Find the objects of these rows again, and remember how they look now."""
        net, (embedding, middle, fine) = self._network, features
        rows = slice(len(tracked)) if len(tracked) == len(self._ids) else tracked
        each = memories_each(self._memories, len(tracked))
        bank = self._bank.view(rows, self._step, each)
        conditioned = net.attend(embedding, bank)
        logits, pointers, presence = net.track(conditioned, middle, fine)
        memory = net.remember(embedding, logits, presence)
        self._bank.push(rows, self._step, memory, pointers)
        if isinstance(rows, slice):
            self._logits, self._presence = logits, presence
        else:
            self._logits, self._presence = self._logits.clone(), self._presence.clone()
            self._logits[rows], self._presence[rows] = logits, presence

    def _seed(self, embedding: Tensor, id_: int, mask: Mask) -> None:
        """Take a mask (H, W) as it is, and remember it."""
        given = self._eye.squared(mask)
        memory, pointer = self._network.seed(embedding, given)
        row = self._row(id_)
        self._bank.give(row, self._step, memory[0], pointer[0])
        side = self._logits.shape[-1]
        logits = (2 * given[None] - 1) * _GIVEN_PIXEL
        self._logits[row] = resized(logits, (side, side))[0, 0]
        self._presence[row] = _GIVEN_PRESENCE if given.any() else -_GIVEN_PRESENCE

    def _row(self, id_: int) -> int:
        """The object's row; a new one at the end if it is not held. Outputs are ours to write."""
        if id_ in self._ids:
            self._logits, self._presence = self._logits.clone(), self._presence.clone()
            return self._ids.index(id_)
        self._ids.append(id_)
        self._logits = F.pad(self._logits, (0, 0, 0, 0, 0, 1))
        self._presence = F.pad(self._presence, (0, 0, 0, 1))
        return self._bank.grow()

    def _published(self) -> Propagated:
        """Labels at the frame's size, and the probability that each object is there."""
        labels: Labels = np.zeros(self._shape, np.uint16)
        if not self._ids:
            return Propagated(labels, {})
        full = F.interpolate(self._logits[None], self._shape, mode="bilinear")[0]
        best, winner = full.max(0)
        index = torch.where(best > 0, winner + 1, 0)
        names: Labels = np.array([0, *self._ids], np.uint16)
        presence = self._presence.sigmoid().flatten().tolist()
        return Propagated(names[index.cpu().numpy()], dict(zip(self._ids, presence, strict=True)))

    # ── objects come and go ──────────────────────────────────────────────────────────────

    @torch.inference_mode()
    def remove(self, ids: Iterable[int]) -> None:
        """Forget objects and free what they hold; unknown ids are ignored."""
        gone = set(ids)
        kept = [row for row, id_ in enumerate(self._ids) if id_ not in gone]
        if len(kept) == len(self._ids):
            return
        self._bank.keep(kept)
        self._logits, self._presence = self._logits[kept], self._presence[kept]
        self._ids = [self._ids[row] for row in kept]

    def spawn(self) -> Sam2Propagator:
        """An empty propagator over the same network."""
        twin = object.__new__(Sam2Propagator)
        twin._network, twin._eye, twin._memories = self._network, self._eye, self._memories
        twin.reset()
        return twin

    @torch.inference_mode()
    def fork(self) -> Sam2Propagator:
        """An independent copy as it stands."""
        twin = object.__new__(Sam2Propagator)
        twin.__dict__.update(self.__dict__)
        twin._ids, twin._bank = list(self._ids), self._bank.fork()
        twin._logits, twin._presence = self._logits.clone(), self._presence.clone()
        return twin

    @torch.inference_mode()
    def adopt(self, lane: Propagator, ids: Mapping[int, int]) -> Propagated:
        """Take over the lane's objects; see `Propagator.adopt`.

        Raises:
            TypeError: The lane is another kind of propagator.
            ValueError: The lane has no such object.
        """
        if not isinstance(lane, Sam2Propagator):
            raise TypeError(f"expected a lane of SAM2, got {type(lane).__name__}")
        missing = set(ids) - set(lane.ids)
        if missing:
            raise ValueError(f"expected objects of the lane, {lane.ids}, got {sorted(missing)}")
        if self._step < 0:
            self._step = lane._step
        self._shape = lane._shape
        for theirs, ours in ids.items():
            row, their_row = self._row(ours), lane._ids.index(theirs)
            self._bank.copy(row, lane._bank, their_row, self._step - lane._step)
            self._logits[row] = lane._logits[their_row]
            self._presence[row] = lane._presence[their_row]
        return self._published()
