"""True masks from files, and which sentence they are about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import box_mask

from streamseg.errors import UsageError
from streamseg.evaluation import truths
from streamseg.evaluation.truths import Truth

LEFT, RIGHT = (4, 4, 24, 24), (34, 4, 54, 24)
TRUE_LEFT, TRUE_RIGHT = (5.0, 3.0, 24.0, 25.0), (34.0, 4.0, 54.0, 24.0)


def _both() -> np.ndarray:
    return (box_mask(LEFT) + 2 * box_mask(RIGHT)).astype(np.uint8)


def _written(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_labels_are_of_every_frame_from_the_first_on(tmp_path: Path) -> None:
    truth = truths.read(_written(tmp_path / "a.npz", labels=np.stack([_both(), 0 * _both()])))
    assert truth.ids() == (1, 2)
    masks = truth.masks((2,))
    assert np.array_equal(masks[0], box_mask(RIGHT))
    assert not masks[1].any()
    assert np.array_equal(truth.masks((1, 2))[0], box_mask(LEFT) | box_mask(RIGHT))


def test_packed_masks_are_of_the_frames_named(tmp_path: Path) -> None:
    mask = box_mask((1, 1, 6, 6), (13, 7))
    bits = np.packbits(mask.reshape(1, -1), axis=-1)
    path = _written(tmp_path / "a.npz", index=[40], shape=[7, 13], bits=bits)
    truth = truths.read(path)
    assert np.array_equal(truth.masks((1,))[40], mask)


@pytest.mark.parametrize(
    "arrays",
    [
        {"masks": np.zeros(3)},
        {"labels": np.zeros((2, 4), np.uint8)},
        {"labels": np.zeros((2, 4, 4))},
        {"index": [1, 2], "shape": [4, 4], "bits": np.zeros((1, 2), np.uint8)},
        {"index": [1], "shape": [4], "bits": np.zeros((1, 2), np.uint8)},
        {"index": [1], "shape": [9, 9], "bits": np.zeros((1, 2))},
    ],
)
def test_a_file_of_neither_form_is_one_line(tmp_path: Path, arrays: dict[str, Any]) -> None:
    path = _written(tmp_path / "a.npz", **arrays)
    with pytest.raises(UsageError, match="expected labels") as raised:
        truths.read(path)
    assert "\n" not in str(raised.value)


def test_what_is_no_file_of_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(UsageError, match="cannot read the true masks"):
        truths.read(path)
    path.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(UsageError, match=r"a\.npz: expected labels"):
        truths.read(path)


def test_the_file_of_a_clip_bears_its_name(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a_truth.npz", "a_b_mug.npz", "ab_mug.npz")]
    clips = ["a", "a_b", "ab"]
    assert [path.name for path in truths.of_clip(paths, "a", clips)] == ["a_truth.npz"]
    assert [path.name for path in truths.of_clip(paths, "a_b", clips)] == ["a_b_mug.npz"]


def _truth() -> Truth:
    return Truth("a.npz", {0: _both(), 10: _both()})


@pytest.mark.parametrize(
    ("boxes", "ids"),
    [
        ({0: [TRUE_LEFT]}, (1,)),
        ({0: [TRUE_LEFT], 10: [TRUE_LEFT]}, (1,)),
        ({0: [TRUE_RIGHT, TRUE_LEFT]}, (1, 2)),
        ({13: [TRUE_RIGHT]}, (2,)),  # near enough
        ({0: [], 10: [TRUE_RIGHT]}, (2,)),
        ({30: [TRUE_LEFT]}, ()),  # no mask near
        ({0: [TRUE_LEFT], 10: [TRUE_RIGHT]}, ()),  # now one, now another
        ({0: [(4.0, 4.0, 24.0, 12.0)]}, ()),  # a part of it
        ({0: [(4.0, 4.0, 24.0, 16.0)]}, ()),  # a larger part of it
        ({0: [TRUE_LEFT, (0.0, 30.0, 9.0, 40.0)]}, ()),
        ({0: []}, ()),
    ],
)
def test_a_sentence_means_the_objects_that_its_boxes_are_around(
    boxes: dict[int, list[tuple[float, float, float, float]]], ids: tuple[int, ...]
) -> None:
    assert truths.meant(boxes, _truth()) == ids
