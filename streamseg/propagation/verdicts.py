"""What an answer, or a look, means for the tracks: plain records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """Where candidates come from: see `TrackBook.merge`."""

    query_id: int | None
    grounded_frame: int
    now_ns: int
    frame: int
    considered: bool = False
    shifting: bool = False


@dataclass(frozen=True, slots=True)
class Merge:
    """What an answer means for the tracks.

    Attributes:
        adopt: Lane id to track id, for the propagator.
        retired: Ids that ended.
        refound: Ids that were lost and are back.
        added: Ids that are new.
        confirmed: Ids that the answer names too and that keep their own mask: it agrees with the
            fresh cut, or is believed more.
        given_up: Ids that are lost, for answers go on without them and name nothing in their place.
        held_back: Candidates that contradict a track not yet given up.
        overruled: Of those held back, those that the fast reasoner names and the deep one did not.
        turned_away: Candidates for whom there was no place among `max_tracks`.
    """

    adopt: Mapping[int, int]
    retired: tuple[int, ...] = ()
    refound: tuple[int, ...] = ()
    added: tuple[int, ...] = ()
    confirmed: tuple[int, ...] = ()
    given_up: tuple[int, ...] = ()
    held_back: int = 0
    overruled: int = 0
    turned_away: int = 0

    @property
    def gone(self) -> tuple[int, ...]:
        """Ids that are not to be carried any more."""
        return self.retired + self.given_up


@dataclass(frozen=True, slots=True)
class Sight:
    """What a witness's look means.

    Attributes:
        doubted: Ids that were believed and are not supported.
        unheld: Things surely seen that no track holds.
    """

    doubted: tuple[int, ...]
    unheld: int
