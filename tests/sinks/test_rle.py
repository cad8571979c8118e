"""Our run-length encoding is pycocotools', bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from streamseg.sinks import rle

SHAPES = st.tuples(st.integers(1, 24), st.integers(1, 24))


@given(arrays(np.uint16, SHAPES, elements=st.integers(0, 3)), st.integers(1, 3))
def test_any_mask_is_encoded_as_pycocotools_does(labels: np.ndarray, track_id: int) -> None:
    mask = labels == track_id
    encoded = rle.encode(labels, track_id)
    if not mask.any():
        assert encoded is None
        return
    expected = coco.encode(np.asfortranarray(mask))
    assert encoded == {"size": list(labels.shape), "counts": expected["counts"].decode()}
    np.testing.assert_array_equal(rle.decode(encoded), mask)


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (slice(0, 30), slice(0, 40)),
        (slice(0, 30), slice(3, 9)),
        (slice(5, 30), slice(3, 9)),
        (slice(0, 7), slice(30, 40)),
        (slice(29, 30), slice(39, 40)),
    ],
    ids=["whole", "full height", "down to the edge", "top right", "last pixel"],
)
def test_rectangles_at_the_borders(rows: slice, columns: slice) -> None:
    labels = np.zeros((30, 40), np.uint16)
    labels[rows, columns] = 300
    expected = coco.encode(np.asfortranarray(labels == 300))
    encoded = rle.encode(labels, 300)
    assert encoded is not None
    assert encoded["counts"] == expected["counts"].decode()
