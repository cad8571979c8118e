"""What other threads ask of a running stream, kept until its next frame."""

from __future__ import annotations

import threading

from streamseg.errors import QueryError
from streamseg.types import Query, Target


def check_query(text: object, limit: int) -> None:
    """Refuse what cannot be a query.

    Raises:
        QueryError: It shows nothing, has more than `limit` characters, or is no valid text.
    """
    if not isinstance(text, str):
        raise QueryError(f"expected the query as text, got {text!r:.60}")
    if len(text) > limit:
        raise QueryError(f"the query has {len(text)} characters; at most {limit} are allowed")
    if not any(mark.isprintable() and not mark.isspace() for mark in text):
        raise QueryError('the query is empty: say what to find, such as --query "the blue mug"')
    if any("\ud800" <= mark <= "\udfff" for mark in text):
        raise QueryError("the query is not valid text: give it in UTF-8")


class Inbox:
    """Any thread puts in, the loop takes out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._query: Query | None = None
        self._query_count = 0
        self._targets: list[Target] = []
        self._removed: list[int] = []
        self._stopped = False  # no lock: a signal handler may set it at any moment

    @property
    def stopped(self) -> bool:
        """The stream is asked to end."""
        return self._stopped

    def start(self, query: str | None) -> None:
        """Begin a run: what was asked of an earlier one is forgotten."""
        self._stopped = False
        with self._lock:
            self._query, self._removed = None, []
        if query is not None:
            self.set_query(query)

    def set_query(self, text: str) -> None:
        with self._lock:
            self._query_count += 1
            self._query = Query(text.strip(), self._query_count)

    def add_target(self, target: Target) -> None:
        with self._lock:
            self._targets.append(target)

    def remove_target(self, track_id: int) -> None:
        with self._lock:
            self._removed.append(track_id)

    def stop(self) -> None:
        self._stopped = True

    def take(self) -> tuple[Query | None, list[Target], list[int]]:
        """The newest query, the targets to add and the ids to remove since the last call."""
        with self._lock:
            taken = self._query, self._targets, self._removed
            self._query, self._targets, self._removed = None, [], []
        return taken
