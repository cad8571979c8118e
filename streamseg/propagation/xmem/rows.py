"""A table of equal rows that grows at its end; forks share its storage. Knows no memory."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(slots=True)
class _Storage:
    """Rows up to `used` are written once and never again."""

    data: Tensor
    used: int
    lock: threading.Lock = field(default_factory=threading.Lock)


class Rows:
    """Rows of one width. A fork costs nothing: whoever appends first keeps the storage.

    Storage is written only beyond what any sharer has seen, so that forks may live in
    different threads.
    """

    __slots__ = ("_size", "_storage")

    def __init__(self, data: Tensor) -> None:
        """Begin with (N, C) rows, which are kept, not copied, and must not be written to."""
        self._storage = _Storage(data, data.shape[0])
        self._size = data.shape[0]

    def __len__(self) -> int:
        return self._size

    @property
    def view(self) -> Tensor:
        """(N, C), not to be written to."""
        return self._storage.data[: self._size]

    @property
    def nbytes(self) -> int:
        """Bytes allocated, spare room included."""
        return int(self._storage.data.nbytes)

    def append(self, rows: Tensor, slack: float) -> None:
        """Add (M, C) rows; when storage must grow, leave room for `slack` × the new size."""
        end = self._size + rows.shape[0]
        if not self._claim(end):
            grown = rows.new_empty((end + int(slack * end), rows.shape[1]))
            grown[: self._size] = self.view
            self._storage = _Storage(grown, end)
        self._storage.data[self._size : end] = rows
        self._size = end

    def _claim(self, end: int) -> bool:
        """Reserve the storage from our end to `end`; False when there is no room or it is taken."""
        storage = self._storage
        with storage.lock:
            if storage.used != self._size or end > storage.data.shape[0]:
                return False
            storage.used = end
            return True

    def take(self, index: Tensor) -> Rows:
        """The rows at (M,) int64 positions, in storage of their own."""
        return Rows(torch.index_select(self.view, 0, index))

    def fork(self) -> Rows:
        """These rows, to grow by themselves."""
        twin = object.__new__(Rows)
        twin._storage, twin._size = self._storage, self._size
        return twin
