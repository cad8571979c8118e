"""COCO run-length encoding straight from an index map, without a full-frame copy per object.

COCO (Lin et al. 2014; pycocotools' maskApi) counts runs down the columns, background first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from streamseg.types import Labels, Mask


def encode(labels: Labels, track_id: int) -> dict[str, Any] | None:
    """Compressed RLE of one id: {"size": [H, W], "counts": str}, None when it has no pixels.

    Only the object's bounding box is transposed and scanned for runs; pycocotools compresses
    the counts. The result is the one that `pycocotools.mask.encode` gives for the whole mask.
    """
    mask = labels == track_id
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return None
    y0, y1 = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[y0:y1].any(axis=0))
    x0, x1 = int(columns[0]), int(columns[-1]) + 1
    height, width = labels.shape
    edges = _edges(mask[y0:y1, x0:x1], x0, y0, height)
    counts = np.diff(edges, prepend=0, append=height * width)
    if not counts[-1]:
        counts = counts[:-1]
    uncompressed = {"size": [height, width], "counts": counts.tolist()}
    encoded = coco.frPyObjects(uncompressed, height, width)
    return {"size": [height, width], "counts": encoded["counts"].decode("ascii")}


def _edges(crop: Mask, x0: int, y0: int, height: int) -> NDArray[np.int64]:
    """Where runs begin and end, as column-major positions in the whole picture.

    A gap row below the crop ends a run at its column's end; a crop as high as the picture has
    none, as there a run goes on into the next column.
    """
    crop_height, crop_width = crop.shape
    stride = crop_height + (crop_height < height)
    columns = np.zeros((crop_width, stride), np.bool_)
    columns[:, :crop_height] = crop.T
    flat = columns.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat[0]:
        changes = np.concatenate(([0], changes))
    column, row = np.divmod(changes, stride)
    edges: NDArray[np.int64] = (x0 + column) * height + y0 + row
    if flat[-1]:
        edges = np.append(edges, (x0 + crop_width) * height)
    return edges


def decode(rle: Mapping[str, Any]) -> Mask:
    """The (H, W) bool mask of a compressed RLE.

    Raises:
        ValueError: The runs do not fill the size that it states.
    """
    height, width = rle["size"]
    runs = _runs(rle["counts"])
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise ValueError(f"RLE runs do not fill {height} x {width} pixels")
    inside = np.arange(len(runs)) % 2 == 1
    columns: Mask = np.repeat(inside, runs).reshape(width, height)
    return columns.T


def _runs(counts: str) -> list[int]:
    """Run lengths of COCO's string: 5 bits a letter from "0", lowest first, the 6th says "more".

    Each number is signed, and from the fourth on relative to the one before the last.
    """
    runs: list[int] = []
    value = shift = 0
    for code in counts.encode("ascii"):
        bits = code - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    return runs
