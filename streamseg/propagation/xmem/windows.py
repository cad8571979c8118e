"""Decoding many small objects only where each can be; it knows tensors and cells, not the loop.

XMem's decoder costs as much for an object of a hundred pixels as for one that fills the
picture. All of it that sees the whole picture (`fuse`, at stride 16) stays as it is. The rest
(`refine`, at strides 8 and 4, most of the work) is made of local operations: in a window cut
out of its inputs it gives what it gives in the whole picture, but for a halo along the
window's edges. So each object is refined in windows whose exact cells hold all places where it
can be: where it was, and where the memory sees it now. Elsewhere its probability, hardly above 0
there, and its sensory memory stay as they were. An object that may be anywhere, that would need
too many windows, or that reaches the end of what was refined, is decoded whole on the same frame;
so is each when it is new, and now and then, lest what stays grow old.

A cell is 16 × 16 pixels, one element at stride 16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamseg.config import WindowsConfig

CELL = 16
HALO, MASK_HALO = 4, 3
"""Cells from a window's edge on which the sensory memory, the probabilities are not exact."""
_SEEN = 0.05
"""Probability from which a pixel counts as the object's, when asking where it can be."""
_REMEMBERED = 0.25
"""Likewise the share of a cell that the memory says is the object's."""
WORTH = 0.8
"""Share of the picture beyond which an object's windows, cut out and put back, spare nothing."""
_CPU_TOGETHER = 4
"""Windows refined at once on a CPU, where larger tensors are had from the system each time anew."""

Flags = NDArray[np.bool_]


class Decoder(Protocol):
    """The calls of `streamseg.nets.xmem.XMem` that decode; see there for shapes."""

    def decode(
        self, features: Any, readout: Tensor, sensory: Tensor, *, update: bool
    ) -> tuple[Tensor, Tensor]: ...

    def fuse(self, features: Any, readout: Tensor, sensory: Tensor) -> Tensor: ...

    def refine(
        self, skip8: Tensor, skip4: Tensor, fused: Tensor, sensory: Tensor, *, update: bool
    ) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True, slots=True)
class Side:
    """A window's place along one side of the picture, in cells."""

    start: int
    length: int
    total: int

    def exact(self, halo: int) -> tuple[int, int]:
        """First and last + 1 of its cells that are as in the whole picture."""
        end = self.start + self.length
        return (
            self.start + halo if self.start else 0,
            end - halo if end < self.total else end,
        )

    def whole(self, stride: int) -> slice:
        """All of it, in elements of which a cell has `stride`."""
        return slice(stride * self.start, stride * (self.start + self.length))

    def inner(self, halo: int, stride: int) -> tuple[slice, slice]:
        """The exact part, in the picture and in the window."""
        first, end = self.exact(halo)
        begin = stride * self.start
        there = slice(stride * first, stride * end)
        return there, slice(there.start - begin, there.stop - begin)


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of cells in which one object is refined.

    Attributes:
        at: The object's place among those decoded together.
        rows: Where it lies.
        columns: Likewise.
    """

    at: int
    rows: Side
    columns: Side


def decode_in_windows(
    network: Decoder,
    features: Any,
    readout: Tensor,
    sensory: Tensor,
    before: Tensor,
    can_be: Flags,
    config: WindowsConfig,
    *,
    update: bool,
) -> tuple[Tensor, Tensor]:
    """As `XMem.decode`, but only where each object can be.

    Args:
        network: Its parts.
        features: Of the picture.
        readout: (n, C^v, h, w).
        sensory: (n, C^h, h, w); not written to.
        before: (n, H, W) probabilities on the picture before; not written to.
        can_be: (n, h, w) of `whereabouts`.
        config: Sizes of windows.
        update: Also advance the sensory memory.

    Returns:
        probabilities (n, H, W) and sensory (n, C^h, h, w).
    """
    plans = [cover(flags, at, (config.high, config.wide)) for at, flags in enumerate(can_be)]
    near = [at for at, plan in enumerate(plans) if plan]
    far = [at for at, plan in enumerate(plans) if not plan]
    if not near:
        return network.decode(features, readout, sensory, update=update)
    windows = [window for plan in plans for window in plan]
    fused = network.fuse(features, readout[near], sensory[near])
    refinement = _refine(network, features, fused, near, sensory, windows, update=update)
    solo, state = before.clone(), sensory.clone()
    refined = _paste(windows, *refinement, solo, state)
    far += reaching_out(solo, refined)
    if far:
        solo[far], state[far] = network.decode(features, readout[far], sensory[far], update=update)
    return solo, state


def whereabouts(solo: Tensor, remembered: Tensor) -> Flags:
    """The cells in which each object can be now.

    Args:
        solo: (n, H, W) its probability on the picture before.
        remembered: (n, h, w) the memory's reading of how much of each cell is the object's.

    Returns:
        (n, h, w).
    """
    height, width = remembered.shape[-2:]
    rows = solo.reshape(-1, height, CELL, CELL * width).amax(2)
    seen = rows.reshape(-1, height, width, CELL).amax(3) > _SEEN
    flags: Flags = (seen | (remembered > _REMEMBERED)).cpu().numpy()
    return flags


def cover(flags: Flags, at: int, size: tuple[int, int]) -> list[Window]:
    """Few windows of one size whose exact cells hold all flagged ones, wherever these lie.

    Each window in turn goes where it holds most of what is left.

    Args:
        flags: (h, w).
        at: The object's place, for the windows.
        size: Height and width of a window, in cells; a smaller picture has smaller ones.

    Returns:
        Nothing when nothing is flagged, or when the windows are not worth it.
    """
    high, wide = (min(*pair) for pair in zip(size, flags.shape, strict=True))
    most = int(WORTH * flags.size / (high * wide))
    left, windows = flags.copy(), list[Window]()
    while left.any():
        if len(windows) == most:
            return []
        row, column = _fullest(left, _exact(high, flags.shape[0]), _exact(wide, flags.shape[1]))
        down, across = Side(row, high, flags.shape[0]), Side(column, wide, flags.shape[1])
        left[slice(*down.exact(HALO)), slice(*across.exact(HALO))] = False
        windows.append(Window(at, down, across))
    return windows


@cache
def _exact(length: int, total: int) -> NDArray[np.int64]:
    """(2, starts): first and last + 1 exact cell of a window, wherever it may start."""
    sides = (Side(start, length, total) for start in range(total - length + 1))
    return np.array([side.exact(HALO) for side in sides]).T


def _fullest(left: Flags, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> tuple[int, int]:
    """Where to start the window whose exact cells hold the most flags.

    Of several, the one in the middle if it holds all, else the first: what is left stays together.
    """
    sums = np.pad(left.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    (top, bottom), (first, end) = rows[:, :, None], columns
    held = sums[bottom, end] - sums[top, end] - sums[bottom, first] + sums[top, first]
    equal = np.argwhere(held == held.max())
    best = 0
    if held.max() == sums[-1, -1]:
        best = int(np.abs(equal - equal.mean(0)).sum(1).argmin())
    return int(equal[best, 0]), int(equal[best, 1])


def _refine(
    network: Decoder,
    features: Any,
    fused: Tensor,
    near: Sequence[int],
    sensory: Tensor,
    windows: Sequence[Window],
    *,
    update: bool,
) -> tuple[Tensor, Tensor]:
    """Every window's probabilities and sensory memory."""
    place = {at: position for position, at in enumerate(near)}
    together = _CPU_TOGETHER if fused.device.type == "cpu" else len(windows)
    refined = []
    for start in range(0, len(windows), together):
        some = windows[start : start + together]
        inputs = (
            _cut(features.skip8, some, lambda window: 0, 2),
            _cut(features.skip4, some, lambda window: 0, 4),
            _cut(fused, some, lambda window: place[window.at], 1),
            _cut(sensory, some, lambda window: window.at, 1),
        )
        refined.append(network.refine(*inputs, update=update))
    masks, hidden = zip(*refined, strict=True)
    return torch.cat(masks), torch.cat(hidden)


