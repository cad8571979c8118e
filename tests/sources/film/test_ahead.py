"""Work ahead in a thread: the same items, no more than so many, and an end that is heard."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from source_tools import wait_until

from streamseg.sources.film.ahead import Ahead


def test_items_come_in_order_and_no_more_are_made_than_asked_for() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    with Ahead(items(), 2) as ahead:
        wait_until(lambda: len(made) == 2)
        assert next(ahead) == 0
        wait_until(lambda: len(made) == 3)
        assert list(ahead) == list(range(1, 10))
        assert list(ahead) == []


def test_what_making_them_raises_taking_them_raises() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    with Ahead(items(), 3) as ahead:
        assert next(ahead) == 1
        with pytest.raises(ValueError, match="broken"):
            next(ahead)


def test_closing_ends_the_thread_and_what_it_reads() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    before = set(threading.enumerate())
    ahead = Ahead(items(), 1)
    next(ahead)
    ahead.close()
    assert closed.is_set()
    assert set(threading.enumerate()) <= before
    assert list(ahead) == []
