"""Takes a camera away and measures how long after its return the pictures are back."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streamseg.sources import Source

_GIVE_UP_S = 60.0


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes beside that take all the processor they can get."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def recovery_s(
    source: Source, gone: Callable[[], object], back: Callable[[], object], outage_s: float
) -> float:
    """Seconds from the moment when the camera serves again to its first picture.

    Args:
        gone: Takes the camera away.
        back: Brings it back; returns once it serves.
    """
    while (frame := source.read(0.25)) is None:
        pass
    epoch = frame.epoch
    gone()
    away_s = time.monotonic() + outage_s
    while time.monotonic() < away_s:
        frame = source.read(0.05)
        epoch = epoch if frame is None else frame.epoch
    back()
    begun_s = time.monotonic()
    while (passed_s := time.monotonic() - begun_s) < _GIVE_UP_S:
        frame = source.read(0.05)
        if frame is not None and frame.epoch > epoch:
            return passed_s
    return float("inf")
