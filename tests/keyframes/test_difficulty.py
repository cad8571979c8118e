"""Difficulty: within 1 to 10, raised by what makes a task hard, and turned into budget and mode."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenery import frame, plain, scenery

from streamseg.config import Config, DifficultyConfig
from streamseg.keyframes import difficulty as rate
from streamseg.keyframes.appearance import ObjectLook, SceneLook
from streamseg.keyframes.difficulty import DifficultyEstimator, mode, token_budget
from streamseg.keyframes.words import read
from streamseg.types import (
    Difficulty,
    Grounding,
    GroundingMode,
    Image,
    MaskSet,
    Target,
    TrackState,
    TrackView,
    WordSense,
    WordUse,
)

CONFIG = Config().difficulty
SECOND_NS = 1_000_000_000
share = st.floats(0, 1)
text = st.lists(
    st.sampled_from(
        ["the", "mug", "left", "not", "moving", "that", "before", "largest", "why", ","]
    ),
    max_size=15,
).map(" ".join)


def nothing() -> MaskSet:
    return MaskSet(np.zeros((180, 320), np.uint16))


def masks(state: TrackState = TrackState.TRACKING, score: float = 0.9, radius: int = 30) -> MaskSet:
    labels = np.zeros((180, 320), np.uint16)
    cv2.circle(labels, (160, 90), radius, 1, -1)
    box = (160.0 - radius, 90.0 - radius, 161.0 + radius, 91.0 + radius)
    return MaskSet(labels, (TrackView(1, score, state, box),))


def rated(
    query: str = "the blue mug",
    image: Image | None = None,
    shown: MaskSet | None = None,
    motion: tuple[float, ...] = (0.0,) * 5,
) -> Difficulty:
    estimator = DifficultyEstimator(query)
    picture = frame(plain((90, 90, 90)) if image is None else image)
    for step, amount in enumerate(motion):
        result = estimator.update(picture, shown or nothing(), amount, step * SECOND_NS // 5)
    return result


@given(text, text)
def test_more_words_never_make_it_easier(query: str, more: str) -> None:
    short, long = read(query), read(f"{query} {more}")
    assert 1 <= rate.linguistic_ambiguity(short) <= rate.linguistic_ambiguity(long) <= 10
    assert 1 <= rate.temporal_ambiguity(short, 0.2) <= rate.temporal_ambiguity(long, 0.2) <= 10


@given(text, share, share)
def test_being_out_of_sight_never_makes_it_easier(query: str, one: float, other: float) -> None:
    words, (less, more) = read(query), sorted((one, other))
    assert rate.temporal_ambiguity(words, less) <= rate.temporal_ambiguity(words, more)


@given(share, share, share, share, st.integers(0, 20), st.integers(0, 20))
def test_a_fuller_scene_is_never_easier(
    edges: float, colours: float, more_edges: float, more_colours: float, tracks: int, more: int
) -> None:
    emptier = rate.scene_complexity(SceneLook(edges, colours), tracks)
    fuller = rate.scene_complexity(
        SceneLook(max(edges, more_edges), max(colours, more_colours)), tracks + more
    )
    assert 1 <= emptier <= fuller <= 10


@given(*[st.tuples(share, share).map(sorted)] * 4)
def test_fainter_smaller_more_ragged_or_doubtful_is_never_easier(
    area: list[float], contrast: list[float], compactness: list[float], score: list[float]
) -> None:
    hard, easy = (
        rate.segmentation_challenge(ObjectLook(area[at], contrast[at], compactness[at]), score[at])
        for at in (0, 1)
    )
    assert 1 <= easy <= hard <= 10


@given(*[st.tuples(share, share).map(sorted)] * 2)
def test_more_motion_is_never_easier(motion: list[float], variation: list[float]) -> None:
    calm, wild = (rate.motion_complexity(motion[at], variation[at]) for at in (0, 1))
    assert 1 <= calm <= wild <= 10


@given(st.floats(-5, 20), st.floats(-5, 20))
def test_the_budget_is_linear_in_difficulty_and_bounded(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 16 <= token_budget(low, CONFIG) <= token_budget(high, CONFIG) <= 128


def test_budget_and_mode_at_the_marks() -> None:
    assert [token_budget(value, CONFIG) for value in (1, 5.5, 10)] == [16, 72, 128]
    config = DifficultyConfig.model_validate({"tau_easy": 4.0})
    assert mode(3.99, config) is GroundingMode.FAST
    assert mode(4.0, config) is GroundingMode.REASONING


@pytest.mark.parametrize("query", ["the blue mug", "the dog", "the white ball"])
def test_plain_queries_are_easy(query: str) -> None:
    assert mode(rated(query, scenery(0), masks()).value, CONFIG) is GroundingMode.FAST


def test_a_query_that_must_be_thought_about_is_not() -> None:
    query = "the thing that you could drink from, not the one that moves before the dog appears"
    assert mode(rated(query, scenery(0), masks()).value, CONFIG) is GroundingMode.REASONING


def test_each_dimension_answers_to_its_own_cause() -> None:
    base = rated(shown=masks())
    busy = rated(image=scenery(0), shown=masks())
    tiny = rated(shown=masks(radius=2))
    lost = rated(shown=masks(TrackState.LOST), motion=(0.0,) * 20)
    shaken = rated(shown=masks(), motion=(0.0, 0.4, 0.1, 0.5, 0.0))
    wordy = rated("the blue mug left of the red one", shown=masks())
    assert busy.scene_complexity > base.scene_complexity
    assert tiny.segmentation_challenge > base.segmentation_challenge
    assert lost.temporal_ambiguity > base.temporal_ambiguity
    assert shaken.motion_complexity > base.motion_complexity
    assert wordy.linguistic_ambiguity > base.linguistic_ambiguity


def test_what_is_long_past_is_forgotten() -> None:
    estimator, picture = DifficultyEstimator("the mug"), frame(plain((90, 90, 90)))
    for step in range(10):
        estimator.update(picture, masks(TrackState.LOST), 0.5, step * SECOND_NS // 10)
    for step in range(100):
        calm = estimator.update(picture, masks(), 0.0, SECOND_NS + step * SECOND_NS // 10)
    assert calm.temporal_ambiguity == pytest.approx(1.0, abs=0.01)
    assert calm.motion_complexity == pytest.approx(1.0, abs=0.05)


@given(
    st.text(max_size=40),
    st.lists(st.tuples(share, st.integers(0, SECOND_NS), st.sampled_from(TrackState)), max_size=8),
)
def test_it_stays_within_bounds_and_decides_alike(
    query: str, history: list[tuple[float, int, TrackState]]
) -> None:
    picture = frame(plain((90, 90, 90)))
    one, other, now_ns = DifficultyEstimator(query), DifficultyEstimator(query), 0
    for motion, step_ns, state in history:
        now_ns += step_ns
        result = one.update(picture, masks(state), motion, now_ns)
        assert result == other.update(picture, masks(state), motion, now_ns)
        assert 1 <= result.value <= 10


BOX = (0.0, 0.0, 9.0, 9.0)
KNOWN, UNKNOWN = WordSense("red", WordUse.UNDERSTOOD), WordSense("gizmo", WordUse.UNKNOWN)


@given(st.floats(1, 10), share, share)
def test_a_doubtful_answer_makes_it_harder(difficulty: float, one: float, other: float) -> None:
    less, more = sorted((one, other))
    sure = Grounding((Target(BOX, lead=less),), words=(KNOWN,))
    assert rate.with_doubt(difficulty, sure) == difficulty  # a tie is for the table to judge
    far, near = (
        rate.with_doubt(difficulty, Grounding((Target(BOX, lead=lead),), words=(KNOWN, UNKNOWN)))
        for lead in (more, less)
    )
    assert difficulty <= far <= near <= 10
    lost = Grounding((), words=(KNOWN, UNKNOWN), cannot_tell=True)
    nothing = Grounding((), words=(KNOWN, UNKNOWN))
    assert difficulty <= rate.with_doubt(difficulty, nothing) <= rate.with_doubt(difficulty, lost)
