"""The benchmark of the two speeds: sentences in other words, the oracle, the figures."""

from __future__ import annotations

import json

import numpy as np
import pytest
from builders import frame

from streamseg import config, synthetic
from streamseg.benchmarks import clips
from streamseg.benchmarks.speeds import oracle, sentences
from streamseg.benchmarks.speeds.roundabout import said_roundabout
from streamseg.config import ReasoningConfig
from streamseg.reasoning import GroundingRequest
from streamseg.synthetic import Expression, ExpressionKind
from streamseg.types import Difficulty, Frame, Speed

EASY = Difficulty(1.0, 1.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("text", "way", "said"),
    [
        ("the red disc", 0, "the disc that has the colour of a ripe tomato"),
        ("the red disc", 1, "the red thing like a coin"),
        ("the red disc", 2, "the thing that has the colour of a ripe tomato like a coin"),
        ("the largest star", 0, "the largest star"),
        ("all blue triangles", 1, "all blue triangles"),
    ],
)
def test_a_sentence_is_said_in_other_words(text: str, way: int, said: str) -> None:
    told = said_roundabout(Expression(text, ExpressionKind.PLAIN, (3,), EASY), way)
    assert (told.text, told.object_ids) == (said, (3,))


def test_the_oracle_points_at_what_is_true(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = synthetic.scene("easy", 2, size=(160, 90), frames=9)
    number = scene.objects[0].id
    (name, value), *_ = oracle.setting(scene, 2, "test", {"it": [number]}).items()
    monkeypatch.setenv(name, value)
    made = oracle.build(ReasoningConfig(), Speed.DEEP)
    shown = Frame(5, 0, 0, scene.frame(5)[0])
    (target,) = made.ground(GroundingRequest("it", shown, (shown,))).targets
    assert target.box == clips.boxes(scene, 5)[number]
    unknown = made.ground(GroundingRequest("that", frame(0), (frame(0),)))
    assert unknown.cannot_tell
    assert not unknown.targets
    assert json.loads(value)["busy_s"] == 0.0


def test_sentences_are_asked_and_figures_hold_them_against_the_truth() -> None:
    told = list(sentences.ask_all(config.load("classical"), 12, "train", ["easy"]))
    assert len(told) == 12
    assert {each.roundabout for each in told} == {True, False}
    found = sentences.figures(told)
    assert found["sentences"] == 12
    assert 0.0 <= found["all_fast"] <= found["all_deep"] + 0.05 <= 1.05
    assert np.isfinite(found["rank"])
