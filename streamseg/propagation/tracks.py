"""Tracks: which object is which, under ids never reused, and how far each mask can be believed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from streamseg.config import TracksConfig
from streamseg.propagation.areas import bounding_box, iou
from streamseg.propagation.belief import drift_seen, faded, renewed, steady, unnamed, words_fit
from streamseg.propagation.identity import Signature, signature
from streamseg.propagation.shifting.roles import Roles
from streamseg.propagation.sight import Trail, held_by, hold
from streamseg.propagation.track import Candidate, Track
from streamseg.propagation.verdicts import Merge, Sight, Source
from streamseg.referents import Role, Standing
from streamseg.types import (
    Box,
    Frame,
    Grounding,
    Mask,
    MaskSet,
    Propagated,
    Sighting,
    TrackState,
)

AGREEMENT_IOU = 0.85
"""A grounded mask that overlaps a healthy track this far confirms it; the track keeps its own."""

MAX_ID = int(np.iinfo(np.uint16).max)
"""Labels are uint16. An endless stream that has used all ids begins again with the oldest."""

NOBODY: tuple[int, ...] = ()

_LEARN_EVERY = 5
_LEARN_WEIGHT = 0.1


class TrackBook:
    """All tracks of a run, live and lost."""

    def __init__(self, config: TracksConfig) -> None:
        self._config = config
        self._tracks: dict[int, Track] = {}
        self._next_id = 1
        self._updates = 0
        self._trail = Trail()
        self._roles = Roles()
        self._denied: int | None = None
        """The query of which the deep reasoner said that there is no such object."""
        self.grounded_ns: int | None = None
        self.query_id: int | None = None
        """The query in force. What only an older one named is shown as uncertain until an answer
        says whether the new one means it too."""

    def __len__(self) -> int:
        return len(self._tracks)

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Every track, oldest first."""
        return tuple(self._tracks.values())

    @property
    def shown(self) -> Iterator[Track]:
        """Those that are meant: the rest of a cast is carried along unseen."""
        return (track for track in self._tracks.values() if track.role is Role.MEANT)

    @property
    def shifting(self) -> bool:
        """Who is meant by the query answered last may change, and is watched."""
        return self._roles.known

    @property
    def waiting(self) -> bool:
        """A cast is followed of whom nobody is meant now."""
        cast = any(t.role is Role.CAST and t.visible for t in self._tracks.values())
        return self._roles.known and cast and not any(True for _ in self.shown)

    def take_shift(self) -> frozenset[int] | None:
        """Ids meant now, where that changed since last asked, empty for nobody; None where not."""
        return self._roles.news()

    @property
    def state(self) -> TrackState:
        """The best state among the tracks shown; `searching` when there are none."""
        states = {track.state for track in self.shown}
        for state in (TrackState.TRACKING, TrackState.UNCERTAIN, TrackState.LOST):
            if state in states:
                return state
        return TrackState.SEARCHING

    @property
    def newest_grounded_frame(self) -> int | None:
        """The newest keyframe that a track not lost rests on; None without one."""
        live = (t.grounded_frame for t in self.shown if t.state is not TrackState.LOST)
        return max(live, default=None)

    def update(self, frame: Frame, propagated: Propagated, now_ns: int) -> MaskSet:
        """Take the propagator's word for a frame: states, boxes, looks. Called once or, after an
        adoption, twice a frame."""
        least = self._least(frame)
        self._updates += 1
        for track in self._tracks.values():
            score = propagated.scores.get(track.id, 0.0)
            mask = propagated.labels == track.id if score > 0.0 else None
            track.box = None if mask is None else bounding_box(mask, least)
            track.evidence = replace(track.evidence, carried=self._carried(track, score, now_ns))
            track.state = self._judge(track)
            if track.visible:
                track.seen_ns = now_ns
                self._learn(track, frame, mask)
        self._trail.note(frame.index, {t.id: t.box for t in self._tracks.values() if t.box})
        self._roles.update(frame, propagated.labels, self._tracks.values(), now_ns)
        return self.view(propagated)

    def view(self, propagated: Propagated) -> MaskSet:
        """The tracks as a result shows them."""
        labels = self._roles.shown(propagated.labels, self._tracks.values())
        return MaskSet(labels, tuple(track.view() for track in self.shown))

    def witness(self, index: int, seen: Sequence[Sighting], query_id: int) -> Sight | None:
        """Hold the tracks of a query against all that was seen of their kinds on frame `index`.

        What is cut out since then is not judged. None when that frame is forgotten.
        """
        then = self._trail.at(index)
        if then is None:
            return None
        held = hold(then, seen)
        doubted = []
        for track_id, support in held.supports.items():
            track = self._tracks.get(track_id)
            judged = track is not None and track.query_id == query_id and not track.held
            if track is None or not judged or track.shown_since > index:
                continue
            if support < track.witnessed and track.state is TrackState.TRACKING:
                doubted.append(track_id)
            track.witnessed = renewed(track.witnessed, support)
        return Sight(tuple(doubted), held.unheld)

    def merge(
        self,
        frame: Frame,
        candidates: Sequence[Candidate],
        propagated: Propagated,
        *,
        query_id: int | None,
        grounded_frame: int,
        now_ns: int,
        strict: bool = False,
        cannot_tell: bool = False,
        considered: bool = False,
        denies: bool = False,
        standing: Standing | None = None,
    ) -> Merge:
        """Fit an answer into the tracks.

        An object that overlaps a live track confirms it, and its fresh cut takes the place of the
        track's mask where it is believed as much; one that looks like a lost track takes its id
        back; any other is new. A visible track of the same query that the answer does not confirm
        is doubted. After `retire_after_misses` such answers it ends, or is lost where they name
        nothing in its place; until then it also holds back the object they name instead, so that
        one wrong answer moves nothing. Tracks of an older query end at once, unless named.

        The deep reasoner's answer is considered: it ends what only the fast one named, at once.
        What it chose, an answer of the fast one renews where they overlap, but neither doubts nor
        adds to while it is to be seen, nor while it was "no such object", until a cut.

        Args:
            query_id: The query answered; None for a target pointed at by hand, which only adds.
            grounded_frame: Index of the answer's keyframe.
            strict: A cut in the scene: the first answer that does not confirm ends a track.
            cannot_tell: The answer speaks neither for nor against any track of its query.
            considered: It is the deep reasoner's, asked besides the fast one.
            denies: It says that there is no such object.
            standing: The answer's rule where who is meant may change; none then contradicts.
        """
        about = query_id, grounded_frame, now_ns, frame.index, considered
        source = Source(*about, shifting=standing is not None)
        self._roles.take(standing, query_id)
        self.grounded_ns = now_ns
        boxes = {c.lane_id: bounding_box(c.mask, self._least(frame)) for c in candidates}
        seen = [c for c in candidates if boxes[c.lane_id] is not None]
        matched = self._match_live(seen, propagated)
        admitted = unmatched = [c for c in seen if c.lane_id not in matched]
        retired, given_up, ruled = NOBODY, NOBODY, False
        if query_id is not None:
            ruled = self._ruled(source, strict, denies)
            limit = None if cannot_tell else 1 if strict else self._config.retire_after_misses
            retired, given_up, upheld = self._judge_unconfirmed(
                set(matched.values()), source, limit, ruled, bool(unmatched)
            )
            admitted = [] if ruled else unmatched[0 if source.shifting else upheld :]
        adopt = self._renew(matched, seen, propagated, source)
        confirmed = sorted(set(matched.values()) - set(adopt.values()))
        back, added = self._admit(frame, admitted, boxes, adopt, source)
        seen_of = tuple(back), tuple(added), tuple(confirmed)
        held_back, overruled = len(unmatched) - len(admitted), len(unmatched) if ruled else 0
        away = len(admitted) - len(back) - len(added)
        return Merge(adopt, retired, *seen_of, given_up, held_back, overruled, away)

    def agree(self, index: int, grounding: Grounding, query_id: int, now_ns: int) -> Merge | None:
        """Take an answer that only says again what is shown: every box that it points at on frame
        `index` is that of a believed track, cut out not long ago, and of each such track there is
        one. No cut is worth its time then. None where that is not so, and nothing is changed."""
        then = self._trail.at(index) or {}
        mine = [t for t in self._tracks.values() if t.query_id == query_id and t.visible]
        boxes = {track.id: then[track.id] for track in mine if track.id in then}
        held = held_by(boxes, [target.box for target, _ in grounding.pointed])
        fresh_ns = now_ns - self._config.halves_in_s * 1e9
        sure = (t.state is TrackState.TRACKING and t.cut_ns > fresh_ns for t in mine)
        if held is None or len(held) != len(mine) or not all(sure):
            return None
        source = Source(query_id, index, now_ns, index, shifting=grounding.standing is not None)
        self._roles.take(grounding.standing, query_id)
        self.grounded_ns = now_ns
        for key, (target, role) in zip(held, grounding.pointed, strict=True):
            words = words_fit(grounding, target)
            self._confirm(self._tracks[key], target.label, words, role, source)
        return Merge({}, confirmed=tuple(sorted(held)))

    def of_query(self, query_id: int, masks: MaskSet) -> MaskSet:
        """The same masks, with only those objects that answers to this query named."""
        named = {track.id for track in self._tracks.values() if track.query_id == query_id}
        return MaskSet(masks.labels, tuple(view for view in masks.objects if view.id in named))

    def remove(self, ids: Iterable[int]) -> None:
        """End tracks; unknown ids are ignored."""
        for track_id in ids:
            self._tracks.pop(track_id, None)

    def lose_all(self) -> None:
        """A new epoch: nothing is where it was, but what is lost may come back."""
        self._denied = None
        self._roles.new_epoch()
        self._lose(self._tracks)
        self._trail.clear()
        for track in self._tracks.values():
            track.look = track.look and track.look.elsewhere()

    def _least(self, frame: Frame) -> float:
        """Pixels below which a mask counts as not seen."""
        return max(4.0, self._config.min_area_fraction * frame.width * frame.height)

    def forget_old(self, now_ns: int) -> list[int]:
        """End tracks lost for too long, and the longest lost past the cap; return their ids."""
        limit_ns = int(self._config.forget_lost_s * 1e9)
        lost = sorted(
            (t for t in self._tracks.values() if t.state is TrackState.LOST),
            key=lambda track: track.seen_ns,
        )
        excess = max(0, len(self._tracks) - self._config.max_tracks)
        gone = [
            track.id
            for position, track in enumerate(lost)
            if position < excess or now_ns - track.seen_ns > limit_ns
        ]
        self.remove(gone)
        return gone

    def _carried(self, track: Track, score: float, now_ns: int) -> float:
        """The propagator's word, no more than what fresh cuts have shown it to be worth by now, nor
        than how far what is seen supports it."""
        shown = min(track.witnessed, steady(track.drift, (now_ns - track.cut_ns) / 1e9))
        # It may be as bad as that and still be seen: only the propagator loses an object.
        return float(min(score, max(shown, self._config.lost_score)))

    def _judge(self, track: Track) -> TrackState:
        """`tracking` takes each of three witnesses, and all together; else a mask is uncertain."""
        held = track.evidence
        if track.box is None or held.carried < self._config.lost_score:
            return TrackState.LOST
        witnesses = (
            held.carried >= self._config.uncertain_score,
            held.words >= self._config.least_words,
            held.cut >= self._config.least_cut,
            track.evidence.belief >= self._config.least_belief,
            not self._outdated(track),
        )
        return TrackState.TRACKING if all(witnesses) else TrackState.UNCERTAIN

    def _outdated(self, track: Track) -> bool:
        named_for = track.query_id
        return (
            not track.held and None not in (named_for, self.query_id) and named_for != self.query_id
        )

    def _learn(self, track: Track, frame: Frame, mask: Mask | None) -> None:
        due = track.look is None or (self._updates + track.id) % _LEARN_EVERY == 0
        if not due or mask is None or track.box is None or track.state is not TrackState.TRACKING:
            return
        look = signature(frame.image, mask, track.box)
        if look is not None:
            track.look = look if track.look is None else track.look.blend(look, _LEARN_WEIGHT)

    def _match_live(self, seen: Sequence[Candidate], propagated: Propagated) -> dict[int, int]:
        live = [track.id for track in self._tracks.values() if track.box is not None]
        if not live or not seen:
            return {}
        table = np.array(
            [[iou(c.mask, propagated.labels == track_id) for track_id in live] for c in seen]
        )
        rows, columns = linear_sum_assignment(-table)
        return {
            seen[row].lane_id: live[column]
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
            if table[row, column] >= self._config.match_iou
        }

    def _renew(
        self,
        matched: Mapping[int, int],
        seen: Sequence[Candidate],
        propagated: Propagated,
        source: Source,
    ) -> dict[int, int]:
        """Confirm every track matched; lane ids whose cuts take the place of its mask."""
        adopt: dict[int, int] = {}
        for candidate in (c for c in seen if c.lane_id in matched):
            track = self._tracks[matched[candidate.lane_id]]
            if self._takes(track, candidate, propagated, source):
                adopt[candidate.lane_id] = track.id
            self._confirm(track, *candidate.told, source)
        return adopt

    def _ruled(self, source: Source, strict: bool, denies: bool) -> bool:
        """Whether what the deep reasoner chose stands against this answer; notes what it chose."""
        if strict:
            self._denied = None
            for track in self._tracks.values():
                track.considered = False
        if source.considered:
            self._denied = source.query_id if denies else None
            return False
        chosen = (t for t in self._tracks.values() if t.considered and t.visible)
        return self._denied == source.query_id or any(
            track.query_id == source.query_id for track in chosen
        )

    def _judge_unconfirmed(
        self, confirmed: set[int], source: Source, limit: int | None, ruled: bool, rivals: bool
    ) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        """Count misses, unless `limit` is None. Whoever has so many ends where there are rivals,
        and is lost where not; what an older query alone named ends.

        Returns:
            Ids ended, ids lost, and how many visible tracks of the query stand unconfirmed.
        """
        outdated: list[int] = []
        doubted: list[int] = []
        standing = 0
        for track in self._tracks.values():
            if track.id in confirmed or track.held:
                continue
            if track.query_id != source.query_id:
                outdated.append(track.id)
            elif track.visible and limit is not None and not (ruled and track.considered):
                if limit > 1 and track.missed_lately(source, self._config.halves_in_s):
                    standing += 1
                    continue
                track.misses, track.missed_ns = track.misses + 1, source.now_ns
                words = unnamed(track.words, track.misses)
                track.evidence = replace(track.evidence, words=words)
                if track.misses >= limit or (source.considered and not track.considered):
                    doubted.append(track.id)
                else:
                    standing += 1
        rivals = rivals and not ruled
        ended, lost = (outdated + doubted, []) if rivals else (outdated, doubted)
        self.remove(ended)
        self._lose(lost)
        return tuple(ended), tuple(lost), standing

    def _lose(self, ids: Iterable[int]) -> None:
        for track_id in ids:
            track = self._tracks[track_id]
            track.box, track.state = None, TrackState.LOST
            track.evidence = replace(track.evidence, carried=0.0)

    def _confirm(self, track: Track, label: str, told: float, role: Role, source: Source) -> None:
        query_id = source.query_id
        self._roles.confirmed(track, role, source.shifting)
        if track.query_id != query_id or source.considered:
            words = told
        else:
            words = track.words if track.considered else renewed(track.words, told)
        track.considered = source.considered or (track.considered and track.query_id == query_id)
        track.words = max(words, track.words) if track.held else words
        track.misses = 0
        track.evidence = replace(track.evidence, words=track.words)
        track.grounded_frame = max(track.grounded_frame, source.grounded_frame)
        if label and (query_id is None or not track.held):
            track.label = label
        track.held = track.held or query_id is None
        if query_id is not None:
            track.query_id = query_id

    def _takes(
        self,
        track: Track,
        candidate: Candidate,
        propagated: Propagated,
        source: Source,
    ) -> bool:
        """Whether a fresh cut takes the place of a track's own mask; notes what it says of that.
        What a hand points at does."""
        own, fresh = track.evidence, candidate.evidence
        if track.considered and not source.considered:  # what it is is settled: the cut counts
            fresh = replace(fresh, words=max(fresh.words, track.words))
        overlap = iou(candidate.mask, propagated.labels == track.id)
        age_s = (source.now_ns - track.cut_ns) / 1e9
        sure = track.state is TrackState.TRACKING and age_s < self._config.halves_in_s
        if source.shifting and sure:  # asked for who else is there: things that cross cut badly
            return False
        if overlap >= AGREEMENT_IOU and own.carried >= self._config.uncertain_score:
            takes, cut = False, max(own.cut, fresh.cut)
        elif source.query_id is None or fresh.belief + self._config.fresh_margin >= faded(
            track.evidence.belief, age_s, self._config.halves_in_s
        ):
            takes, cut = True, fresh.cut
        else:  # Two cuts that differ: one of them is wrong, and it may be the track's.
            track.evidence = replace(own, cut=renewed(own.cut, min(own.cut, overlap)))
            return False
        track.drift = renewed(track.drift, drift_seen(overlap, age_s))
        track.evidence, track.cut_ns = replace(own, cut=cut), source.now_ns
        if takes:
            track.shown_since = source.frame
            track.witnessed = renewed(track.witnessed, 1.0)
        return takes

    def _admit(
        self,
        frame: Frame,
        admitted: Sequence[Candidate],
        boxes: Mapping[int, Box | None],
        adopt: dict[int, int],
        source: Source,
    ) -> tuple[list[int], list[int]]:
        """Give each admitted candidate a lost track's id or a new one, noting it in `adopt`."""
        refound: list[int] = []
        added: list[int] = []
        for candidate in admitted:
            box = boxes[candidate.lane_id]
            look = None if box is None else signature(frame.image, candidate.mask, box)
            track = self._find_lost(look, set(adopt.values()), source.now_ns)
            if track is not None:
                refound.append(track.id)
                self._confirm(track, *candidate.told, source)
            elif self._full:
                continue
            else:
                track = Track(
                    self._new_id(),
                    source.query_id,
                    candidate.label,
                    source.grounded_frame,
                    look=look,
                    role=candidate.role,
                )
                track.held = source.query_id is None
                self._tracks[track.id] = track
                added.append(track.id)
            track.box, track.evidence = box, candidate.evidence
            track.cut_ns, track.drift = source.now_ns, 0.0
            track.shown_since, track.witnessed = frame.index, 1.0
            track.words = candidate.evidence.words
            track.considered = source.considered
            track.state = self._judge(track)
            adopt[candidate.lane_id] = track.id
        return refound, added

    @property
    def _full(self) -> bool:
        """No place for a new one, not even a lost one's."""
        shown = sum(track.state is not TrackState.LOST for track in self._tracks.values())
        return shown >= self._config.max_tracks

    def _new_id(self) -> int:
        while True:
            fresh, self._next_id = self._next_id, self._next_id % MAX_ID + 1
            if fresh not in self._tracks:
                return fresh

    def _find_lost(self, look: Signature | None, taken: set[int], now_ns: int) -> Track | None:
        best, best_likeness = None, self._config.refind_similarity
        for track in self._tracks.values():
            if track.state is not TrackState.LOST or track.id in taken:
                continue
            if look is None or track.look is None:
                continue
            gone_s = (now_ns - track.seen_ns) / 1e9
            likeness = track.look.similarity(look) * track.look.nearness(look, gone_s)
            if likeness >= best_likeness:
                best, best_likeness = track, likeness
        return best
