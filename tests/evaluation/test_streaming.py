"""Streaming accuracy on a simulated clock."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from streamseg.evaluation import streaming
from streamseg.evaluation.streaming import Output

FPS = 10.0


def test_an_instant_system_answers_every_frame_when_it_is_due() -> None:
    outputs = streaming.simulate(itertools.repeat(0.0), FPS, 5)
    assert [output.frame for output in outputs] == [0, 1, 2, 3, 4]
    assert streaming.newest(outputs, FPS, 5) == [0, 1, 2, 3, 4]


def test_a_fast_system_is_always_one_frame_late() -> None:
    outputs = streaming.simulate(itertools.repeat(0.09), FPS, 5)
    assert [output.frame for output in outputs] == [0, 1, 2, 3, 4]
    assert streaming.newest(outputs, FPS, 5) == [None, 0, 1, 2, 3]


def test_a_slow_system_skips_to_the_newest_frame() -> None:
    outputs = streaming.simulate(itertools.repeat(0.25), FPS, 10)
    assert outputs == [
        Output(0, 0.25),
        Output(2, 0.5),
        Output(5, 0.75),
        Output(7, 1.0),
        Output(9, 1.25),
    ]
    assert streaming.newest(outputs, FPS, 8) == [None, None, None, 0, 0, 1, 1, 1]


def test_the_late_are_scored_against_the_present() -> None:
    """An object that moves its own width a frame: one frame late is nowhere near."""
    truths = []
    for index in range(5):
        mask = np.zeros((20, 60), bool)
        mask[5:15, 10 * index : 10 * index + 10] = True
        truths.append(mask)
    instant = streaming.simulate(itertools.repeat(0.0), FPS, 5)
    late = streaming.simulate(itertools.repeat(0.05), FPS, 5)
    assert streaming.score(instant, FPS, truths, truths.__getitem__).jf == 1.0
    assert streaming.score(late, FPS, truths, truths.__getitem__).j == 0.0


def test_no_output_yet_is_a_miss_even_on_an_empty_truth() -> None:
    empty = np.zeros((20, 60), bool)
    result = streaming.score([Output(0, 0.1)], FPS, [empty, empty], lambda frame: empty)
    assert (result.j, result.f, result.frames) == (0.5, 0.5, 2)


def test_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="order"):
        streaming.newest([Output(0, 1.0), Output(1, 0.5)], FPS, 3)
    with pytest.raises(ValueError, match="above 0"):
        streaming.simulate([0.1], 0.0, 3)
    with pytest.raises(ValueError, match="0 s or more"):
        streaming.simulate([-0.1], FPS, 3)
    with pytest.raises(ValueError, match="at least one frame"):
        streaming.score([], FPS, [], lambda frame: np.zeros((1, 1), bool))
