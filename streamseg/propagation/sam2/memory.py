"""SAM2's memory bank: a fixed number of slots for each object, written in place, read as a view.

SAM 2, section 4: the frame on which the object was given and the latest frames after it, with the
pointers of some more. It knows steps, not frames, and tensors, not masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

_NEVER = -(1 << 40)
"""The step of a slot that was never written: longer ago than any memory is used."""
_FEWEST = 2
"""Memories without which there is no tracking: of what was given, and the latest."""


def memories_each(limit: int, objects: int) -> int | None:
    """How many memories each of so many objects attends to; None: all it has.

    Args:
        limit: Of all objects together; 0: there is none.
    """
    return max(_FEWEST, limit // objects) if limit else None


class View(NamedTuple):
    """What memory attention reads of n objects; -1 marks what is empty.

    Attributes:
        memory: (n, F, h·w, M).
        ages: (n, F) int64, steps since each was made; 0 for the one given.
        pointers: (n, P, C) float32.
        since: (n, P) int64, steps since each was made.
    """

    memory: Tensor
    ages: Tensor
    pointers: Tensor
    since: Tensor


class Bank:
    """Slot 0 of each object is what was given; the others go round with the steps.

    Args:
        frames: Memories that an object keeps.
        memory: h·w and M of one.
        pointers: Pointers that an object keeps.
        channels: C of one.
        device: Where they lie.
        dtype: Of memories. In float32 they are rounded to bfloat16, as the original keeps them.
    """

    def __init__(
        self,
        frames: int,
        memory: tuple[int, int],
        pointers: int,
        channels: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._memory = torch.zeros((0, frames, *memory), device=device, dtype=dtype)
        self._pointers = torch.zeros((0, pointers, channels), device=device)
        self._stamps = torch.zeros((0, frames), dtype=torch.int64)
        self._pointer_stamps = torch.zeros((0, pointers), dtype=torch.int64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def nbytes(self) -> int:
        return int(self._memory.nbytes + self._pointers.nbytes)

    def grow(self) -> int:
        """Room for one more object; returns its row."""
        if self._count == len(self._stamps):
            more = max(1, self._count)
            self._memory = _extended(self._memory, more, 0)
            self._pointers = _extended(self._pointers, more, 0)
            self._stamps = _extended(self._stamps, more, _NEVER)
            self._pointer_stamps = _extended(self._pointer_stamps, more, _NEVER)
        row = self._count
        self._stamps[row], self._pointer_stamps[row] = _NEVER, _NEVER
        self._count += 1
        return row

    def keep(self, rows: Sequence[int]) -> None:
        """Forget the objects of all other rows."""
        for name in ("_memory", "_pointers", "_stamps", "_pointer_stamps"):
            setattr(self, name, getattr(self, name)[list(rows)])
        self._count = len(rows)

    def give(self, row: int, step: int, memory: Tensor, pointer: Tensor) -> None:
        """Take in what was given of an object: (h·w, M) and (C,)."""
        self._memory[row, 0] = self._rounded(memory)
        self._pointers[row, 0] = pointer
        self._stamps[row, 0] = self._pointer_stamps[row, 0] = step

    def push(self, rows: slice | list[int], step: int, memory: Tensor, pointers: Tensor) -> None:
        """Take in what was tracked: (n, h·w, M) and (n, C), in place of the oldest."""
        slot = 1 + step % (self._stamps.shape[1] - 1)
        pointer_slot = 1 + step % (self._pointer_stamps.shape[1] - 1)
        self._memory[rows, slot] = self._rounded(memory)
        self._pointers[rows, pointer_slot] = pointers
        self._stamps[rows, slot] = step
        self._pointer_stamps[rows, pointer_slot] = step

    def view(self, rows: slice | list[int], step: int, frames: int | None = None) -> View:
        """What is remembered at `step`, which was not pushed yet.

        A full bank is not copied; of one that fills up, or is not wanted whole, slots in use are.

        Args:
            frames: At most so many memories of each object: the given one and the latest.
        """
        frames = min(frames or self._stamps.shape[1], self._stamps.shape[1])
        ages, since = self._ages(rows, step, frames), self._since(rows, step)
        memory = self._memory[rows]
        used = (ages >= 0).any(0)
        if not bool(used.all()):
            slots = used.nonzero()[:, 0]
            ages, memory = ages[:, slots], memory[:, slots.to(memory.device)]
        device = memory.device
        return View(memory, ages.to(device), self._pointers[rows], since.to(device))

    def _ages(self, rows: slice | list[int], step: int, frames: int) -> Tensor:
        ages = _recent(step - self._stamps[rows], frames - 1)
        ages[:, 0] = 0
        return ages

    def _since(self, rows: slice | list[int], step: int) -> Tensor:
        stamps = self._pointer_stamps[rows]
        since = _recent(step - stamps, stamps.shape[1] - 1)
        since[:, 0] = step - stamps[:, 0]
        return since

    def copy(self, row: int, other: Bank, their_row: int, shift: int) -> None:
        """Take over an object of another bank, whose steps are ours less `shift`."""
        for name in ("_memory", "_pointers", "_stamps", "_pointer_stamps"):
            mine, theirs = getattr(self, name)[row], getattr(other, name)[their_row]
            mine[0] = theirs[0]
            # Where a slot lies goes with the step, which is another number here.
            mine[1:] = theirs[1:].roll(shift % (len(theirs) - 1), 0)
        self._stamps[row] += shift
        self._pointer_stamps[row] += shift

    def fork(self) -> Bank:
        """An independent copy."""
        twin = object.__new__(Bank)
        twin._memory, twin._pointers = self._memory.clone(), self._pointers.clone()
        twin._stamps, twin._pointer_stamps = self._stamps.clone(), self._pointer_stamps.clone()
        twin._count = self._count
        return twin

    def _rounded(self, memory: Tensor) -> Tensor:
        whole = self._memory.dtype == torch.float32
        return memory.bfloat16().float() if whole else memory.to(self._memory.dtype)


def _recent(ages: Tensor, longest: int) -> Tensor:
    """Ages from 1 to `longest`; -1 for the others."""
    return torch.where((ages >= 1) & (ages <= longest), ages, -1)


def _extended(tensor: Tensor, rows: int, fill: int) -> Tensor:
    return torch.cat((tensor, tensor.new_full((rows, *tensor.shape[1:]), fill)))
