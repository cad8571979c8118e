"""Which objects have values for which elements of a memory, and those values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamseg.propagation.xmem.elements import Flags, positions
from streamseg.propagation.xmem.rows import Rows


@dataclass(slots=True)
class Group:
    """Objects that have values for the same elements.

    Attributes:
        valid: (N,) which elements of the table these are. Replaced, never written to.
        first: Stamp of the frame on which the objects were given; it is never condensed.
        values: Per object, one row (C^v) for every valid element, in the table's order.
        follows: Stamp of the first frame of the group that these objects joined, if any.
    """

    valid: Flags
    first: int
    values: dict[int, Rows]
    follows: int | None = None
    _places: tuple[Tensor, Tensor] | None = None

    def places(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Per element: 0 or −inf to add to its similarity, and the row of its value."""
        if self._places is None:
            valid = torch.from_numpy(self.valid)
            penalty = torch.zeros(len(valid)).masked_fill_(~valid, -torch.inf)
            rows = (valid.cumsum(0) - 1).clamp_(min=0)
            self._places = penalty.to(device), rows.to(device)
        return self._places

    def mark(self, added: Flags) -> None:
        """Say of elements added to the table which are valid here."""
        self.valid = np.concatenate((self.valid, added))
        self._places = None

    def rebase(self, valid: Flags, first: int) -> None:
        """Stand for as many other elements, in the same order, from another first frame on."""
        self.valid, self.first, self.follows = valid, first, None
        self._places = None

    def keep(self, flags: Flags, device: torch.device) -> None:
        """Follow the table, of which the flagged elements were kept."""
        index = positions(flags[self.valid], device)
        self.values = {id_: rows.take(index) for id_, rows in self.values.items()}
        self.valid = self.valid[flags]
        self._places = None

    def fork(self) -> Group:
        values = {id_: rows.fork() for id_, rows in self.values.items()}
        return Group(self.valid, self.first, values, self.follows, self._places)


def owners_of(groups: Sequence[Group]) -> NDArray[np.int64]:
    """(N,) the first group that has a value for each element: its reading counts as usage."""
    owners: NDArray[np.int64] = np.stack([group.valid for group in groups]).argmax(0)
    return owners


def merge_equal(groups: Sequence[Group]) -> list[Group]:
    """Join groups that have come to hold the same elements, so that each is sought once."""
    merged: list[Group] = []
    for group in groups:
        for other in merged:
            if other.first == group.first and np.array_equal(other.valid, group.valid):
                other.values |= group.values
                break
        else:
            merged.append(group)
    return merged
