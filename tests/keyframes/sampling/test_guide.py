"""Where a curve of relevance is high: the segment, the place in it, what to look at besides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scenery import frame, plain, with_patch

from streamseg.config import OfflineConfig
from streamseg.keyframes.relevance import TextRelevance
from streamseg.keyframes.sampling.guide import RelevanceGuide
from streamseg.keyframes.sampling.hierarchy import HierarchicalSampler
from streamseg.keyframes.sampling.spread import spread_by_change
from streamseg.keyframes.sampling.survey import Survey


def bump(length: int, centre: int, width: int) -> NDArray[np.float32]:
    places = np.arange(length)
    return np.exp(-(((places - centre) / width) ** 2)).astype(np.float32)


def test_the_segment_and_the_target_are_where_the_curve_is_high() -> None:
    curve = 0.2 + 0.7 * bump(2000, 1400, 60)
    plan = HierarchicalSampler(OfflineConfig()).plan(2000, RelevanceGuide(curve, "test"))
    assert plan.segment.start == pytest.approx(1345, abs=15)
    assert plan.segment.stop == pytest.approx(1455, abs=15)
    assert plan.target == pytest.approx(1400, abs=5)


def test_a_long_presence_wins_over_a_short_flash() -> None:
    curve = np.zeros(1000, np.float32)
    curve[100:103] = 1.0
    curve[500:700] = 0.9
    plan = HierarchicalSampler(OfflineConfig()).plan(1000, RelevanceGuide(curve, "test"))
    assert plan.segment == range(500, 700)
    assert plan.target == pytest.approx(600, abs=20)


def test_answers_differ_so_that_their_mean_leans_on_none() -> None:
    guide = RelevanceGuide(bump(1000, 300, 90), "test")
    starts = [start for start, _ in guide.segments(range(1000), 3)]
    assert len(set(starts)) == 3
    assert len(guide.segments(range(1000), 1)) == 1
    assert len(guide.positions(range(1000), 5)) == 5


def test_a_flat_curve_cannot_tell() -> None:
    guide = RelevanceGuide(np.full(300, 0.5, np.float32), "test")
    assert not guide.segments(range(300), 3)
    assert not guide.positions(range(300), 3)


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=200), st.integers(1, 8))
def test_answers_lie_within_what_was_asked_about(values: list[float], count: int) -> None:
    curve = np.array(values, np.float32)
    guide, span = RelevanceGuide(curve, "test"), range(len(values) // 2, len(values))
    for start, end in guide.segments(span, count):
        assert 0.0 <= start < end <= 1.0
    for place in guide.positions(span, count):
        assert 0.0 <= place < 1.0


def test_a_survey_finds_where_the_colour_is() -> None:
    """Colour is looked for on every third frame, and what is found counts until the next."""
    survey = Survey(TextRelevance("the red thing"), every=3)
    for number in range(60):
        image = plain((90, 120, 140))
        if 30 <= number < 45:
            image = with_patch(image, (220, 20, 20), 100, 60, 50)
        survey.see(frame(image, number))
    curve = survey.relevance
    assert curve.shape == (60,)
    assert curve[30:45].min() > 0.5 > 0.1 > max(curve[:30].max(), curve[45:].max())
    assert survey.best(2, apart=3, without=37)[0] in range(30, 45)


def test_other_frames_to_try_keep_apart_and_cover_all_where_nothing_is_known() -> None:
    survey = Survey(TextRelevance("the dog"), every=3)
    for number in range(100):
        survey.see(frame(plain((9, 9, 9), 32, 18), number))
    tries = survey.best(4, apart=10, without=50)
    assert len(tries) == 4
    places = sorted([*tries, 50])
    assert min(np.diff(places)) >= 10
    assert places[0] < 10
    assert places[-1] > 90
    assert survey.best(50, apart=40, without=50) != []


def test_references_are_closer_where_more_changes() -> None:
    change = np.full(100, 0.01, np.float32)
    change[40:60] = 1.0
    places = spread_by_change(change, 10)
    assert len(places) == 10
    assert sum(40 <= place < 60 for place in places) >= 6
    assert any(place < 40 for place in places)
    assert any(place >= 60 for place in places)
    assert spread_by_change(np.zeros(90, np.float32), 3) == pytest.approx([15, 45, 75], abs=1)
    assert spread_by_change(change[:4], 8) == [0, 1, 2, 3]
