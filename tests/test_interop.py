"""Results in the words of other libraries: the real package supervision, and its absence."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from results import make_result

from streamseg.errors import MissingDependencyError


def test_a_result_becomes_detections() -> None:
    supervision = pytest.importorskip("supervision")
    result = make_result(rectangles={1: (1, 2, 10, 12), 7: (20, 20, 30, 40)}, absent=(3,))
    found = result.to_supervision()
    assert isinstance(found, supervision.Detections)
    assert found.xyxy.tolist() == [[1, 2, 10, 12], [20, 20, 30, 40]]
    assert found.mask.shape == (2, 48, 64)
    assert found.mask.dtype == bool
    assert np.array_equal(found.mask[1], result.masks.mask(7))
    assert found.area.tolist() == [90, 200]
    assert found.confidence.tolist() == pytest.approx([0.93, 0.93])
    assert found.tracker_id.tolist() == [1, 7]
    assert found["class_name"].tolist() == ["mug", "mug"]


def test_a_result_without_objects_becomes_no_detections() -> None:
    pytest.importorskip("supervision")
    found = make_result(absent=(3,)).to_supervision()
    assert len(found) == 0
    assert found.mask.shape == (0, 48, 64)
    assert found.xyxy.shape == (0, 4)


def test_detections_can_be_drawn() -> None:
    supervision = pytest.importorskip("supervision")
    result = make_result(rectangles={1: (1, 2, 10, 12)})
    before = result.frame.image.copy()
    drawn = supervision.MaskAnnotator().annotate(before.copy(), result.to_supervision())
    changed = (drawn != before).any(axis=2)
    assert np.array_equal(changed, result.masks.mask(1))


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(MissingDependencyError, match=r"streamseg\[supervision\]"):
        make_result().to_supervision()
