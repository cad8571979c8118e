"""True masks of a clip, read from .npz, and which of them a sentence is about.

Two forms: `labels` (N, H, W) integers, 0 = background, from frame 0 on; or a single object's
masks on some frames, `index` (N,), `shape` (N, H, W) or (H, W), and `bits` (N, …) uint8, each mask
flattened and packed by `np.packbits`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from streamseg.errors import UsageError
from streamseg.evaluation import metrics
from streamseg.types import Box, Mask

NEAR_FRAMES = 5
"""A mask so many frames from an annotated one still tells whether both mean the same thing."""
LEAST_IOU = 0.5
MEAN_IOU = 0.7
"""Least and mean agreement, by boxes, of an object's masks with the sentence's boxes."""


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """One file's objects.

    Attributes:
        name: The file's.
        labels: By frame index, (H, W) integers, 0 = background.
    """

    name: str
    labels: Mapping[int, NDArray[np.integer]]

    def masks(self, ids: Sequence[int]) -> dict[int, Mask]:
        """The union (H, W) of some of its objects, by frame index."""
        return {index: np.isin(labels, ids) for index, labels in self.labels.items()}

    def ids(self) -> tuple[int, ...]:
        """Every object that shows on some frame."""
        found = {int(each) for labels in self.labels.values() for each in np.unique(labels)}
        return tuple(sorted(found - {0}))


def read(path: Path) -> Truth:
    """Read a file of true masks.

    Raises:
        UsageError: No such file, or of neither form.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            if "labels" in stored:
                return Truth(path.name, dict(enumerate(_integers(stored["labels"]))))
            masks = _unpacked(stored["bits"], stored["shape"])
            pairs = zip(stored["index"].tolist(), masks, strict=True)
            return Truth(path.name, {int(index): mask for index, mask in pairs})
    except OSError as error:
        raise UsageError(f"cannot read the true masks {path}: {error.strerror or error}") from None
    except (KeyError, ValueError, IndexError, TypeError, zipfile.BadZipFile) as error:
        raise UsageError(
            f"{path}: expected labels (N, H, W), or index, shape and bits; {error}"
        ) from None


def _integers(labels: NDArray[np.generic]) -> NDArray[np.integer]:
    if labels.ndim != 3 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"got labels {labels.shape} {labels.dtype}")
    return labels.astype(np.uint16, copy=False)


def _unpacked(bits: NDArray[np.uint8], shape: NDArray[np.integer]) -> NDArray[np.integer]:
    height, width = (int(side) for side in shape[-2:])
    return np.unpackbits(bits, axis=-1, count=height * width).reshape(-1, height, width)


def of_clip(paths: Iterable[Path], clip: str, clips: Iterable[str]) -> list[Path]:
    """The files named CLIP_….npz; where one clip's name begins another's, the longer one has it."""
    longer = tuple(f"{other}_" for other in clips if other.startswith(f"{clip}_"))
    named = (path for path in paths if path.name.startswith(f"{clip}_"))
    return sorted(path for path in named if not path.name.startswith(longer))


def meant(boxes: Mapping[int, Sequence[Box]], truth: Truth) -> tuple[int, ...]:
    """The objects of a file that the true boxes are around; none unless every box says so.

    Args:
        boxes: The sentence's, by frame index.
    """
    chosen: set[tuple[int, ...]] = set()
    agreements: list[float] = []
    for index, around in boxes.items():
        near = min(truth.labels, key=lambda frame: abs(frame - index), default=None)
        if not around or near is None or abs(near - index) > NEAR_FRAMES:
            continue
        extents = _extents(truth.labels[near])
        pairs = metrics.matched(around, list(extents.values()), LEAST_IOU)
        if len(pairs) < len(around):
            return ()
        chosen.add(tuple(sorted(list(extents)[ours] for _, ours, _ in pairs)))
        agreements += [iou for _, _, iou in pairs]
    return chosen.pop() if len(chosen) == 1 and fmean(agreements) >= MEAN_IOU else ()


def _extents(labels: NDArray[np.integer]) -> dict[int, Box]:
    found: dict[int, Box] = {}
    for each in np.unique(labels):
        if each:
            box = metrics.extent(labels == each)
            assert box is not None
            found[int(each)] = box
    return found
