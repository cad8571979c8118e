"""What a whole video is carried from: the objects cut out of its target frame, under their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from streamseg.propagation.belief import words_fit
from streamseg.propagation.track import Candidate
from streamseg.propagation.tracks import TrackBook
from streamseg.referents import Role, Standing
from streamseg.types import (
    Evidence,
    Frame,
    Grounding,
    Labels,
    Mask,
    Propagated,
    Segmented,
)


@dataclass(frozen=True, slots=True, eq=False)
class Beginning:
    """The objects that a target frame shows.

    Attributes:
        masks: Where they are, and how far each is believed to be there.
        labels, evidence, roles: By id: a few words, what the belief rests on, and what it is to
            the sentence.
        standing: The rule where who is meant may change; it is held against the whole video.
    """

    masks: Propagated
    labels: Mapping[int, str]
    evidence: Mapping[int, Evidence]
    roles: Mapping[int, Role]
    standing: Standing | None = None

    @classmethod
    def of_cuts(
        cls, frame: Frame, grounding: Grounding, cuts: Sequence[Segmented], most: int
    ) -> Beginning | None:
        """From what was cut out for all that an answer points at, in the same order; None where
        that is nothing. Numbered from 1, at most `most`; of two that overlap the earlier is on
        top."""
        pairs = zip(grounding.pointed, cuts, strict=True)
        free = np.ones((frame.height, frame.width), np.bool_)
        labels: Labels = np.zeros(free.shape, np.uint16)
        told: dict[int, str] = {}
        evidence: dict[int, Evidence] = {}
        roles: dict[int, Role] = {}
        for (target, role), cut in pairs:
            mask = cut.mask & free
            if cut.score <= 0 or len(told) == most or not mask.any():
                continue
            number = len(told) + 1
            labels[mask] = number
            free &= ~mask
            told[number] = target.label
            by_kind = grounding.seen is not None
            words = words_fit(grounding, target)
            evidence[number] = Evidence(words, cut.score, by_kind=by_kind)
            roles[number] = role
        if not told:
            return None
        masks = Propagated(labels, dict.fromkeys(told, 1.0))
        return cls(masks, told, evidence, roles, grounding.standing)

    @classmethod
    def from_plain(cls, masks: Propagated, plain: Mapping[str, Any]) -> Beginning:
        """From masks kept and what `as_plain` gave.

        Raises:
            KeyError, TypeError, ValueError: It gave something else.
        """
        told = {int(key): value for key, value in plain["objects"].items()}
        standing = plain["standing"]
        return cls(
            Propagated(masks.labels, dict.fromkeys(told, 1.0)),
            {key: str(value["label"]) for key, value in told.items()},
            {
                key: Evidence(
                    float(value["words"]), float(value["cut"]), by_kind=bool(value["by_kind"])
                )
                for key, value in told.items()
            },
            {key: Role(value["role"]) for key, value in told.items()},
            None if standing is None else Standing.from_plain(standing),
        )

    def as_plain(self) -> dict[str, Any]:
        """All but the masks, ready for JSON."""
        objects = {
            str(key): {
                "label": self.labels[key],
                "words": held.words,
                "cut": held.cut,
                "role": self.roles[key],
                "by_kind": held.by_kind,
            }
            for key, held in self.evidence.items()
        }
        return {
            "objects": objects,
            "standing": None if self.standing is None else asdict(self.standing),
        }

    def enter(self, tracks: TrackBook, frame: Frame, query_id: int) -> Mapping[int, Mask]:
        """Give the objects their ids in an empty book: by id, the masks (H, W) to begin with."""
        candidates = [
            Candidate(
                number,
                self.masks.labels == number,
                self.labels[number],
                held,
                self.roles[number],
            )
            for number, held in sorted(self.evidence.items())
        ]
        merge = tracks.merge(
            frame,
            candidates,
            Propagated(np.zeros_like(self.masks.labels), {}),
            query_id=query_id,
            grounded_frame=frame.index,
            now_ns=frame.pts_ns,
            standing=self.standing,
        )
        by_number = {candidate.lane_id: candidate.mask for candidate in candidates}
        return {track_id: by_number[number] for number, track_id in merge.adopt.items()}