def _paste(
    windows: Sequence[Window], masks: Tensor, hidden: Tensor, solo: Tensor, state: Tensor
) -> Flags:
    """Put what is exact of each window into solo (n, H, W) and state (n, C^h, h, w).

    Returns:
        (n, h, w) for which cells the probabilities are known now.
    """
    refined = np.zeros((len(state), *state.shape[-2:]), np.bool_)
    for window, mask, memory in zip(windows, masks, hidden, strict=True):
        at, down, across = window.at, window.rows, window.columns
        rows, own_rows = down.inner(MASK_HALO, CELL)
        columns, own_columns = across.inner(MASK_HALO, CELL)
        solo[at, rows, columns] = mask[own_rows, own_columns]
        refined[at, slice(*down.exact(MASK_HALO)), slice(*across.exact(MASK_HALO))] = True
        rows, own_rows = down.inner(HALO, 1)
        columns, own_columns = across.inner(HALO, 1)
        state[at, :, rows, columns] = memory[:, own_rows, own_columns]
    return refined


def _cut(
    picture: Tensor, windows: Sequence[Window], of: Callable[[Window], int], stride: int
) -> Tensor:
    """(N, C, …) of `stride` elements a cell to one (C, …) a window, from row `of` it."""
    cuts = [
        picture[of(window), :, window.rows.whole(stride), window.columns.whole(stride)]
        for window in windows
    ]
    return torch.stack(cuts)


def reaching_out(solo: Tensor, refined: Flags) -> list[int]:
    """The objects that are seen on the last pixels before cells where they were not refined.

    Args:
        solo: (n, H, W) probabilities.
        refined: (n, h, w) for which cells they are known.
    """
    across = (*refined.shape, CELL)
    down = (len(refined), refined.shape[1], CELL, refined.shape[2])
    closed = np.pad(refined, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    seen = solo > _SEEN
    out = np.zeros(len(solo), np.bool_)
    for pixels, beyond in (
        (seen[:, ::CELL].reshape(across).any(3), closed[:, :-2, 1:-1]),
        (seen[:, CELL - 1 :: CELL].reshape(across).any(3), closed[:, 2:, 1:-1]),
        (seen[:, :, ::CELL].reshape(down).any(2), closed[:, 1:-1, :-2]),
        (seen[:, :, CELL - 1 :: CELL].reshape(down).any(2), closed[:, 1:-1, 2:]),
    ):
        out |= (pixels.cpu().numpy() & refined & ~beyond).any((1, 2))
    return [int(at) for at in np.flatnonzero(out)]
