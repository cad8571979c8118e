"""Weights in eight or four bits: in blocks along the summed axis, each with a scale; numbers alone.

The layout is that of ONNX Runtime's MatMulNBits without zero points (a weight w is stored as
w / scale + half, the first of two in a byte in its lower bits). In four bits each block's scale is
the one of several that leaves the least squared error, weighing nothing else.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
"""Weights that share a scale: the finest that every provider has kernels for."""
_SHRUNK = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75)
"""Of the scale that just holds a block's largest weight: the smaller, the finer the others are."""
_ROWS = 1024
"""Of a matrix at a time, for the memory's sake."""


def blocks(matrix: NDArray[np.float32], bits: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A matrix (N, K) in blocks.

    Args:
        bits: 4 or 8.

    Returns:
        (N, blocks, bytes of one) uint8 and the scales (N, blocks) float32.
    """
    count, summed = matrix.shape
    parts = -(-summed // BLOCK)
    packed = np.empty((count, parts, BLOCK * bits // 8), np.uint8)
    scales = np.empty((count, parts), np.float32)
    for start in range(0, count, _ROWS):
        rows = matrix[start : start + _ROWS]
        padded = np.pad(rows, ((0, 0), (0, parts * BLOCK - summed)))
        whole, scale = _rounded(padded.reshape(len(rows), parts, BLOCK), bits)
        scales[start : start + _ROWS] = scale
        pairs = whole[..., ::2] | whole[..., 1::2] << 4 if bits == 4 else whole
        packed[start : start + _ROWS] = pairs
    return packed, scales


def table(rows: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A table (N, H) that rows are read of, in int8 with a scale (N, 1) each."""
    scale = np.maximum(np.abs(rows).max(axis=1, keepdims=True), np.float32(1e-12)) / np.float32(127)
    return np.rint(rows / scale).astype(np.int8), scale.astype(np.float32)


def _rounded(
    weights: NDArray[np.float32], bits: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Weights (rows, blocks, BLOCK) stored, and their scales (rows, blocks)."""
    half = 1 << (bits - 1)
    largest = np.take_along_axis(weights, np.abs(weights).argmax(axis=2)[..., None], 2)
    # The half below nought holds one more: the largest goes there, whatever its sign.
    full = np.where(largest == 0, np.float32(1), largest / np.float32(-half))
    found = least = None
    for share in _SHRUNK if bits == 4 else (1.0,):
        scale = full * np.float32(share)
        whole = np.rint(weights / scale).clip(-half, half - 1)
        error = np.square(whole * scale - weights).sum(axis=2)
        if found is None or least is None:
            found, least = (whole, scale), error
            continue
        better = error < least
        least = np.where(better, error, least)
        found = tuple(
            np.where(better[..., None], new, old)
            for new, old in zip((whole, scale), found, strict=True)
        )
    assert found is not None
    whole, scale = found
    return (whole + half).astype(np.uint8), scale[..., 0].astype(np.float32)
