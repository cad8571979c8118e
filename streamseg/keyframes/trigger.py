"""When the reasoner is asked, and why: rarely, and never without a reason that can be read.

It knows nothing of pictures or tracks, only of the signals taken from them; time comes in with
each call, so that a replay decides alike. VideoSeg-R1 asks once per video; everything here is
what a stream without an end needs beyond that.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from streamseg.config import DifficultyConfig, TriggerConfig
from streamseg.keyframes.difficulty import mode, token_budget
from streamseg.keyframes.waits import Wait
from streamseg.types import GroundingMode, TriggerReason

_DOUBTED, _SURE = 0.5, 0.9
"""Scores of the worst track at which the next look comes soonest, and at its ordinary time."""
_LOOKS = 2.0
"""A look as a witness rests for so long as the last one took, its own time included."""
_WITNESS_SHARE = 0.7
"""Of the budget, up to which looks are taken: the rest is for questions."""


@dataclass(frozen=True, slots=True)
class TriggerSignals:
    """What is known on one frame.

    Attributes:
        busy: A request is in flight.
        replaying: An answer is being caught up: a witness may look meanwhile, nothing be asked.
        new_query: This is the first frame under another query.
        frames_seen: Frames of this epoch so far, this one included.
        needs_motion: The query cannot be answered from one frame (`QueryWords.needs_motion`).
        n_live: Tracks that show a mask.
        n_lost: Tracks that are lost.
        worst_score: Lowest score among the live ones.
        scene_change: `Change.cut`.
        relevance: Text relevance, None on frames where it was not taken.
        grounding_age_s: Since the newest grounding that a live track rests on; None without one.
        difficulty: D in [1, 10].
        shifting: Who is meant may change: it is asked again in short, for others may have come.
        waiting: Those who may be meant are followed, and nobody is meant now: nothing is missing.
    """

    busy: bool = False
    replaying: bool = False
    new_query: bool = False
    frames_seen: int = 1
    needs_motion: bool = False
    n_live: int = 0
    n_lost: int = 0
    worst_score: float = 1.0
    scene_change: float = 0.0
    relevance: float | None = None
    grounding_age_s: float | None = None
    difficulty: float = 1.0
    shifting: bool = False
    waiting: bool = False

    @property
    def missing(self) -> int:
        """Objects to look for: the lost ones, or one while there are no tracks at all."""
        if self.waiting and not self.n_lost:
            return 0
        return self.n_lost if self.n_live + self.n_lost else 1


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do on one frame.

    Attributes:
        reason: Why to ask now; None: do not ask.
        mode, token_budget: How to ask, from the difficulty.
        why: The reason for asking, or for not asking, in a few words.
    """

    reason: TriggerReason | None
    mode: GroundingMode
    token_budget: int
    why: str


