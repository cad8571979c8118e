"""A track: one object's identity over time, and what is known of how far to believe it; and what
may become one.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamseg.propagation.calibration import probability
from streamseg.propagation.identity import Signature
from streamseg.propagation.verdicts import Source
from streamseg.referents import Role
from streamseg.types import CERTAIN, Box, Evidence, Mask, TrackState, TrackView


@dataclass(slots=True, eq=False)
class Track:
    """One object's identity over time.

    Attributes:
        query_id: The newest query that an answer named it for; None without one.
        held: A person or robot pointed at it: no answer of the reasoner may end it.
        considered: The deep reasoner chose it: no answer of the fast one may end it.
        grounded_frame: Index of the keyframe that its mask rests on.
        words: How far it answers to the sentence by the answers that named it (`Evidence.words`
            is less where later ones did not).
        misses: Groundings in a row that did not confirm it.
        missed_ns: When the newest of them was counted.
        seen_ns: When it was last seen.
        cut_ns: When its mask was last cut out afresh, or found to agree with a fresh cut.
        drift: How fast its mask was found to leave the object between fresh cuts, a second.
        shown_since: Index of the frame on which its mask was last cut out afresh.
        witnessed: How far what was seen of its kind supports it, in [0, 1]; 1 without a witness.
        role: What it is to the sentence; only what is meant is shown.
        named: Answers that named it.
    """

    id: int
    query_id: int | None
    label: str
    grounded_frame: int
    evidence: Evidence = CERTAIN
    state: TrackState = TrackState.TRACKING
    box: Box | None = None
    held: bool = False
    considered: bool = False
    words: float = 1.0
    misses: int = 0
    missed_ns: int = 0
    seen_ns: int = 0
    cut_ns: int = 0
    drift: float = 0.0
    shown_since: int = 0
    witnessed: float = 1.0
    look: Signature | None = None
    role: Role = Role.MEANT
    named: int = 1

    @property
    def visible(self) -> bool:
        return self.box is not None and self.state is not TrackState.LOST

    def missed_lately(self, source: Source, spell_s: float) -> bool:
        """Whether an answer without it says no more than the one before: who else may be meant is
        asked for twice a second, and things that cross are one region for longer than that."""
        apart_s = (source.now_ns - self.missed_ns) / 1e9
        return source.shifting and not source.considered and self.misses > 0 and apart_s < spell_s

    def view(self) -> TrackView:
        """As a result shows it."""
        score = probability(self.evidence)
        return TrackView(self.id, score, self.state, self.box, self.label, self.evidence)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """An object of an answer, carried to the present: `lane_id` there, its mask (H, W) now, and
    what it is to the sentence."""

    lane_id: int
    mask: Mask
    label: str = ""
    evidence: Evidence = CERTAIN
    role: Role = Role.MEANT

    @property
    def told(self) -> tuple[str, float, Role]:
        """What an answer says of it: a few words, how far they fit, and what it is to them."""
        return self.label, self.evidence.words, self.role
