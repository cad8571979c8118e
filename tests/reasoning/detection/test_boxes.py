"""Boxes: overlaps, corners, and of doubles of one class the surest."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg.reasoning.detection.boxes import box_ious, corners, select


def test_overlap_is_what_is_shared_of_what_is_covered() -> None:
    box = np.float32([0, 0, 10, 10])
    others = np.float32([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [2, 2, 7, 7]])
    assert box_ious(box, others) == pytest.approx([1.0, 1 / 3, 0.0, 0.25])


def test_centre_and_size_become_corners() -> None:
    found = corners(np.float32([[10, 20, 4, 8]]))
    assert found.tolist() == [[8, 16, 12, 24]]
    assert found.dtype == np.float32


BOXES = np.float32([[0, 0, 10, 10], [1, 0, 11, 10], [0, 1, 10, 11], [40, 40, 50, 50]])
CHANCES = np.float32([[0.6, 0.1], [0.9, 0.2], [0.1, 0.8], [0.25, 0.2]])


def test_doubles_of_one_class_become_the_surest_one() -> None:
    found = select(BOXES, CHANCES, least=0.3, nms=0.5)
    assert found.boxes.tolist() == [[1, 0, 11, 10], [0, 1, 10, 11]]
    assert found.scores == pytest.approx([0.9, 0.8])
    assert found.classes.tolist() == [0, 1]


def test_what_is_below_the_least_is_not_seen() -> None:
    assert len(select(BOXES, CHANCES, least=0.95, nms=0.5)) == 0
    assert len(select(BOXES, CHANCES, least=0.2, nms=0.5)) == 3


def test_where_the_network_sees_to_doubles_none_are_dropped() -> None:
    assert len(select(BOXES, CHANCES, least=0.2, nms=1.0)) == 4


def test_no_boxes_are_no_detections() -> None:
    nothing = select(np.zeros((0, 4), np.float32), np.zeros((0, 3), np.float32), 0.1, 0.5)
    assert nothing.boxes.shape == (0, 4)
    assert len(nothing) == 0