class Trigger:
    """Decides frame by frame; told of every answer by `answered`.

    Args:
        config: Thresholds, waits and the compute budget.
        difficulty: How a difficulty becomes a mode and a token budget.
        warmup_frames: Frames to see before a query that needs motion is asked
            (`sampler.warmup_frames`).
    """

    def __init__(
        self, config: TriggerConfig, difficulty: DifficultyConfig, warmup_frames: int
    ) -> None:
        self._config = config
        self._difficulty = difficulty
        self._warmup_frames = warmup_frames
        self._budget = _Budget(config.budget_fraction * config.budget_window_s, config)
        self._asked_s = -math.inf
        self._asked_for: TriggerReason | None = None
        self._looked_s, self._look_cost_s, self._unheld = -math.inf, 0.0, 0.0
        self._forget()

    def reset(self) -> None:
        """A new epoch: what was seen counts no more; cool-down and budget go on. What is lost was
        lost by the break and does not come back by itself: it is asked for without a wait."""
        self._forget(lost_since_s=-math.inf)

    def decide(self, signals: TriggerSignals, now_ns: int) -> Decision:
        """Decide on one frame, at clock time `now_ns`."""
        now_s = now_ns / 1e9
        self._observe(signals, now_s)
        reason, why = self._wish(signals, now_s)
        if reason is None:
            why = f"nothing: {why}"
        elif (hindrance := self._hindrance(reason, signals, now_s)) is not None:
            why = f"{reason}, but {hindrance}"
        else:
            self._ask(reason, signals, now_s)
            return self._decision(reason, signals, why)
        if self._witness_due(signals, now_s):
            self._looked_s = now_s
            return Decision(TriggerReason.WITNESS, GroundingMode.WITNESS, 0, why)
        return self._decision(None, signals, why)

    def answered(self, found: bool, cost_s: float, now_ns: int) -> None:
        """The request that was fired last is over.

        Args:
            found: The answer named an object; False also for an error.
            cost_s: What it cost the reasoner, for the budget.
        """
        now_s = now_ns / 1e9
        self._budget.spend(cost_s, now_s)
        self._found = found
        if self._asked_for is TriggerReason.DRIFT:
            self._drift_retry.begin(now_s)
        else:
            # Also when something was found: a track that comes of it resets the wait, and an
            # object that cannot be cut out, or another than the lost one, must not be asked for
            # at the full rate.
            self._search_retry.begin(now_s)

    def spent(self, cost_s: float, now_ns: int) -> None:
        """An answer was cut out and carried to the present, which took this long."""
        self._budget.spend(cost_s, now_ns / 1e9)

    def witnessed(self, able: bool, doubted: bool, unheld: int, cost_s: float, now_ns: int) -> None:
        """The look that was fired last is over.

        Args:
            able: Whoever looked can see things of the kinds meant; no more looks are taken if not.
            doubted: A track that was believed is not supported: the next look comes at once.
            unheld: Things surely seen that no track holds; one more of them is a reason to ask for
                what is missing.
            cost_s: What it took.
        """
        self._budget.spend(cost_s, now_ns / 1e9)
        self._look_cost_s = cost_s
        self._witnessing, self._doubted = able, doubted
        # Half a thing more than of late: one that the detector misses now and then is no news, and
        # another than the lost one must not be asked for at every look.
        if unheld >= self._unheld + 0.5:
            self._search_retry.reset()
        self._unheld = max(float(unheld), self._unheld - 0.25)

    def _forget(self, lost_since_s: float | None = None) -> None:
        config = self._config
        self._witnessing = True
        self._doubted = False
        self._unheld = 0.0
        self._looked_s = -math.inf
        self._look_cost_s = 0.0
        self._query_waiting = self._cut_waiting = False
        self._missing = 1
        self._lost_since_s = lost_since_s
        self._drifting_since_s: float | None = None
        self._relevance: float | None = None
        self._relevance_floor = math.inf
        self._found = True
        self._search_retry = Wait(config.search_retry_s, config.search_retry_cap_s)
        self._drift_retry = Wait(config.search_retry_s, config.search_retry_cap_s)

    def _observe(self, signals: TriggerSignals, now_s: float) -> None:
        config = self._config
        if signals.new_query:
            self._forget()
            self._query_waiting = True
        if signals.scene_change > config.scene_cut:
            self._cut_waiting = True
        if signals.missing != self._missing:
            # Found again, or one more is gone: either way the old waits are about something else.
            self._search_retry.reset()
            self._missing, self._unheld = signals.missing, 0.0
        if signals.n_lost == 0:
            self._lost_since_s = None
        elif self._lost_since_s is None:
            self._lost_since_s = now_s
        self._observe_drift(signals, now_s)
        if signals.relevance is not None:
            self._relevance = signals.relevance
            self._relevance_floor = min(self._relevance_floor, signals.relevance)

    def _observe_drift(self, signals: TriggerSignals, now_s: float) -> None:
        """Hysteresis: drifting begins below `drift_score` and ends above `drift_recovered`."""
        if signals.n_live == 0 or signals.worst_score > self._config.drift_recovered:
            self._drifting_since_s = None
            self._drift_retry.reset()
        elif signals.worst_score < self._config.drift_score and self._drifting_since_s is None:
            self._drifting_since_s = now_s

    def _wish(self, signals: TriggerSignals, now_s: float) -> tuple[TriggerReason | None, str]:
        """The most pressing reason to ask, if there is one, and words for it or for its absence."""
        if self._query_waiting:
            return TriggerReason.NEW_QUERY, "new query"
        if self._cut_waiting:
            return TriggerReason.SCENE_CUT, "scene cut"
        quiet = []
        for wish in (self._wish_missing, self._wish_drift, self._wish_refresh):
            reason, why = wish(signals, now_s)
            if reason is not None:
                return reason, why
            quiet.append(why)
        return None, ", ".join(filter(None, quiet))

    def _wish_missing(
        self, signals: TriggerSignals, now_s: float
    ) -> tuple[TriggerReason | None, str]:
        if (signals.n_live or signals.waiting) and not signals.n_lost:
            return None, ""
        rise = 0.0 if self._relevance is None else self._relevance - self._relevance_floor
        if rise >= self._config.relevance_peak:
            return TriggerReason.RELEVANCE, f"relevance rose by {rise:.2f}"
        if (left_s := self._search_retry.left_s(now_s)) > 0:
            after = "an answer" if self._found else "no such object"
            return None, f"asked again in {left_s:.1f} s after {after}"
        if not signals.n_lost:
            return TriggerReason.NO_TARGET, "no target yet"
        lost_s = 0.0 if self._lost_since_s is None else now_s - self._lost_since_s
        if lost_s < self._config.lost_after_s:
            return None, f"lost for only {lost_s:.1f} s"
        since = f"for {lost_s:.1f} s" if math.isfinite(lost_s) else "at a break"
        return TriggerReason.LOST, f"{signals.n_lost} lost {since}"

    def _wish_drift(
        self, signals: TriggerSignals, now_s: float
    ) -> tuple[TriggerReason | None, str]:
        if self._drifting_since_s is None:
            return None, ""
        drifting_s = now_s - self._drifting_since_s
        if drifting_s < self._config.drift_after_s or self._drift_retry.left_s(now_s) > 0:
            return None, ""
        return TriggerReason.DRIFT, f"score {signals.worst_score:.2f}, low for {drifting_s:.1f} s"

    def _wish_refresh(
        self, signals: TriggerSignals, now_s: float
    ) -> tuple[TriggerReason | None, str]:
        age_s = signals.grounding_age_s
        if age_s is None or not (signals.n_live or signals.waiting):
            return None, f"{signals.n_live} tracked"
        due_s = self._refresh_s(signals.worst_score)
        if signals.shifting:
            due_s = min(due_s, self._config.shift_s)
        # An answer that refreshed nothing leaves the age as it is: count from the asking too.
        left_s = due_s - min(age_s, now_s - self._asked_s)
        if left_s > 0:
            return None, f"{signals.n_live} tracked, refresh in {left_s:.1f} s"
        if signals.shifting:
            return TriggerReason.SHIFT, f"who is meant may change, asked {age_s:.1f} s ago"
        return TriggerReason.REFRESH, f"grounded {age_s:.1f} s ago"

    def _refresh_s(self, worst_score: float) -> float:
        """The less the worst track is believed, the sooner it is looked at again."""
        config = self._config
        soonest_s = min(config.doubt_refresh_s, config.refresh_s)
        sure = (worst_score - _DOUBTED) / (_SURE - _DOUBTED)
        return soonest_s + (config.refresh_s - soonest_s) * min(1.0, max(0.0, sure))

    def _witness_due(self, signals: TriggerSignals, now_s: float) -> bool:
        config = self._config
        if not config.witness_s or not self._witnessing or signals.busy:
            return False
        if self._query_waiting or self._cut_waiting:  # the answer to come is held against nothing
            return False
        wait_s = max(0.0 if self._doubted else config.witness_s, _LOOKS * self._look_cost_s)
        if now_s - self._looked_s < wait_s:
            return False
        return self._budget.exhausted(now_s, _WITNESS_SHARE) is None

    def _hindrance(
        self, reason: TriggerReason, signals: TriggerSignals, now_s: float
    ) -> str | None:
        """What keeps a wish from being granted; a new query waits for neither rest nor budget."""
        if signals.busy or signals.replaying:
            return "a request is in flight"
        first = reason in (TriggerReason.NEW_QUERY, TriggerReason.NO_TARGET, TriggerReason.LOST)
        if first and signals.needs_motion and signals.frames_seen < self._warmup_frames:
            return f"watching motion, frame {signals.frames_seen} of {self._warmup_frames}"
        if reason is TriggerReason.NEW_QUERY:
            return None
        if (rest_s := self._asked_s + self._config.cooldown_s - now_s) > 0:
            return f"cooling down {rest_s:.1f} s"
        return self._budget.exhausted(now_s)

    def _ask(self, reason: TriggerReason, signals: TriggerSignals, now_s: float) -> None:
        self._asked_s, self._asked_for = now_s, reason
        self._looked_s = now_s
        if reason in (TriggerReason.RELEVANCE, TriggerReason.SCENE_CUT):
            self._search_retry.reset()
        self._query_waiting = self._cut_waiting = False
        self._relevance_floor = math.inf if self._relevance is None else self._relevance

    def _decision(
        self, reason: TriggerReason | None, signals: TriggerSignals, why: str
    ) -> Decision:
        difficulty = signals.difficulty
        return Decision(
            reason=reason,
            mode=mode(difficulty, self._difficulty),
            token_budget=token_budget(difficulty, self._difficulty),
            why=why,
        )


class _Budget:
    """Seconds of the reasoner spent within a sliding window, against what may be spent."""

    def __init__(self, allowed_s: float, config: TriggerConfig) -> None:
        self._allowed_s = allowed_s
        self._window_s = config.budget_window_s
        self._spent: deque[tuple[float, float]] = deque()

    def spend(self, cost_s: float, now_s: float) -> None:
        self._spent.append((now_s, cost_s))

    def exhausted(self, now_s: float, share: float = 1.0) -> str | None:
        """Words when a share of it is used up, None when it is not."""
        while self._spent and self._spent[0][0] <= now_s - self._window_s:
            self._spent.popleft()
        spent_s = sum(cost_s for _, cost_s in self._spent)
        if spent_s < share * self._allowed_s or not self._spent:
            return None
        return (
            f"{spent_s:.1f} s of reasoning in the last {self._window_s:g} s, "
            f"allowed {self._allowed_s:g}"
        )
