"""Where things stand in what a Qwen-VL network sees: patches, windows, positions; numbers alone.

What depends on a picture's size is worked out here, in numpy, and goes into the graphs as inputs:
so one vision graph takes pictures of every size. Sources: Qwen2-VL (arXiv 2409.12191, section
2.1, rotary positions of three axes), Qwen2.5-VL (arXiv 2502.13923, section 2.1.1, attention in
windows), Qwen3-VL (arXiv 2511.21631, a learnt grid of positions, interpolated).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sight:
    """How a vision tower takes a picture.

    Attributes:
        merge: Patches on the side of a cell; a cell becomes one token.
        window: Cells on the side of a window that attention keeps within; 0: it sees everything.
        table: Sides of the learnt grid of positions; 0: there is none.
    """

    merge: int
    window: int = 0
    table: int = 0


def vision_inputs(
    patches: NDArray[np.float32], grid: tuple[int, int], sight: Sight
) -> tuple[Arrays, Whole]:
    """One picture as its vision graph takes it.

    Args:
        patches: (P, F), P = rows x columns of `grid`, cell by cell as the processor gives them.
        grid: Patches from top to bottom and from left to right.

    Returns:
        The graph's inputs, in groups of rows (a cell's patches, or a window's), and of the tokens
        that come out of it those that are the picture's cells, row by row.
    """
    merge = sight.merge
    down, across = grid[0] // merge, grid[1] // merge
    cells = down * across
    positions = _patch_positions(down, across, merge)
    shaped = patches.reshape(cells, merge**2, -1)
    if sight.window:
        order = _windows(down, across, sight.window)
        there = order >= 0
        spread = np.where(there[..., None, None], shaped[order], np.float32(0))
        rows = order.shape[1] * merge**2
        inputs: Arrays = {
            "patches": np.ascontiguousarray(spread.reshape(len(order), rows, -1), np.float32),
            "positions": positions[order].reshape(len(order), rows, 2),
            "there": np.repeat(there, merge**2, axis=1),
        }
        flat = order.reshape(-1)
        kept = np.flatnonzero(flat >= 0)
        return inputs, kept[np.argsort(flat[kept])]
    inputs = {"patches": np.ascontiguousarray(shaped, np.float32), "positions": positions}
    if sight.table:
        taps, weights = _taps(positions.reshape(-1, 2), grid, sight.table)
        inputs |= {
            "taps": taps.reshape(cells, merge**2, 4),
            "weights": weights.reshape(cells, merge**2, 4),
        }
    return inputs, np.arange(cells)


def text_positions(
    ids: Sequence[int], image_id: int, grids: Sequence[tuple[int, int]], merge: int
) -> Whole:
    """(3, S) time, row and column of every token of a prompt.

    Words advance all three by one; a picture's tokens share a time, count rows and columns from
    it, and what follows goes on from the largest.

    Args:
        image_id: Stands for a cell of a picture; each unbroken run of it is one.
        grids: Patches of each picture, down and across.

    Raises:
        ValueError: The runs are not the pictures' cells.
    """
    given = np.asarray(ids)
    pictured = given == image_id
    starts = np.flatnonzero(np.diff(pictured.astype(np.int8), prepend=0) == 1)
    if len(starts) != len(grids):
        raise ValueError(f"expected {len(grids)} runs of picture tokens, got {len(starts)}")
    found = np.zeros((3, len(given)), np.int64)
    at = 0
    here = 0
    for start, grid in zip(starts, grids, strict=True):
        down, across = grid[0] // merge, grid[1] // merge
        end = start + down * across
        if not pictured[start:end].all() or pictured[end : end + 1].any():
            raise ValueError(f"expected {down * across} picture tokens at {start}, got another run")
        found[:, at:start] = here + np.arange(start - at)
        here += int(start) - at
        row, column = np.divmod(np.arange(down * across), across)
        found[:, start:end] = here + np.stack((np.zeros_like(row), row, column))
        here += max(down, across)
        at = int(end)
    found[:, at:] = here + np.arange(len(given) - at)
    return found


def _patch_positions(down: int, across: int, merge: int) -> Whole:
    """(cells, merge², 2) row and column of every patch, cell by cell."""
    row, column = np.divmod(np.arange(down * across), across)
    inner_row, inner_column = np.divmod(np.arange(merge**2), merge)
    rows = row[:, None] * merge + inner_row
    columns = column[:, None] * merge + inner_column
    return np.stack((rows, columns), axis=-1).astype(np.int64)


def _windows(down: int, across: int, side: int) -> Whole:
    """(windows, side²) cells by number; -1 where a window reaches past the picture's edge."""
    padded = np.full((-(-down // side) * side, -(-across // side) * side), -1, np.int64)
    padded[:down, :across] = np.arange(down * across).reshape(down, across)
    cut = padded.reshape(padded.shape[0] // side, side, padded.shape[1] // side, side)
    return cut.transpose(0, 2, 1, 3).reshape(-1, side**2)


def _taps(positions: Whole, grid: tuple[int, int], side: int) -> tuple[Whole, NDArray[np.float32]]:
    """(P, 4) rows of the learnt grid around each patch, and their bilinear weights; the picture's
    corners are the grid's."""
    ends: list[tuple[Whole, NDArray[np.float32]]] = []
    for axis in (0, 1):
        scale = np.float32(max(grid[axis] - 1, 1))
        place = positions[:, axis].astype(np.float32) * np.float32(side - 1) / scale
        low = np.floor(place)
        tapped = low.astype(np.int64)[:, None] + np.arange(2)
        distance = np.abs((place - low)[:, None] - np.arange(2, dtype=np.float32))
        ends.append((tapped.clip(0, side - 1), (1 - distance).clip(0).astype(np.float32)))
    (rows, of_rows), (columns, of_columns) = ends
    taps = rows[:, :, None] * side + columns[:, None, :]
    weights = of_rows[:, :, None] * of_columns[:, None, :]
    return taps.reshape(-1, 4), weights.reshape(-1, 4)
