"""What a memory keeps of each element, whichever objects it is for: key, usage, age."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamseg.engines.torch import address, probe
from streamseg.propagation.xmem.rows import Rows

Flags = NDArray[np.bool_]

LONG_TERM = int(np.iinfo(np.int64).min)
"""The stamp of a long-term element; a working one bears the time of its frame."""
_NEWBORN = 1e-7
"""Life of an element never up for reading: its usage is 0, not 0 / 0."""


class Elements:
    """A table of memory elements, oldest first.

    Attributes:
        stamps: (N,) int64, the time of each element's frame or LONG_TERM. Replaced, never
            written to, so that forks share it.
    """

    def __init__(self, key_dim: int, device: torch.device) -> None:
        self._key = Rows(torch.empty((0, key_dim), device=device))
        self._shrinkage = Rows(torch.empty((0, 1), device=device))
        self._selection = Rows(torch.empty((0, key_dim), device=device))
        self._address = Rows(torch.empty((0, 2 * key_dim + 1), device=device))
        self._use = torch.empty(0, device=device)
        self._life = torch.empty(0, device=device)
        self.stamps: NDArray[np.int64] = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self.stamps)

    @property
    def device(self) -> torch.device:
        return self._use.device

    @property
    def working(self) -> Flags:
        """(N,) which elements are working memory."""
        working: Flags = self.stamps != LONG_TERM
        return working

    @property
    def addresses(self) -> Tensor:
        """(N, 2C + 1), to compare with probes."""
        return self._address.view

    @property
    def shrinkage(self) -> Tensor:
        """(N, 1)."""
        return self._shrinkage.view

    @property
    def usage(self) -> Tensor:
        """(N,) how much of the reading went to each element, per frame of its life."""
        return self._use / self._life

    @property
    def nbytes(self) -> int:
        columns = (self._key, self._shrinkage, self._selection, self._address)
        counters = self._use.nbytes + self._life.nbytes + self.stamps.nbytes
        return sum(column.nbytes for column in columns) + int(counters)

    @property
    def row_nbytes(self) -> int:
        """Bytes of one element, without its values."""
        return 4 * (4 * self._key.view.shape[1] + 2) + 16

    def append(
        self, key: Tensor, shrinkage: Tensor, selection: Tensor, stamp: int, slack: float
    ) -> None:
        """Add M elements: key and selection (M, C), shrinkage (M, 1)."""
        self._key.append(key, slack)
        self._shrinkage.append(shrinkage, slack)
        self._selection.append(selection, slack)
        self._address.append(address(key, shrinkage), slack)
        count = len(key)
        self._use = torch.cat((self._use, self._use.new_zeros(count)))
        self._life = torch.cat((self._life, self._life.new_full((count,), _NEWBORN)))
        self.stamps = np.concatenate((self.stamps, np.full(count, stamp, np.int64)))

    def extend(self, other: Elements, shift: int, slack: float) -> None:
        """Add another table's elements with their usage, their frames' times moved by `shift`."""
        self._key.append(other._key.view, slack)
        self._shrinkage.append(other._shrinkage.view, slack)
        self._selection.append(other._selection.view, slack)
        self._address.append(other._address.view, slack)
        self._use = torch.cat((self._use, other._use))
        self._life = torch.cat((self._life, other._life))
        moved = np.where(other.working, other.stamps + shift * other.working, other.stamps)
        self.stamps = np.concatenate((self.stamps, moved))

    def keep(self, flags: Flags) -> None:
        """Keep the (N,) flagged elements alone."""
        index = positions(flags, self.device)
        self._key = self._key.take(index)
        self._shrinkage = self._shrinkage.take(index)
        self._selection = self._selection.take(index)
        self._address = self._address.take(index)
        self._use = self._use[index]
        self._life = self._life[index]
        self.stamps = self.stamps[flags]

    def count_usage(self, used: Tensor) -> None:
        """Add one frame's (N,) reading; every element grows a frame older."""
        self._use += used
        self._life += 1

    def prototypes(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Key, selection and probe of the elements at (P,) positions."""
        key = self._key.view[index]
        selection = self._selection.view[index]
        return key, selection, probe(key, selection)

    def fork(self) -> Elements:
        """These elements, to go on by themselves; what was stored stays shared."""
        twin = object.__new__(Elements)
        twin._key, twin._shrinkage = self._key.fork(), self._shrinkage.fork()
        twin._selection, twin._address = self._selection.fork(), self._address.fork()
        twin._use, twin._life = self._use.clone(), self._life.clone()
        twin.stamps = self.stamps
        return twin


def positions(flags: Flags, device: torch.device) -> Tensor:
    """Where (N,) flags are set, as int64 on `device`."""
    return torch.from_numpy(np.flatnonzero(flags)).to(device)
