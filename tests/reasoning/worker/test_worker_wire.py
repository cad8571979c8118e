"""The wire format: what is sent is what arrives, and nothing hostile gets through."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamseg.errors import ReasoningError
from streamseg.reasoning import GroundingRequest
from streamseg.reasoning.worker import wire
from streamseg.referents import Happening, Measure, Standing
from streamseg.types import (
    Frame,
    Grounding,
    GroundingMode,
    Image,
    Sighting,
    Target,
    WordSense,
    WordUse,
)

FRAME = Frame(index=3, pts_ns=0, epoch=1, image=np.zeros((48, 64, 3), np.uint8))
MAX_TARGETS = 4

numbers = st.floats() | st.integers() | st.integers(-100, 200)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)
points = st.lists(st.lists(numbers, min_size=1, max_size=3), max_size=3)
targets = st.fixed_dictionaries(
    {
        "box": st.lists(numbers, min_size=3, max_size=5),
        "positive": points,
        "negative": points,
        "score": numbers,
        "label": st.text(max_size=8),
    }
)
sightings = st.fixed_dictionaries(
    {
        "box": st.lists(numbers, min_size=3, max_size=5),
        "score": numbers,
        "label": st.text(max_size=8),
    }
)
answers = st.fixed_dictionaries(
    {
        "type": st.just("answer"),
        "serial": st.just(0),
        "targets": st.lists(targets, max_size=6) | json_values,
        "reasoning": st.text(max_size=20) | json_values,
        "tokens": st.integers(-2, 100) | json_values,
        "seconds": st.floats() | json_values,
    },
    optional={"seen": st.lists(sightings, max_size=3) | json_values},
)


def understand(line: bytes) -> Grounding | None:
    """What the parent makes of a line: a grounding, None for another kind, or ReasoningError."""
    reply = wire.decode_reply(line)
    if isinstance(reply, wire.Answer):
        return wire.to_grounding(reply, FRAME, MAX_TARGETS)
    return None


def assert_sound(grounding: Grounding) -> None:
    assert len(grounding.targets) <= MAX_TARGETS
    assert len(grounding.reasoning) <= wire.MAX_REASONING_CHARS
    assert grounding.tokens >= 0
    assert 0 <= grounding.seconds < math.inf
    for target in grounding.targets:
        x0, y0, x1, y1 = target.box
        assert 0 <= x0 < x1 <= FRAME.width
        assert 0 <= y0 < y1 <= FRAME.height
        assert 0 <= target.score <= 1
        assert all(
            0 <= x < FRAME.width and 0 <= y < FRAME.height
            for x, y in target.positive + target.negative
        )
    for seen in grounding.seen or ():
        x0, y0, x1, y1 = seen.box
        assert 0 <= x0 < x1 <= FRAME.width
        assert 0 <= y0 < y1 <= FRAME.height
        assert 0 <= seen.score <= 1


@settings(max_examples=300)
@given(answers | json_values)
def test_whatever_arrives_is_sound_or_refused(value: object) -> None:
    try:
        grounding = understand(json.dumps(value).encode())
    except ReasoningError:
        return
    if grounding is not None:
        assert_sound(grounding)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_json_are_refused(line: bytes) -> None:
    with pytest.raises(ReasoningError, match="is not a reply"):
        wire.decode_reply(b"\xff" + line)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[" * 100_000,
        b'{"type":"answer"}',
        b'{"type":"ready","more":1}',
        b'{"type":"pickle"}',
        b'{"type":"refusal","serial":-1,"message":""}',
        b'{"type":"refusal","serial":"0","message":""}',
        b'{"type":"refusal","serial":0,"message":"' + b"x" * 3000 + b'"}',
        b'{"type":"answer","serial":0,"targets":[],"reasoning":"","tokens":0,"seconds":NaN}',
        b'{"type":"answer","serial":0,"targets":[],"reasoning":"","tokens":0,"seconds":1e999}',
        b'{"type":"answer","serial":0,"targets":[],"reasoning":"","tokens":'
        + b"9" * 5000
        + b',"seconds":0}',
    ],
)
def test_hostile_lines_are_refused(line: bytes) -> None:
    with pytest.raises(ReasoningError):
        wire.decode_reply(line)


finite = st.floats(0, 40)
good_targets = st.builds(
    Target,
    box=st.tuples(finite, finite, st.floats(42, 64), st.floats(42, 48)),
    positive=st.lists(st.tuples(finite, finite), max_size=3).map(tuple),
    negative=st.lists(st.tuples(finite, finite), max_size=3).map(tuple),
    score=st.floats(0, 1),
    label=st.text(max_size=20),
    lead=st.floats(0, 1),
)
good_sightings = st.builds(
    Sighting,
    box=st.tuples(finite, finite, st.floats(42, 64), st.floats(42, 48)),
    score=st.floats(0, 1),
    label=st.text(max_size=20),
)
word_senses = st.builds(
    WordSense,
    text=st.text(max_size=20),
    use=st.sampled_from(WordUse),
    taken_as=st.text(max_size=20),
    known_to=st.text(max_size=20),
    names=st.booleans(),
)


@given(
    st.builds(
        Grounding,
        targets=st.lists(good_targets, max_size=MAX_TARGETS).map(tuple),
        reasoning=st.text(max_size=50),
        tokens=st.integers(0, 1000),
        seconds=st.floats(0, 100),
        words=st.lists(word_senses, max_size=5).map(tuple),
        seen=st.none() | st.lists(good_sightings, max_size=5).map(tuple),
        cannot_tell=st.booleans(),
    )
)
def test_a_sound_answer_arrives_unchanged(grounding: Grounding) -> None:
    line = wire.encode_grounding(0, grounding)
    assert line.count(b"\n") == 1
    assert understand(line) == grounding


def test_boxes_are_clipped_and_points_outside_left_out() -> None:
    line = wire.encode_grounding(
        0,
        Grounding(
            (
                Target((-5.0, -5.0, 900.0, 20.0), ((1.0, 1.0), (64.0, 1.0)), ((-1.0, 3.0),), 7.0),
                Target((10.0, 10.0, 5.0, 20.0)),
            )
        ),
    )
    understood = understand(line)
    assert understood is not None
    assert understood.targets == (Target((0.0, 0.0, 64.0, 20.0), ((1.0, 1.0),), (), 1.0),)


def test_overlong_texts_are_cut_by_an_honest_sender() -> None:
    grounding = Grounding((Target((0.0, 0.0, 9.0, 9.0), label="l" * 999),), "r" * 99_999)
    understood = understand(wire.encode_grounding(0, grounding))
    assert understood is not None
    assert len(understood.reasoning) == wire.MAX_REASONING_CHARS
    assert len(understood.targets[0].label) == wire.MAX_LABEL_CHARS


def test_overlong_words_are_cut_and_no_more_come_than_can_be_shown() -> None:
    word = WordSense("w" * 999, WordUse.COARSE, "t" * 999, "k" * 999)
    understood = understand(wire.encode_grounding(0, Grounding((), words=(word,) * 1500)))
    assert understood is not None
    assert len(understood.words) == wire.MAX_WORDS
    most = wire.MAX_LABEL_CHARS
    shortest = WordSense("w" * most, WordUse.COARSE, "t" * most, "k" * most)
    assert understood.words[0] == shortest


@pytest.mark.parametrize(
    "more",
    [
        {"words": [{"text": "dog", "use": "guessed"}]},
        {"words": [{"text": "dog"}]},
        {"words": [{"text": "d" * 300, "use": "coarse"}]},
        {"words": [{"text": "dog", "use": "coarse", "names": 1}]},
        {"cannot_tell": "yes"},
    ],
)
def test_hostile_words_are_refused(more: dict[str, object]) -> None:
    answer = {
        "type": "answer",
        "serial": 0,
        "targets": [],
        "reasoning": "",
        "tokens": 0,
        "seconds": 0.0,
    }
    wire.decode_reply(json.dumps(answer).encode())
    with pytest.raises(ReasoningError, match="is not a reply"):
        wire.decode_reply(json.dumps({**answer, **more}).encode())


def test_too_many_targets_or_none_in_the_frame_is_no_answer() -> None:
    inside, outside = Target((0.0, 0.0, 9.0, 9.0)), Target((70.0, 0.0, 90.0, 9.0))
    with pytest.raises(ReasoningError, match="at most 4 targets"):
        understand(wire.encode_grounding(0, Grounding((inside,) * 5)))
    with pytest.raises(ReasoningError, match="within 64x48"):
        understand(wire.encode_grounding(0, Grounding((outside,))))


def picture(offset: int, height: int, width: int) -> Image:
    return np.full((height, width, 3), offset, np.uint8)


def frame(index: int, epoch: int = 0) -> Frame:
    return Frame(index=index, pts_ns=index * 7, epoch=epoch, image=np.zeros((4, 6, 3), np.uint8))


@given(
    text=st.text(max_size=100),
    target=st.integers(0, 5),
    segment=st.lists(st.integers(0, 5), max_size=6),
    references=st.lists(st.integers(0, 5), max_size=6),
    mode=st.sampled_from(GroundingMode),
    budget=st.integers(0, 10_000),
)
def test_a_request_arrives_unchanged_and_each_picture_crosses_once(
    text: str,
    target: int,
    segment: list[int],
    references: list[int],
    mode: GroundingMode,
    budget: int,
) -> None:
    frames = [frame(index) for index in range(6)]
    sent = GroundingRequest(
        text,
        frames[target],
        tuple(frames[at] for at in segment),
        tuple(frames[at] for at in references),
        mode,
        budget,
    )
    crossing = wire.frames_of(sent)
    assert len(crossing) == len({target, *segment, *references})
    line = wire.encode_request(5, sent, [item.index for item in crossing])
    serial, got = wire.decode_request(line, picture)
    assert serial == 5
    assert (got.text, got.mode, got.token_budget) == (text, mode, budget)
    assert got.target.index == target
    assert [item.index for item in got.segment] == segment
    assert [item.index for item in got.references] == references
    for item in (got.target, *got.segment, *got.references):
        assert item.pts_ns == item.index * 7
        assert (item.image == item.index).all()


@pytest.mark.parametrize("line", [b"{}", b"nonsense", b'{"serial": 1}'])
def test_a_line_that_is_no_request_is_refused(line: bytes) -> None:
    with pytest.raises(ReasoningError, match="expected a request"):
        wire.decode_request(line, picture)


def test_a_request_that_numbers_a_frame_it_does_not_bring_is_refused() -> None:
    sent = GroundingRequest("x", frame(0), (frame(0),))
    line = wire.encode_request(0, sent, [0]).replace(b'"segment":[0]', b'"segment":[1]')
    with pytest.raises(ReasoningError, match="frame numbers below 1"):
        wire.decode_request(line, picture)


def test_a_cast_and_its_rule_arrive_as_they_were_sent() -> None:
    rules = [
        Standing(Measure.X, most=False, rank=2, count=3),
        Standing(Measure.GAP, most=False, reach=0.05),
        Standing(after=Happening.TOUCHED),
        Standing(after=Happening.MOVED, by_anchor=True),
    ]
    for rule in rules:
        said = Grounding(
            (),
            cast=(Target((1.0, 2.0, 30.0, 40.0), ((5.0, 6.0),), (), 0.5, "a ball"),),
            anchors=(Target((0.0, 0.0, 9.0, 9.0)),),
            standing=rule,
        )
        heard = understand(wire.encode_grounding(0, said))
        assert heard == said


def test_a_rule_of_another_kind_is_no_answer() -> None:
    line = json.loads(wire.encode_grounding(0, Grounding((), standing=Standing(Measure.X))))
    line["standing"]["measure"] = "weight"
    with pytest.raises(ReasoningError, match="standing"):
        understand(json.dumps(line).encode())
