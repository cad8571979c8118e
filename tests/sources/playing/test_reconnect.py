"""The waits between attempts."""

from __future__ import annotations

import itertools

from streamseg.sources.playing.reconnect import growing_waits, short_waits


def test_waits_grow_and_never_end() -> None:
    waits = growing_waits()
    assert list(itertools.islice(waits, 20)) == [1.0] * 5 + [5.0] * 5 + [10.0] * 10
    assert set(itertools.islice(waits, 1000)) == {60.0}


def test_what_has_worked_is_never_left_for_long() -> None:
    assert list(itertools.islice(short_waits(), 1000)) == [0.5] + [1.0] * 999
