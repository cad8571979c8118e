"""What a merged answer changed, as counters and in words."""

from __future__ import annotations

from collections.abc import Iterator

from streamseg.propagation.verdicts import Merge

_CHANGES = ("refound", "added", "retired", "given_up", "confirmed")


def counts(merge: Merge) -> Iterator[tuple[str, int]]:
    """Names of counters, and by how much each grows."""
    for name in _CHANGES:
        if ids := getattr(merge, name):
            yield f"tracks {name}", len(ids)
    for name, count in (
        ("overruled", merge.overruled),
        ("held back", merge.held_back),
        ("turned away", merge.turned_away),
    ):
        if count:
            yield f"objects {name}", count


def told(merge: Merge, most: int, *, by_hand: bool) -> Iterator[tuple[str, str]]:
    """Kinds of events and their messages.

    Args:
        most: Objects that can be followed at a time.
        by_hand: It was pointed at, not asked for.
    """
    for name in _CHANGES:
        if ids := getattr(merge, name):
            yield f"track_{name}", f"{name}: {', '.join(map(str, ids))}"
    if merge.turned_away:
        yield "tracks_full", f"no room: {most} objects are followed already"
    elif by_hand and not (merge.adopt or merge.confirmed):
        yield "target_missed", "nothing was found where it was pointed at"
