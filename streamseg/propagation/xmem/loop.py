"""XMem's loop: one picture in, every object's probability out; it knows tensors, not frames.

Source: XMem (Cheng and Schwing, ECCV 2022), section 3.1. Beyond it, objects can be removed,
adopted from another propagator and refreshed, the whole state can be forked, and many objects
are decoded where each can be (`windows`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from streamseg.config import MemoryConfig, WindowsConfig
from streamseg.propagation.xmem.memory import Memory
from streamseg.propagation.xmem.windows import Decoder, decode_in_windows, whereabouts

_STRIDE = 16


class Features(Protocol):
    """What the network says of a picture without knowing any object."""

    @property
    def key(self) -> Tensor: ...
    @property
    def shrinkage(self) -> Tensor: ...
    @property
    def selection(self) -> Tensor: ...
    @property
    def f16(self) -> Tensor: ...


class Network(Decoder, Protocol):
    """The parts of `streamseg.nets.xmem.XMem` that the loop calls; see there for shapes."""

    key_dim: int
    hidden_dim: int

    @property
    def device(self) -> torch.device: ...

    def eval(self) -> Any: ...

    def encode_key(self, image: Tensor) -> Features: ...

    def encode_value(
        self, image: Tensor, f16: Tensor, masks: Tensor, sensory: Tensor, *, deep: bool
    ) -> tuple[Tensor, Tensor]: ...

    def aggregate(self, probabilities: Tensor) -> Tensor: ...


class XMemPropagator:
    """Carries the masks of several objects through a video.

    Args:
        network: Shared between propagators; put in evaluation mode, else never changed.
        memory: Sizes and rhythm, by the paper's names.
        windows: From how many objects on each is decoded only where it can be.
    """

    def __init__(
        self,
        network: Network,
        memory: MemoryConfig | None = None,
        windows: WindowsConfig | None = None,
    ) -> None:
        network.eval()  # batch statistics of one picture would be another network
        self._network = network
        self._config = memory or MemoryConfig()
        self._windows = windows or WindowsConfig()
        self.reset()

    @property
    def ids(self) -> tuple[int, ...]:
        """The objects held, in the order they were added."""
        return self._ids

    @property
    def memory(self) -> Memory:
        """Working and long-term memory, to look at."""
        return self._memory

    @property
    def nbytes(self) -> int:
        """Bytes of all three memories; what forks share counts in full."""
        return self._memory.nbytes + int(self._sensory.nbytes)

    def reset(self) -> None:
        """Forget every object and begin anew, at any size of picture."""
        self._ids: tuple[int, ...] = ()
        self._memory = Memory(self._config, self._network.key_dim, self._network.device)
        self._sensory = torch.empty((0, self._network.hidden_dim, 0, 0))
        self._solo = torch.empty((0, 0, 0))
        self._whole_at: dict[int, int] = {}  # when an object was last due to be decoded whole
        self._size = (0, 0)
        self._time = -1
        self._stored_at = 0
        self._deepened_at = -self._config.deep_update_every

    # ── the loop ─────────────────────────────────────────────────────────────────────────

    @torch.inference_mode()
    def encode(self, image: Tensor) -> Features:
        """What `step` would compute of `image` (3, H, W) whatever the objects: to keep or share."""
        return self._network.encode_key(_padded(image.to(self._network.device))[None])

    @torch.inference_mode()
    def step(
        self,
        image: Tensor,
        masks: Tensor | None = None,
        ids: Sequence[int] | None = None,
        features: Features | None = None,
    ) -> Tensor:
        """Advance by one picture.

        Args:
            image: (3, H, W) float32, normalised by the ImageNet mean and deviation.
            masks: (N, H, W) float32 in [0, 1], what is known on this picture.
            ids: The N objects that `masks` belong to (1 … N when not given). New ones are
                added, known ones corrected; those not given keep being propagated.
            features: `encode(image)`, if it has been computed before.

        Returns:
            (n + 1, H, W) float32 probabilities, background first, then `self.ids` in order.

        Raises:
            ValueError: Shapes or ids do not fit each other or the pictures before.
        """
        given = _given(image, masks, ids)
        self._begin(image)
        if features is None:
            features = self.encode(image)
        stores = bool(given) or self._time - self._stored_at >= self._config.mem_every
        deepens = self._deepens(stores)
        if not given.keys() >= set(self._ids):
            # With both updates on one rhythm the deep one replaces the shallow one.
            self._propagate(features, update=self._config.deep_update_every >= 0 or not deepens)
        if given:
            self._correct(given, features.key)
        probabilities = self._network.aggregate(self._solo)
        if stores and self._ids:
            self._store(image, features, probabilities[1:], deepens)
        return _cropped(probabilities, self._size)

    def _begin(self, image: Tensor) -> None:
        size = (int(image.shape[1]), int(image.shape[2]))
        if self._time < 0:
            self._size = size
            height, width = (-(-side // _STRIDE) * _STRIDE for side in size)
            self._solo = torch.empty((0, height, width), device=self._network.device)
        elif size != self._size:
            raise ValueError(
                f"expected pictures of {self._size} as before, got {size}; call reset() first"
            )
        self._time += 1

    def _deepens(self, stores: bool) -> bool:
        every = self._config.deep_update_every
        return stores if every < 0 else self._time - self._deepened_at >= every

    def _propagate(self, features: Features, *, update: bool) -> None:
        read = self._memory.read(features.key, features.selection, self._ids)
        readout, remembered = read[:, :-1], read[:, -1]
        if not 0 < self._windows.from_objects <= len(self._ids):
            self._solo, self._sensory = self._network.decode(
                features, readout, self._sensory, update=update
            )
            return
        can_be = whereabouts(self._solo, remembered)
        can_be[self._due()] = False
        self._solo, self._sensory = decode_in_windows(
            self._network,
            features,
            readout,
            self._sensory,
            self._solo,
            can_be,
            self._windows,
            update=update,
        )

    def _due(self) -> list[int]:
        """Places of the objects to decode whole: new ones, and all others in turn."""
        new = [at for at, id_ in enumerate(self._ids) if id_ not in self._whole_at]
        share = -(-len(self._ids) // self._windows.whole_every)
        known = [at for at, id_ in enumerate(self._ids) if id_ in self._whole_at]
        known.sort(key=lambda at: self._whole_at[self._ids[at]])
        due = [*new, *known[: max(0, share - len(new))]]
        self._whole_at = {**self._whole_at, **{self._ids[at]: self._time for at in due}}
        return due

    def _correct(self, given: Mapping[int, Tensor], key: Tensor) -> None:
        """Put the given masks over what was predicted, and add the objects that are new.

        What was predicted is weighed here and once more with the masks: as in the original.
        """
        device = self._network.device
        masks = {id_: _padded(mask.to(device, torch.float32)) for id_, mask in given.items()}
        taken = torch.stack(tuple(masks.values())).sum(0) > 0.5
        if len(self._ids) and not given.keys() >= set(self._ids):
            predicted = self._network.aggregate(self._solo)[1:].masked_fill(taken, 0.0)
            held = [masks.get(id_, predicted[at]) for at, id_ in enumerate(self._ids)]
        else:
            held = [masks[id_] for id_ in self._ids]
        fresh = [id_ for id_ in given if id_ not in self._ids]
        self._solo = torch.stack([*held, *(masks[id_] for id_ in fresh)])
        blank = key.new_zeros((len(fresh), self._network.hidden_dim, *key.shape[-2:]))
        self._sensory = torch.cat((self._sensory, blank)) if self._ids else blank
        self._ids += tuple(fresh)
        self._whole_at = {id_: at for id_, at in self._whole_at.items() if id_ not in given}

    def _store(self, image: Tensor, features: Features, masks: Tensor, deep: bool) -> None:
        padded = _padded(image.to(self._network.device))[None]
        value, self._sensory = self._network.encode_value(
            padded, features.f16, masks, self._sensory, deep=deep
        )
        presence = F.avg_pool2d(masks, _STRIDE)[:, None]
        values = dict(zip(self._ids, torch.cat((value, presence), 1), strict=True))
        self._memory.add(self._time, features.key, features.shrinkage, features.selection, values)
        self._memory.fit(self._config.max_bytes - int(self._sensory.nbytes))
        self._stored_at = self._time
        if deep:
            self._deepened_at = self._time

    # ── objects come and go ──────────────────────────────────────────────────────────────

    @torch.inference_mode()
    def remove(self, ids: Iterable[int]) -> None:
        """Forget objects and free what was theirs alone; unknown ids are ignored."""
        gone = set(ids)
        kept = [at for at, id_ in enumerate(self._ids) if id_ not in gone]
        if len(kept) == len(self._ids):
            return
        self._memory.remove(gone)
        self._sensory, self._solo = self._sensory[kept], self._solo[kept]
        self._ids = tuple(self._ids[at] for at in kept)
        self._whole_at = {id_: at for id_, at in self._whole_at.items() if id_ not in gone}

    def spawn(self) -> XMemPropagator:
        """An empty propagator over the same network."""
        return XMemPropagator(self._network, self._config, self._windows)

    @torch.inference_mode()
    def fork(self) -> XMemPropagator:
        """An independent copy as it stands; tensors are shared, for none is written to."""
        twin = object.__new__(XMemPropagator)
        twin.__dict__.update(self.__dict__)
        twin._memory = self._memory.fork()
        return twin

    snapshot = fork

    @torch.inference_mode()
    def adopt(self, lane: XMemPropagator, ids: Mapping[int, int]) -> Tensor:
        """Take over objects of a propagator that stands on the same picture.

        Args:
            lane: Over the same network; it is left as it is.
            ids: Its ids to ours. One already held is refreshed: memory and sensory state are
                the lane's from now on, its place in the order stays.

        Returns:
            As `step`, for the present picture.

        Raises:
            ValueError: The lane has no such object, or saw pictures of another size.
        """
        missing = set(ids) - set(lane.ids)
        if missing:
            raise ValueError(f"expected objects of the lane, {lane.ids}, got {sorted(missing)}")
        if self._time >= 0 and lane._size != self._size:
            raise ValueError(f"expected a lane of pictures {self._size}, got {lane._size}")
        if self._time < 0:
            self._size, self._time = lane._size, lane._time
            self._stored_at, self._deepened_at = lane._stored_at, lane._deepened_at
        self._memory.adopt(lane._memory, ids, self._time - lane._time)
        state = {id_: (self._sensory[at], self._solo[at]) for at, id_ in enumerate(self._ids)}
        for at, id_ in enumerate(lane.ids):
            if id_ in ids:
                state[ids[id_]] = (lane._sensory[at], lane._solo[at])
        self._ids = tuple(state)
        refreshed = set(ids.values())
        self._whole_at = {id_: at for id_, at in self._whole_at.items() if id_ not in refreshed}
        if state:
            sensory, solo = zip(*state.values(), strict=True)
            self._sensory, self._solo = torch.stack(sensory), torch.stack(solo)
        self._memory.fit(self._config.max_bytes - int(self._sensory.nbytes))
        return self.present()

    @torch.inference_mode()
    def present(self) -> Tensor:
        """What `step` returned last, with the objects held now."""
        return _cropped(self._network.aggregate(self._solo), self._size)


def _given(image: Tensor, masks: Tensor | None, ids: Sequence[int] | None) -> dict[int, Tensor]:
    """Masks by id, checked."""
    if image.dim() != 3 or image.shape[0] != 3:
        raise ValueError(f"expected a picture (3, H, W), got {tuple(image.shape)}")
    if masks is None:
        if ids:
            raise ValueError(f"expected masks for the ids {list(ids)}, got none")
        return {}
    names = range(1, len(masks) + 1) if ids is None else ids
    if masks.dim() != 3 or masks.shape[1:] != image.shape[1:]:
        raise ValueError(
            f"expected masks (N, {image.shape[1]}, {image.shape[2]}), got {tuple(masks.shape)}"
        )
    if len(set(names)) != len(masks):
        raise ValueError(f"expected {len(masks)} different ids, got {list(names)}")
    return dict(zip(names, masks, strict=True))


def _padding(height: int, width: int) -> tuple[int, int, int, int]:
    """Left, right, top, bottom: to multiples of 16, half of it on each side."""
    across, down = -width % _STRIDE, -height % _STRIDE
    return across // 2, across - across // 2, down // 2, down - down // 2


def _padded(picture: Tensor) -> Tensor:
    """(…, H, W) with zeros around."""
    padding = _padding(*picture.shape[-2:])
    return F.pad(picture, padding) if any(padding) else picture


def _cropped(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """(…, H, W) of `size` out of the padded picture."""
    left, _, top, _ = _padding(*size)
    return picture[..., top : top + size[0], left : left + size[1]]
