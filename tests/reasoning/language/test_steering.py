"""Steering over scripted streams of tokens: letters are tokens here."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from streamseg.reasoning.language.steering import Limits, Stage, Steering

END = 0


def encode(text: str) -> list[int]:
    return [ord(letter) for letter in text]


def decode(ids: Sequence[int]) -> str:
    return "".join(map(chr, ids))


def steering(
    thinks: bool = True, thinking: int = 1000, answer: int = 1000, tagged: bool = False,
    steer_s: float = 1e6, stop_s: float = 1e6,
) -> Steering:  # fmt: skip
    now = time.monotonic()
    limits = Limits(thinking, answer, now + steer_s, now + stop_s)
    return Steering(encode, decode, [END], thinks, limits, tagged)


def write(course: Steering, wished: str, after: str = "") -> str:
    """What is written by a model that wishes to write `wished`, then `after` once it was steered,
    and then goes on with "~"."""
    written: list[int] = []
    wishes = encode(wished)
    while not course.stopped and len(written) < 5000:
        wish = wishes[0] if wishes else ord("~")
        forced = course.force(wish)
        if forced is None:
            wishes = wishes[1:]
        elif after:
            wishes, after = encode(after), ""
        token = wish if forced is None else forced
        course.saw(token)
        written.append(token)
        if token == END:
            break
    return decode(written)


def test_a_model_that_keeps_to_the_form_is_left_alone() -> None:
    course = steering()
    text = "a mug.</think>\n<answer>[1, 2]</answer>"
    assert write(course, text) == text
    assert course.stage is Stage.DONE
    assert course.thought == len("a mug.</think>")
    assert course.notes == []


def test_over_its_budget_it_is_steered_to_answer() -> None:
    course = steering(thinking=10)
    text = write(course, "it may be this or that or", "[1]</answer>")
    assert text == "it may be \n</think>\n<answer>[1]</answer>"
    assert course.notes == ["over its budget, steered to answer"]


def test_out_of_time_it_is_steered_then_stopped() -> None:
    course = steering(steer_s=0.0)
    assert write(course, "hm", "[1]</answer>").startswith("\n</think>\n<answer>[1]")
    assert course.notes == ["out of time, steered to answer"]
    course = steering(stop_s=0.0)
    assert write(course, "hm") == ""
    assert course.notes == ["stopped by the deadline"]


def test_an_end_within_the_thinking_is_no_end() -> None:
    text = write(steering(), "hm\0", "[1]</answer>")
    assert text == "hm\n</think>\n<answer>[1]</answer>"


def test_an_end_before_the_answer_is_no_end() -> None:
    assert write(steering(), "hm</think>\n\0", "[1]</answer>") == "hm</think>\n<answer>[1]</answer>"


def test_an_end_after_the_answer_is_one() -> None:
    assert write(steering(thinks=False), "[1]\0") == "[1]\0"


@pytest.mark.parametrize("thought", ["this or that ", "x", "0123456789" * 6])
def test_thinking_in_circles_is_steered(thought: str) -> None:
    course = steering(thinking=4000)
    text = write(course, thought * 2000, "[1]</answer>")
    assert text.endswith("\n</think>\n<answer>[1]</answer>")
    assert len(text) < 300
    assert course.notes == ["repeated itself, steered to answer"]


def test_answering_in_circles_is_stopped() -> None:
    course = steering(thinks=False, answer=4000)
    text = write(course, "[" + '{"bbox_2d": [1, 2, 3, 4]}, ' * 200)
    assert len(text) < 300
    assert course.notes == ["the model repeats itself"]


def test_a_list_of_like_objects_is_no_circle() -> None:
    listed = ", ".join(f'{{"bbox_2d": [{k}, 2, 3, 4]}}' for k in range(100, 140))
    course = steering(thinks=False, answer=4000)
    assert write(course, f"[{listed}]</answer>").endswith("</answer>")
    assert course.notes == []


def test_an_answer_has_a_length() -> None:
    course = steering(thinks=False, answer=20)
    assert len(write(course, "".join(map(chr, range(100, 900))))) == 20
    assert course.notes == ["stopped for the answer's length"]


def test_an_answer_may_come_without_its_tag() -> None:
    course = steering()
    text = "hm</think>\n[1, 2]</answer>"
    assert write(course, text) == text
    assert course.stage is Stage.DONE


def test_the_tag_can_be_made_sure_of() -> None:
    course = steering(tagged=True)
    assert write(course, "hm</think>[1]</answer>").startswith("hm</think><answer>")


def test_tags_in_the_thinking_are_not_the_answers() -> None:
    course = steering()
    text = "as <answer> or </answer>?</think><answer>[]</answer>"
    assert write(course, text) == text


def test_an_answer_that_is_whole_is_closed() -> None:
    course = steering(thinks=False)
    course.saw(ord("["))
    course.saw(ord("]"))
    course.close()
    assert write(course, "~~") == "</answer>"
    assert course.stage is Stage.DONE
