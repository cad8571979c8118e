"""The trigger: each reason when it is due, none when it is not, and always a reason in words."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamseg.config import Config, TriggerConfig
from streamseg.keyframes.trigger import Decision, Trigger, TriggerSignals
from streamseg.types import GroundingMode, TriggerReason

CONFIG = Config().trigger
FPS = 30
TRACKING = TriggerSignals(
    frames_seen=100, n_live=1, worst_score=0.9, relevance=0.5, grounding_age_s=1.0
)
SEARCHING = TriggerSignals(frames_seen=100, relevance=0.5)
LOST = replace(SEARCHING, n_lost=1)


class Stream:
    """Plays frames to a trigger at 30 fps and answers what it asks."""

    def __init__(self, **config: object) -> None:
        self.config = TriggerConfig.model_validate(config)
        self.trigger = Trigger(self.config, Config().difficulty, warmup_frames=6)
        self.now_ns = 0
        self.asked: list[tuple[float, TriggerReason]] = []

    @property
    def now_s(self) -> float:
        return self.now_ns / 1e9

    def frame(self, signals: TriggerSignals) -> Decision:
        self.now_ns += 1_000_000_000 // FPS
        decision = self.trigger.decide(signals, self.now_ns)
        assert decision.why
        if decision.reason is not None:
            self.asked.append((self.now_s, decision.reason))
        return decision

    def play(
        self, seconds: float, signals: TriggerSignals, *, found: bool = True, cost_s: float = 0.0
    ) -> list[TriggerReason]:
        """Show the same signals for a while, each question answered at once."""
        start = len(self.asked)
        for _ in range(round(seconds * FPS)):
            if self.frame(signals).reason is not None:
                self.trigger.answered(found, cost_s, self.now_ns)
        return [reason for _, reason in self.asked[start:]]

    def gaps_s(self) -> list[float]:
        times = [at_s for at_s, _ in self.asked]
        return [later - earlier for earlier, later in pairwise(times)]


def test_the_first_frame_asks_when_the_query_needs_no_motion() -> None:
    decision = Stream().frame(TriggerSignals(new_query=True, frames_seen=1))
    assert decision.reason is TriggerReason.NEW_QUERY


def test_a_query_that_needs_motion_waits_for_it() -> None:
    stream = Stream()
    reasons = []
    for seen in range(1, 8):
        decision = stream.frame(
            TriggerSignals(new_query=seen == 1, needs_motion=True, frames_seen=seen)
        )
        reasons.append(decision.reason)
        if seen == 3:
            assert decision.why == "new query, but watching motion, frame 3 of 6"
    assert reasons == [None] * 5 + [TriggerReason.NEW_QUERY, None]


def test_a_healthy_track_is_left_alone_until_it_is_refreshed() -> None:
    stream = Stream()
    stream.frame(replace(TRACKING, new_query=True))
    for tenth in range(100):
        reasons = stream.play(0.1, replace(TRACKING, grounding_age_s=tenth / 10))
        if tenth < 80:
            assert reasons == []
    assert [reason for _, reason in stream.asked[1:]] == [TriggerReason.REFRESH]


def test_a_refresh_that_refreshes_nothing_is_not_repeated_at_once() -> None:
    stream = Stream()
    asked = stream.play(20.0, replace(TRACKING, grounding_age_s=99.0))
    assert asked == [TriggerReason.REFRESH] * 3
    assert min(stream.gaps_s()) >= CONFIG.refresh_s


def test_a_search_in_vain_grows_slower_up_to_the_cap() -> None:
    stream = Stream()
    assert set(stream.play(30.0, SEARCHING, found=False)) == {TriggerReason.NO_TARGET}
    waits = [0.5, 1.0, 2.0] + [4.0] * 5
    assert stream.gaps_s()[:8] == pytest.approx(waits, abs=2 / FPS)


def test_an_answer_that_never_becomes_a_track_slows_down_too() -> None:
    stream = Stream()
    stream.play(10.0, SEARCHING, found=True)
    assert stream.gaps_s()[-1] == pytest.approx(4.0, abs=2 / FPS)


def test_a_lost_target_is_asked_for_after_a_moment() -> None:
    stream = Stream()
    stream.play(2.0, TRACKING)
    assert stream.play(0.15, LOST) == []
    assert stream.play(0.3, LOST) == [TriggerReason.LOST]
    assert stream.play(2.0, TRACKING) == []


def test_one_lost_among_the_living_is_asked_for_and_ever_more_rarely() -> None:
    stream = Stream(refresh_s=1000.0)
    asked = stream.play(30.0, replace(TRACKING, n_lost=1), found=True)
    assert set(asked) == {TriggerReason.LOST}
    assert stream.gaps_s()[-1] == pytest.approx(4.0, abs=2 / FPS)


def test_another_loss_is_asked_for_without_the_old_wait() -> None:
    stream = Stream()
    stream.play(8.0, LOST, found=False)
    stream.play(0.5, replace(TRACKING))
    assert stream.play(0.3, LOST, found=False) == [TriggerReason.LOST]


def test_the_refresh_goes_on_while_something_else_stays_lost() -> None:
    stream = Stream(search_retry_cap_s=1000.0, search_retry_s=1000.0)
    signals = replace(TRACKING, n_lost=1, grounding_age_s=99.0)
    assert TriggerReason.REFRESH in stream.play(20.0, signals)


def test_rising_relevance_ends_the_wait_while_something_is_missing() -> None:
    stream = Stream()
    stream.play(9.0, replace(SEARCHING, relevance=0.1), found=False)
    asked_s = stream.asked[-1][0]
    stream.play(0.6, replace(SEARCHING, relevance=0.1), found=False)
    assert stream.play(0.1, replace(SEARCHING, relevance=0.3), found=False) == []
    assert stream.play(0.1, replace(SEARCHING, relevance=0.6), found=False) == [
        TriggerReason.RELEVANCE
    ]
    assert stream.now_s - asked_s < CONFIG.search_retry_cap_s
    assert stream.play(0.4, replace(SEARCHING, relevance=0.6), found=False) == []


def test_rising_relevance_is_no_reason_while_nothing_is_missing() -> None:
    stream = Stream()
    stream.play(1.0, replace(TRACKING, relevance=0.0))
    assert stream.play(2.0, replace(TRACKING, relevance=1.0)) == []


def test_a_cut_is_asked_about_once_and_remembered_while_busy() -> None:
    stream = Stream()
    stream.play(2.0, TRACKING)
    busy = replace(TRACKING, busy=True)
    decision = stream.frame(replace(busy, scene_change=0.9))
    assert decision.reason is None
    assert decision.why == "scene cut, but a request is in flight"
    assert stream.play(0.3, busy) == []
    assert stream.play(2.0, TRACKING) == [TriggerReason.SCENE_CUT]


@pytest.mark.parametrize(
    ("score", "wait_s"), [(1.0, 8.0), (0.9, 8.0), (0.8, 6.25), (0.7, 4.5), (0.5, 1.0), (0.4, 1.0)]
)
def test_the_less_a_track_is_believed_the_sooner_it_is_looked_at_again(
    score: float, wait_s: float
) -> None:
    stream = Stream()
    asked = stream.play(20.0, replace(TRACKING, worst_score=score, grounding_age_s=99.0))
    assert set(asked) == {TriggerReason.REFRESH}
    assert stream.gaps_s()[0] == pytest.approx(wait_s, abs=2 / FPS)


def test_doubt_waits_for_cool_down_and_budget() -> None:
    stream = Stream(cooldown_s=2.0)
    stream.play(20.0, replace(TRACKING, worst_score=0.4, grounding_age_s=99.0))
    assert min(stream.gaps_s()) >= 2.0
    costly = Stream()
    asked = costly.play(20.0, replace(TRACKING, worst_score=0.4, grounding_age_s=99.0), cost_s=2.0)
    assert len(asked) <= 6


def test_doubt_never_makes_a_look_later() -> None:
    stream = Stream(refresh_s=0.5)
    stream.play(5.0, replace(TRACKING, worst_score=0.4, grounding_age_s=99.0))
    assert max(stream.gaps_s()) == pytest.approx(0.5, abs=2 / FPS)


def test_drift_has_hysteresis() -> None:
    stream = Stream(doubt_refresh_s=CONFIG.refresh_s)
    between = replace(TRACKING, worst_score=0.45)
    low = replace(TRACKING, worst_score=0.3)
    assert stream.play(5.0, between) == []
    assert stream.play(0.4, low) == []
    assert stream.play(0.4, TRACKING) == []
    assert stream.play(0.2, low) == []
    assert stream.play(0.4, between) == [TriggerReason.DRIFT]


def test_drift_that_stays_is_asked_about_ever_more_rarely() -> None:
    stream = Stream(refresh_s=1000.0, doubt_refresh_s=1000.0)
    assert set(stream.play(20.0, replace(TRACKING, worst_score=0.1))) == {TriggerReason.DRIFT}
    assert stream.gaps_s()[-1] == pytest.approx(4.0, abs=2 / FPS)


def test_the_cooldown_holds_everything_but_a_new_query() -> None:
    stream = Stream(cooldown_s=3.0)
    stream.frame(replace(SEARCHING, new_query=True))
    assert stream.play(1.0, replace(SEARCHING, scene_change=0.9)) == []
    decision = stream.frame(SEARCHING)
    assert decision.reason is None
    assert decision.why.startswith("scene cut, but cooling down 2.0 s")
    assert stream.frame(replace(SEARCHING, new_query=True)).reason is TriggerReason.NEW_QUERY


def test_the_compute_budget_holds_everything_but_a_new_query() -> None:
    stream = Stream(budget_fraction=0.25, budget_window_s=20.0, search_retry_cap_s=0.5)
    stream.play(60.0, SEARCHING, found=False, cost_s=2.0)
    for start in range(40):
        cost_s = sum(2.0 for at_s, _ in stream.asked if start <= at_s < start + 20)
        assert cost_s <= 0.25 * 20.0 + 2.0
    assert len(stream.asked) >= 6
    while stream.frame(SEARCHING).reason is not None:
        stream.trigger.answered(False, 9.0, stream.now_ns)
    stream.trigger.answered(False, 9.0, stream.now_ns)
    stream.play(0.6, SEARCHING)
    assert "of reasoning in the last 20 s, allowed 5" in stream.frame(SEARCHING).why
    assert stream.frame(replace(SEARCHING, new_query=True)).reason is TriggerReason.NEW_QUERY


def test_a_new_epoch_forgets_waits_and_cuts() -> None:
    stream = Stream()
    stream.play(9.0, SEARCHING, found=False)
    stream.frame(replace(SEARCHING, scene_change=0.9, busy=True))
    stream.trigger.reset()
    assert stream.play(1.0, SEARCHING, found=False)[0] is TriggerReason.NO_TARGET


def test_difficulty_becomes_mode_and_budget() -> None:
    easy = Stream().frame(replace(SEARCHING, difficulty=2.0))
    hard = Stream().frame(replace(SEARCHING, difficulty=9.0))
    assert easy.mode is GroundingMode.FAST
    assert hard.mode is GroundingMode.REASONING
    assert easy.token_budget < hard.token_budget


signals = st.builds(
    TriggerSignals,
    busy=st.booleans(),
    new_query=st.sampled_from([False] * 9 + [True]),
    frames_seen=st.integers(1, 20),
    needs_motion=st.booleans(),
    n_live=st.integers(0, 2),
    n_lost=st.integers(0, 2),
    worst_score=st.floats(0, 1),
    scene_change=st.floats(0, 1),
    relevance=st.none() | st.floats(0, 1),
    grounding_age_s=st.none() | st.floats(0, 20),
    difficulty=st.floats(1, 10),
)


@settings(max_examples=200)
@given(st.lists(st.tuples(signals, st.integers(1, 2_000_000_000), st.booleans()), max_size=40))
def test_what_always_holds(history: list[tuple[TriggerSignals, int, bool]]) -> None:
    one, other = (Trigger(CONFIG, Config().difficulty, 6) for _ in range(2))
    now_ns, asked_ns = 0, -10_000_000_000
    for shown, step_ns, found in history:
        now_ns += step_ns
        decision = one.decide(shown, now_ns)
        assert decision == other.decide(shown, now_ns)
        assert decision.why
        if decision.reason is None:
            continue
        assert not shown.busy
        if decision.reason is not TriggerReason.NEW_QUERY:
            assert now_ns - asked_ns >= CONFIG.cooldown_s * 1e9 - 1000
        asked_ns = now_ns
        for trigger in (one, other):
            trigger.answered(found, 0.1, now_ns)


def looks(stream: Stream) -> int:
    return sum(reason is TriggerReason.WITNESS for _, reason in stream.asked)


def test_a_witness_looks_at_its_cadence_beside_the_questions() -> None:
    stream = Stream(witness_s=0.25)
    stream.frame(replace(TRACKING, new_query=True))
    for _ in range(4 * FPS):
        if stream.frame(TRACKING).reason is TriggerReason.WITNESS:
            stream.trigger.witnessed(True, False, 0, 0.05, stream.now_ns)
    assert 14 <= looks(stream) <= 16
    assert len(stream.asked) == looks(stream) + 1  # a look is no question: nothing else is due
    assert Stream().play(4.0, TRACKING) == []  # and without a cadence there is none


def test_a_witness_waits_for_whoever_is_busy_but_not_for_a_replay() -> None:
    stream = Stream(witness_s=0.25)
    assert stream.play(1.0, replace(TRACKING, busy=True)) == []
    assert stream.frame(replace(TRACKING, replaying=True)).reason is TriggerReason.WITNESS


def test_after_a_doubtful_look_the_next_comes_as_soon_as_the_last_one_allows() -> None:
    stream = Stream(witness_s=1.0)
    gaps = []
    for doubted in (False, True, False):
        start = stream.now_s
        while stream.frame(TRACKING).reason is None:
            pass
        gaps.append(stream.now_s - start)
        stream.trigger.witnessed(True, doubted, 0, 0.05, stream.now_ns)
    assert gaps[1] == pytest.approx(1.0, abs=0.05)
    assert gaps[2] == pytest.approx(0.1, abs=0.05)


def test_slow_looks_are_rarer() -> None:
    stream = Stream(witness_s=0.25, budget_fraction=0.9)
    for _ in range(4 * FPS):
        if stream.frame(TRACKING).reason is TriggerReason.WITNESS:
            stream.trigger.witnessed(True, False, 0, 0.4, stream.now_ns)
    assert looks(stream) == 5


def test_who_cannot_see_by_kind_is_not_asked_to_look_again_until_the_next_query() -> None:
    stream = Stream(witness_s=0.25)
    assert stream.frame(TRACKING).reason is TriggerReason.WITNESS
    stream.trigger.witnessed(False, False, 0, 0.0, stream.now_ns)
    assert stream.play(3.0, TRACKING) == []
    stream.frame(replace(TRACKING, new_query=True))
    assert TriggerReason.WITNESS in stream.play(1.0, TRACKING)


def search(stream: Stream, seconds: float, unheld: int) -> int:
    """Look for what is lost, with so many things in sight that no track holds; questions asked."""
    start = len(stream.asked)
    for _ in range(round(seconds * FPS)):
        reason = stream.frame(LOST).reason
        if reason is TriggerReason.WITNESS:
            stream.trigger.witnessed(True, False, unheld, 0.01, stream.now_ns)
        elif reason is not None:
            stream.trigger.answered(False, 0.01, stream.now_ns)
    return sum(reason is TriggerReason.LOST for _, reason in stream.asked[start:])


def test_what_is_lost_is_asked_for_as_soon_as_one_more_of_its_kind_is_seen() -> None:
    stream = Stream(witness_s=0.25)
    search(stream, 12.0, unheld=0)  # by now a question every 4 s
    assert search(stream, 0.6, unheld=0) == 0
    assert search(stream, 0.6, unheld=1) == 1
    assert search(stream, 12.0, unheld=1) <= 6  # it is another one: no reason to ask at every look


def test_looks_leave_a_share_of_the_budget_to_questions() -> None:
    stream = Stream(witness_s=0.25, budget_fraction=0.1, refresh_s=1000.0)
    for _ in range(20 * FPS):
        if stream.frame(TRACKING).reason is TriggerReason.WITNESS:
            stream.trigger.witnessed(True, False, 0, 0.1, stream.now_ns)
    assert 0.7 * 2.0 / 0.1 <= looks(stream) <= 0.7 * 2.0 / 0.1 + 1
    assert stream.frame(LOST).reason is None
    assert search(stream, 0.5, unheld=0) == 1


def test_where_who_is_meant_may_change_it_is_asked_again_in_short() -> None:
    stream = Stream()
    stream.play(4.0, replace(TRACKING, shifting=True))
    assert {reason for _, reason in stream.asked} == {TriggerReason.SHIFT}
    assert len(stream.asked) >= 6
    assert min(stream.gaps_s()) >= 0.5 - 1e-6
    assert not Stream().play(4.0, TRACKING)


def test_while_a_cast_waits_nothing_is_missing() -> None:
    waiting = replace(SEARCHING, shifting=True, waiting=True, grounding_age_s=1.0)
    stream = Stream()
    stream.play(3.0, waiting)
    assert {reason for _, reason in stream.asked} == {TriggerReason.SHIFT}
    assert waiting.missing == 0
    assert TriggerReason.NO_TARGET in Stream().play(3.0, SEARCHING)
