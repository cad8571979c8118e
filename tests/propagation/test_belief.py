"""Three witnesses joined: none stands in for another, and doubt in words lowers what is said."""

from __future__ import annotations

from itertools import permutations

import pytest
from builders import box_mask, frame
from hypothesis import given
from hypothesis import strategies as st

from streamseg.propagation.belief import (
    drift_seen,
    faded,
    renewed,
    steady,
    unnamed,
    words_fit,
)
from streamseg.propagation.catchup import Job
from streamseg.types import CERTAIN, Evidence, Grounding, Propagated, Target, WordSense, WordUse

BOX = (0.0, 0.0, 9.0, 9.0)
SHARES = st.floats(0.0, 1.0)


def sensed(*uses: WordUse) -> tuple[WordSense, ...]:
    return tuple(WordSense(f"word {k}", use) for k, use in enumerate(uses))


@given(SHARES, SHARES, SHARES)
def test_belief_is_no_more_than_its_weakest_witness(a: float, b: float, c: float) -> None:
    joined = Evidence(a, b, c).belief
    assert 0.0 <= joined <= min(a, b, c)
    for order in permutations((a, b, c)):
        assert Evidence(*order).belief == pytest.approx(joined)


@given(SHARES, SHARES, SHARES, st.floats(0.0, 0.5))
def test_more_evidence_never_lowers_belief(a: float, b: float, c: float, more: float) -> None:
    assert Evidence(a, b, min(1.0, c + more)).belief >= Evidence(a, b, c).belief - 1e-12


def test_nothing_against_it_is_certain() -> None:
    assert CERTAIN.belief == 1.0


def test_words_fit_by_score_understanding_and_lead() -> None:
    target, understood = Target(BOX, score=0.9), sensed(WordUse.UNDERSTOOD)
    whole = words_fit(Grounding((target,), words=understood), target)
    assert whole == pytest.approx(0.9)
    assert words_fit(Grounding((target,)), target) == pytest.approx(0.9)
    roughly = words_fit(Grounding((target,), words=sensed(WordUse.COARSE)), target)
    nothing = words_fit(Grounding((target,), words=sensed(WordUse.UNKNOWN)), target)
    assert 0.0 == nothing < roughly < whole
    tied = Target(BOX, score=0.9, lead=0.0)
    assert words_fit(Grounding((tied,), words=understood), tied) == pytest.approx(0.9 * 0.75)


@pytest.mark.parametrize(("query_id", "words"), [(1, 0.4), (None, 1.0)])
def test_what_is_pointed_at_by_hand_fits_the_words(query_id: int | None, words: float) -> None:
    target = Target(BOX, score=0.4)
    job = Job(Grounding((target,)), frame(0), query_id, None)
    job.objects, job.cuts = {1: target}, {1: 0.6}
    job.output = Propagated(box_mask((0, 0, 9, 9)).astype("uint16"), {1: 0.8})
    (candidate,) = job.candidates(0.2)
    assert candidate.evidence == Evidence(words, 0.6, 0.8, by_kind=query_id is None)


def test_newer_answers_count_more() -> None:
    said = 0.2
    for _ in range(5):
        said = renewed(said, 1.0)
    assert said == pytest.approx(1.0 - 0.8 * 0.5**5)


def test_answers_without_it_and_time_lower_what_is_held() -> None:
    assert [unnamed(0.8, misses) for misses in (0, 1, 2)] == [0.8, 0.4, 0.2]
    assert faded(0.8, 0.0, 4.0) == 0.8
    assert faded(0.8, 4.0, 4.0) == pytest.approx(0.4)
    assert faded(0.8, -1.0, 4.0) == 0.8


def test_drift_is_what_takes_a_mask_from_one_cut_to_the_next() -> None:
    drift = drift_seen(0.45, 0.5)
    assert steady(drift, 0.5) == pytest.approx(0.5)
    assert steady(drift, 1.0) == pytest.approx(0.25)
    assert steady(drift, 0.0) == 1.0
    assert drift_seen(0.93, 0.5) == 0.0
    assert steady(drift_seen(0.85, 8.0), 8.0) > 0.9
    assert drift_seen(0.0, 0.0) < 100.0
