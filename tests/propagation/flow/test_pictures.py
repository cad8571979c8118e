"""What is derived from pictures is shared between the loop and a replay beside it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from builders import frame

from streamseg.propagation.flow.pictures import picture


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads that take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_threads")
def test_the_ring_measures_a_picture_while_a_replay_adds_to_it() -> None:
    shown = frame(0)
    small = picture(shown, 64, 64)
    colours = (np.zeros(8, np.uint16), np.zeros(8, np.float32))
    done = threading.Event()

    def replay() -> None:
        while not done.is_set():
            for level in range(10, 200):
                small._colours[level] = colours
            small._colours.clear()

    thread = threading.Thread(target=replay)
    thread.start()
    try:
        for _ in range(3000):
            assert shown.nbytes >= shown.image.nbytes
    finally:
        done.set()
        thread.join()


def test_colours_are_given_back_and_made_anew_when_asked_for() -> None:
    shown = frame(0)
    small = picture(shown, 64, 64)
    bare = shown.nbytes
    bins = small.bins(0).copy()
    assert shown.nbytes > bare
    small.forget_colours()
    assert shown.nbytes == bare
    assert np.array_equal(small.bins(0), bins)
