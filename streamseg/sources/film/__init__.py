"""Films: pictures with an end that can be read more than once, from any frame on.

A film is read through once from its beginning, which numbers its frames; from then on any stretch
of it can be read again, forwards or backwards, without ever holding more than a bounded part.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from streamseg.sources import Source
from streamseg.types import Image, SourceInfo


class Reel(Protocol):
    """What a film is made of. Used by one thread at a time; frames are known by their number."""

    @property
    def info(self) -> SourceInfo:
        """What is known before the first reading."""

    def first_reading(self) -> Source:
        """All frames in order, once; the reel notes what it needs to find them again."""

    def read_from(self, at: int) -> Iterator[Image]:
        """The pictures from frame `at` on. Only of frames that the first reading gave.

        Raises:
            SourceError: They cannot be read any more.
        """

    def entry(self, at: int) -> int:
        """The frame at or before `at` from which on reading costs nothing but itself."""

    def close(self) -> None:
        """Let go of what is open. May be called twice."""
