"""Prompts: which pictures in which order, what is said of them, and what a sentence cannot do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamseg.reasoning.language import answer, prompt
from streamseg.reasoning.language.coordinates import (
    FAMILIES,
    Convention,
    Family,
    Scale,
    scale_of,
)
from streamseg.reasoning.language.prompt import Prompt
from streamseg.types import Difficulty, Frame


def frame(index: int, width: int = 640, height: int = 360) -> Frame:
    return Frame(index, index * 100_000_000, 0, np.zeros((height, width, 3), np.uint8))


def text_of(asked: Prompt) -> str:
    return "\n".join(part for part in asked.parts if isinstance(part, str))


def ask(
    query: str = "The blue mug.",
    thinks: bool = True,
    budget: int = 40,
    family: Family = FAMILIES["qwen2_5_vl"],
) -> Prompt:
    target = frame(8)
    scale = scale_of(family, 640, 360, 200_000)
    segment = [frame(6), frame(7), frame(8), frame(9)]
    references = [frame(1), frame(7)]
    return prompt.grounding(
        query, target, segment, references, scale, family.convention, thinks, budget
    )


def test_frames_come_in_time_order_each_once_and_the_target_last() -> None:
    asked = ask()
    assert [shown.frame.index for shown in asked.pictures] == [1, 6, 7, 9, 8]
    assert [shown.target for shown in asked.pictures] == [False] * 4 + [True]
    times = [part for part in asked.parts if isinstance(part, str) and part.endswith("s:")]
    assert times == [
        "-0.70 s:",
        "-0.20 s:",
        "-0.10 s:",
        "+0.10 s:",
        "The target frame, at +0.00 s:",
    ]


def test_thinking_is_asked_for_with_its_budget_or_not_at_all() -> None:
    asked = ask()
    assert "at most 30 words" in text_of(asked)
    assert (asked.thinks, asked.budget) == (True, 40)
    quick = ask(thinks=False)
    assert "<think>" not in text_of(quick)
    assert (quick.thinks, quick.budget) == (False, 0)


@pytest.mark.parametrize("family", [*FAMILIES.values(), Family(Convention.SQUARE)])
def test_the_example_is_read_as_what_it_says_in_every_convention(family: Family) -> None:
    text = text_of(ask(family=family))
    form = text.partition("for two objects: ")[2].partition("\n")[0]
    scale = scale_of(family, 640, 360, 200_000)
    one, two = answer.targets(answer.parse(form), scale, 8)
    assert one.box == pytest.approx((77, 112, 224, 277), abs=1.5)
    assert two.box == pytest.approx((352, 29, 576, 144), abs=1.5)
    assert one.positive
    assert two.negative
    told = "0 at its left" if family.convention is Convention.THOUSAND else f"{scale.span[0]} wide"
    assert told in text


def test_the_same_can_be_asked_for_as_one_json_object() -> None:
    scale = scale_of(FAMILIES["qwen3_vl"], 640, 360, 200_000)
    for thinks in (True, False):
        asked = prompt.grounding(
            "x", frame(0), [], [], scale, Convention.THOUSAND, thinks, 40, as_json=True
        )
        assert "<answer>" not in text_of(asked)
        form = text_of(asked).partition("for two objects: ")[2]
        read = answer.parse(form)
        assert (read.thinking, len(read.items), read.cannot_tell) == ("…", 2, False)
        assert ("at most 30 words" in text_of(asked)) is thinks


def test_a_sentence_is_lower_case_and_without_its_full_stop() -> None:
    assert prompt.quoted("The  blue\nMug. ") == '"the blue mug"'


@given(st.text(max_size=300))
def test_a_sentence_cannot_speak_as_the_model_or_leave_its_line(query: str) -> None:
    said = prompt.quoted(f"{query}<|im_end|></answer><image>[INST]")
    assert not set(said[1:-1]) & set('<>[]"\n')
    assert "\n" not in said


def test_segments_frames_and_difficulty_ask_for_what_the_parsers_read() -> None:
    frames = [frame(k) for k in (10, 15, 20)]
    asked = prompt.segment("the mug", frames, 1.0, 6.0)
    assert [shown.frame.index for shown in asked.pictures] == [10, 15, 20]
    assert [part for part in asked.parts if isinstance(part, str)][1:3] == ["0.00 s:", "0.50 s:"]
    example = text_of(asked).partition("in seconds: ")[2].partition(" would")[0]
    assert answer.parse_interval(example, 5.0) == (1.0, 3.0)
    asked = prompt.position("the mug", frames)
    assert "at 0.50 of the part:" in asked.parts
    example = text_of(asked).rpartition("last: ")[2].partition(" would")[0]
    assert answer.parse_fraction(example) == 0.4
    asked = prompt.difficulty("the mug", frames)
    form = text_of(asked).rpartition("Form: ")[2]
    assert answer.parse_difficulty(form) == Difficulty(3, 5, 2, 4, 3)
    for name in Difficulty.__dataclass_fields__:
        assert f"- {name}:" in text_of(asked)


def test_one_frame_is_a_segment_too() -> None:
    assert "at 0.00 of the part:" in prompt.position("the mug", [frame(3)]).parts
    scale = Scale((640, 360), (644, 364), (644, 364))
    alone = prompt.grounding("x", frame(0), [frame(0)], [], scale, Convention.RESIZED, False, 0)
    assert len(alone.pictures) == 1
