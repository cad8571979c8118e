"""A file's own pace, on a clock of the test's."""

from __future__ import annotations

import numpy as np
import pytest
from source_tools import ListConnection, picture

from streamseg.sources import StreamEnded
from streamseg.sources.connection import Picture
from streamseg.sources.playing.pacing import PacedConnection


class Time:
    def __init__(self) -> None:
        self.s = 100.0

    def now(self) -> float:
        return self.s

    def sleep(self, seconds: float) -> None:
        self.s += seconds


def shown_at(times: list[float | None], fps: float = 10.0) -> list[float]:
    clock = Time()
    inner = ListConnection([picture(t) for t in times], fps)
    paced = PacedConnection(inner, 25.0, 2.0, clock.now, clock.sleep)
    shown = []
    try:
        while True:
            if paced.read() is not None:
                shown.append(clock.s - 100.0)
    except StreamEnded:
        paced.close()
    assert inner.closed.is_set()
    return shown


def test_pictures_come_at_their_times() -> None:
    assert shown_at([7.0, 7.1, 7.3, 8.3]) == pytest.approx([0.0, 0.1, 0.3, 1.3], abs=1e-6)


def test_missing_stamps_come_at_the_frame_rate() -> None:
    assert shown_at([None, None, None]) == pytest.approx([0.0, 0.1, 0.2], abs=1e-6)


def test_a_jump_is_not_waited_for() -> None:
    assert shown_at([0.0, 500.0, 500.1, 3.0]) == pytest.approx([0.0, 0.1, 0.2, 0.3], abs=1e-6)


def test_a_hold_is_waited_for_and_a_cut_is_not() -> None:
    assert shown_at([0.0, 5.0, 5.1]) == pytest.approx([0.0, 5.0, 5.1], abs=1e-6)
    clock = Time()
    dark = Picture(np.zeros((3, 4, 3), np.uint8), 5_000_000_000)
    paced = PacedConnection(
        ListConnection([picture(0.0), dark], 10.0), 25.0, 2.0, clock.now, clock.sleep
    )
    assert paced.read() is not None
    while paced.read() is None:
        pass
    assert clock.s == pytest.approx(100.1, abs=1e-6)
