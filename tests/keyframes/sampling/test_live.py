"""The live sampler: a fresh key segment, the most relevant fresh frame in it, context around it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenery import frame, plain

from streamseg.config import Config, SamplerConfig
from streamseg.keyframes.sampling.live import LiveSampler, Sample
from streamseg.types import Frame

CONFIG = Config().sampler
DOT = plain((0, 0, 0), 2, 2)


def ring(count: int, start: int = 0, epoch: int = 0) -> list[Frame]:
    return [frame(DOT, start + at, epoch) for at in range(count)]


def indices(frames: tuple[Frame, ...]) -> list[int]:
    return [each.index for each in frames]


def sample(frames: list[Frame], relevance: dict[int, float]) -> Sample:
    return LiveSampler(CONFIG).sample(frames, relevance)


def test_without_relevance_the_newest_frame_is_the_target() -> None:
    chosen = sample(ring(100), {})
    assert chosen.target.index == 99
    assert indices(chosen.segment) == [74, 79, 84, 89, 94, 99]
    assert indices(chosen.references) == [0, 73]


def test_a_clearly_more_relevant_frame_is_worth_being_older() -> None:
    relevance = {at: 0.9 if 80 <= at <= 90 else 0.1 for at in range(100)}
    chosen = sample(ring(100), relevance)
    assert chosen.target.index == 90
    assert chosen.target in chosen.segment


def test_a_slightly_more_relevant_frame_is_not() -> None:
    assert sample(ring(100), {at: 0.55 if at < 90 else 0.5 for at in range(100)}).target.index == 99


def test_relevance_that_is_long_gone_does_not_pull_the_segment_back() -> None:
    chosen = sample(ring(100), {at: 1.0 if at < 30 else 0.0 for at in range(100)})
    assert chosen.target.index >= 99 - 25


def test_a_frame_without_relevance_has_that_of_the_last_that_has() -> None:
    assert sample(ring(10), {0: 0.2, 3: 0.9, 6: 0.1}).target.index == 5


def test_other_epochs_are_left_out() -> None:
    frames = ring(50) + ring(5, start=50, epoch=1)
    chosen = sample(frames, dict.fromkeys(range(50), 1.0))
    assert indices(chosen.segment) == [50, 51, 52, 53, 54]
    assert chosen.references == ()


def test_one_frame_is_enough_and_none_is_refused() -> None:
    only = ring(1)
    assert indices(sample(only, {}).segment) == [0]
    with pytest.raises(ValueError, match="at least one frame"):
        sample([], {})


@given(
    count=st.integers(1, 60),
    steps=st.lists(st.integers(1, 400), min_size=60, max_size=60),
    relevance=st.dictionaries(st.integers(0, 59), st.floats(0, 1)),
    segment_s=st.floats(0, 3),
    segment_frames=st.integers(1, 10),
    reference_frames=st.integers(0, 6),
)
def test_what_always_holds(
    count: int,
    steps: list[int],
    relevance: dict[int, float],
    segment_s: float,
    segment_frames: int,
    reference_frames: int,
) -> None:
    config = SamplerConfig.model_validate(
        {
            "segment_s": segment_s,
            "segment_frames": segment_frames,
            "reference_frames": reference_frames,
        }
    )
    frames, pts_ns = [], 0
    for index in range(count):
        pts_ns += steps[index] * 1_000_000
        frames.append(Frame(index, pts_ns, 0, DOT))
    chosen = LiveSampler(config).sample(frames, relevance)
    segment, references = indices(chosen.segment), indices(chosen.references)
    assert chosen.target.index in segment
    assert segment == sorted(set(segment))
    assert references == sorted(set(references))
    assert not set(segment) & set(references)
    assert len(segment) <= segment_frames
    assert len(references) <= reference_frames
    span_ns = chosen.segment[-1].pts_ns - chosen.segment[0].pts_ns
    assert span_ns <= segment_s * 1e9 + 1
    assert frames[-1].pts_ns - chosen.segment[-1].pts_ns <= 2 * segment_s * 1e9 + 1
