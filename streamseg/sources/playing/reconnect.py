"""How long to wait before each new attempt to connect; knows nothing of connections."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

Schedule = Callable[[], Iterator[float]]
"""Makes the waits in seconds before the first, second, … attempt; endless."""

_STEPS = ((1.0, 5), (5.0, 5), (10.0, 10))
_FOR_EVER_S = 60.0


def growing_waits() -> Iterator[float]:
    """For a source that never answered yet: 1 s five times, 5 s five times, 10 s ten times, then
    60 s for ever."""
    for wait_s, times in _STEPS:
        yield from itertools.repeat(wait_s, times)
    yield from itertools.repeat(_FOR_EVER_S)


def short_waits() -> Iterator[float]:
    """For a source that has worked, and may be back any moment: half a second, then 1 s for ever.

    Pictures are to be there 3 s after a camera is, and connecting takes its time.
    """
    yield 0.5
    yield from itertools.repeat(1.0)
