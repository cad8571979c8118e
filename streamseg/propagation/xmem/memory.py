"""XMem's working and long-term memory in one table; it knows neither pictures nor the loop.

Every element of the table has a key, and a value for those objects that were known when it
was stored. Objects with values for the same elements form a group: similarity is computed
once for the whole table, the best elements are sought once a group, and values lie per
object. So objects come and go, elements are dropped, and objects of another memory are
adopted without rewriting what the others hold.

Source: XMem (Cheng and Schwing, ECCV 2022), sections 3.2 to 3.4. Beyond it: elements can be
dropped although objects came at different times; objects can be removed, adopted, forked;
the table is capped in bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from streamseg.config import MemoryConfig
from streamseg.engines.torch import probe
from streamseg.propagation.xmem.consolidation import (
    candidates_of,
    condense,
    least_used,
    share_first_frame,
)
from streamseg.propagation.xmem.elements import LONG_TERM, Elements, Flags
from streamseg.propagation.xmem.groups import Group, merge_equal, owners_of
from streamseg.propagation.xmem.rows import Rows

_CPU_BLOCK, _BLOCK = 1 << 22, 1 << 27
"""Similarities computed at once: on a CPU, few enough to stay in its cache."""
_SLACK = 0.25
"""Spare room when storage grows, in parts of its size, while the cap is far."""
_EVICT_TO = 0.875
"""Once over the cap, how much of it may stay, so that not every frame evicts."""


class Memory:
    """Working and long-term memory of several objects.

    Args:
        config: Sizes, by the paper's names.
        key_dim: C^k.
        device: Where the table lies.
    """

    def __init__(self, config: MemoryConfig, key_dim: int, device: torch.device) -> None:
        self._config = config
        self._elements = Elements(key_dim, device)
        self._groups: list[Group] = []

    def __len__(self) -> int:
        return len(self._elements)

    @property
    def ids(self) -> tuple[int, ...]:
        """The objects held, group by group."""
        return tuple(id_ for group in self._groups for id_ in group.values)

    @property
    def long_term_elements(self) -> int:
        return int(np.count_nonzero(~self._elements.working))

    @property
    def nbytes(self) -> int:
        """Bytes allocated; storage shared with forks counts in full."""
        values = sum(rows.nbytes for group in self._groups for rows in group.values.values())
        return self._elements.nbytes + values

    # ── reading ──────────────────────────────────────────────────────────────────────────

    def read(self, key: Tensor, selection: Tensor, ids: Sequence[int]) -> Tensor:
        """Read for every place of a picture; counts as usage.

        Args:
            key: (1, C^k, h, w).
            selection: (1, C^k, h, w).
            ids: Objects, all held.

        Returns:
            (n, C^v, h, w), in the order of `ids`.
        """
        probes = probe(_rows(key), _rows(selection))
        place = {id_: position for position, id_ in enumerate(ids)}
        out: list[list[Tensor]] = [[] for _ in ids]
        owned = self._owned()
        used = torch.zeros(len(self), device=probes.device)
        for block in torch.split(probes, self._block_size()):
            similarity = block @ self._elements.addresses.T
            for group, owns in zip(self._groups, owned, strict=True):
                slots, weights, rows = self._attend(group, similarity)
                counted = weights if owns is None else weights * owns[slots]
                used.index_add_(0, slots.flatten(), counted.flatten())
                for id_, values in group.values.items():
                    out[place[id_]].append(_gather(rows, weights, values.view))
        self._elements.count_usage(used)
        read = torch.stack([torch.cat(parts) for parts in out])
        return read.transpose(1, 2).reshape(len(ids), -1, *key.shape[-2:])

    def _block_size(self) -> int:
        limit = _CPU_BLOCK if self._elements.device.type == "cpu" else _BLOCK
        return max(16, limit // len(self))

    def _attend(self, group: Group, similarity: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The best elements (Q, k) of one group, their weights, and the rows of their values."""
        count = int(np.count_nonzero(group.valid))
        top_k = min(self._config.top_k, count)
        if count == len(self):
            best, slots = similarity.topk(top_k, 1, sorted=False)
            return slots, best.softmax(1), slots
        penalty, rows = group.places(similarity.device)
        best, slots = (similarity + penalty).topk(top_k, 1, sorted=False)
        return slots, best.softmax(1), rows[slots]

    def _owned(self) -> list[Tensor | None]:
        """Per group (N,) 1 where it is the first with a value, whose reading counts as usage."""
        if len(self._groups) == 1:
            return [None]
        owners = owners_of(self._groups)
        device = self._elements.device
        return [
            torch.from_numpy(owners == index).to(device, torch.float32)
            for index in range(len(self._groups))
        ]

    # ── writing ──────────────────────────────────────────────────────────────────────────

    def add(
        self,
        time: int,
        key: Tensor,
        shrinkage: Tensor,
        selection: Tensor,
        values: Mapping[int, Tensor],
    ) -> None:
        """Store a frame in working memory, condensing the older ones when it is full.

        Args:
            time: Of the frame; later than any before.
            key: (1, C^k, h, w).
            shrinkage: (1, 1, h, w).
            selection: (1, C^k, h, w).
            values: (C^v, h, w) for every object held and every one that is new.
        """
        before, slack = len(self), self._slack()
        self._elements.append(_rows(key), _rows(shrinkage), _rows(selection), time, slack)
        count = len(self) - before
        for group in self._groups:
            group.mark(np.ones(count, np.bool_))
            for id_, rows in group.values.items():
                rows.append(values[id_].flatten(1).T, slack)
        held = set(self.ids)
        fresh = {id_: value for id_, value in values.items() if id_ not in held}
        if fresh:
            stored = {id_: Rows(value.flatten(1).T.contiguous()) for id_, value in fresh.items()}
            follows = self._groups[0].first if self._groups else None
            self._groups.append(Group(np.arange(len(self)) >= before, time, stored, follows))
        if self._config.enable_long_term and self._full():
            self._consolidate()

    def remove(self, ids: Iterable[int]) -> None:
        """Forget objects and the elements that were theirs alone; unknown ids are ignored."""
        gone = set(ids)
        if gone.isdisjoint(self.ids):
            return
        for group in self._groups:
            group.values = {id_: rows for id_, rows in group.values.items() if id_ not in gone}
        self._groups = [group for group in self._groups if group.values]
        needed = np.zeros(len(self), np.bool_)
        for group in self._groups:
            needed |= group.valid
        self._keep(needed)

    def adopt(self, lane: Memory, ids: Mapping[int, int], shift: int) -> None:
        """Take over objects with their elements, which stay theirs alone.

        Args:
            lane: The other memory; it is left as it is.
            ids: Its ids to ours. What we held under ours is forgotten.
            shift: Our time minus the lane's.
        """
        lane = lane.fork()
        lane.remove(set(lane.ids) - set(ids))
        self.remove(ids.values())
        before = len(self)
        self._elements.extend(lane._elements, shift, self._slack())
        for group in self._groups:
            group.mark(np.zeros(len(lane), np.bool_))
        for group in lane._groups:
            values = {ids[id_]: rows for id_, rows in group.values.items()}
            valid = np.concatenate((np.zeros(before, np.bool_), group.valid))
            follows = None if group.follows is None else group.follows + shift
            self._groups.append(Group(valid, group.first + shift, values, follows))

    def fork(self) -> Memory:
        """An independent copy; what is stored stays shared."""
        twin = object.__new__(Memory)
        twin._config = self._config
        twin._elements = self._elements.fork()
        twin._groups = [group.fork() for group in self._groups]
        return twin

    def _keep(self, flags: Flags) -> None:
        if flags.all():
            return
        self._elements.keep(flags)
        for group in self._groups:
            group.keep(flags, self._elements.device)

    # ── condensing and dropping ────────────────────────────────────────────────────────────

    def _full(self) -> bool:
        """Whether some object has reached T_max frames of working memory."""
        working = self._elements.working
        return any(
            len(np.unique(self._elements.stamps[group.valid & working]))
            >= self._config.max_mid_term_frames
            for group in self._groups
        )

    def _consolidate(self) -> None:
        if self._config.share_first_frame:
            share_first_frame(self._elements, self._groups, self._config)
        candidates = candidates_of(self._elements, self._groups, self._config)
        if not candidates.any():
            return
        made = condense(self._elements, self._groups, candidates, self._config)
        room = self._config.max_long_term_elements - len(made.key)
        self._keep(~candidates & ~least_used(self._elements, room))
        slack = self._slack()
        self._elements.append(made.key, made.shrinkage, made.selection, LONG_TERM, slack)
        for group, valid, values in zip(self._groups, made.valid, made.values, strict=True):
            group.mark(valid)
            for id_, rows in values.items():
                group.values[id_].append(rows, slack)
        self._groups = merge_equal(self._groups)

    def fit(self, max_bytes: int) -> None:
        """Drop elements until what is held fits: least used long-term ones, then old frames.

        The newest frame stays whatever it takes, for without it there is nothing to track by.
        """
        if self.nbytes <= max_bytes or not len(self):
            return
        order = self._expendable()
        cost = self._element_nbytes()
        excess = int(cost.sum()) - int(_EVICT_TO * max_bytes)
        spared = np.cumsum(cost[order])
        flags = np.ones(len(self), np.bool_)
        flags[order[: int(np.searchsorted(spared, excess)) + 1]] = False
        self._keep(flags)

    def _expendable(self) -> NDArray[np.int64]:
        """Positions in the order in which to drop them, the newest frame left out."""
        stamps = self._elements.stamps
        firsts = np.isin(stamps, [group.first for group in self._groups])
        working = self._elements.working
        usage = self._elements.usage.cpu().numpy()
        order = np.lexsort((usage, stamps, firsts & working))
        droppable: NDArray[np.int64] = order[stamps[order] != stamps.max()]
        return droppable

    def _element_nbytes(self) -> NDArray[np.int64]:
        """(N,) bytes that each element takes with its values."""
        cost = np.full(len(self), self._elements.row_nbytes, np.int64)
        for group in self._groups:
            row = sum(4 * rows.view.shape[1] for rows in group.values.values())
            cost += row * group.valid
        return cost

    def _slack(self) -> float:
        return _SLACK if self.nbytes < self._config.max_bytes / 2 else 0.0


def _rows(map_: Tensor) -> Tensor:
    """(1, C, h, w) to (h * w, C)."""
    return map_[0].flatten(1).T


def _gather(rows: Tensor, weights: Tensor, values: Tensor) -> Tensor:
    """Weighted sums of k rows: (Q, k), (Q, k) and (N, C) to (Q, C)."""
    return F.embedding_bag(rows, values, per_sample_weights=weights, mode="sum")
