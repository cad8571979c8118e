"""Answers as models write them: what is read, what is refused, and that nothing else happens."""

from __future__ import annotations

import json
import time
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamseg.errors import ReasoningError
from streamseg.reasoning.language import answer
from streamseg.reasoning.language.answer import (
    Answer,
    Item,
    parse,
    parse_difficulty,
    parse_fraction,
    parse_interval,
    targets,
)
from streamseg.reasoning.language.coordinates import Scale
from streamseg.types import Difficulty

ONE = '[{"bbox_2d": [10, 20, 30, 40], "point_2d": [20, 30], "negative_point_2d": [35, 30]}]'
ITEM = Item((10, 20, 30, 40), ((20, 30),), ((35, 30),))
SCALE = Scale((200, 100), (200, 100), (200, 100))
WIDE = Scale((2000, 500), (200, 100), (200, 100))


@pytest.mark.parametrize(
    "text",
    [
        f"<think>the mug</think><answer>{ONE}</answer>",
        f"<think>the mug</think>\n<answer>\n```json\n{ONE}\n```\n</answer>",
        f"<think>the mug</think>{ONE}",
        f"<THINK>the mug</THINK><ANSWER>{ONE}</ANSWER>",
        f"<think>the mug</think><answer>Here it's, see [1]: {ONE} (one object).</answer> Done.",
        f"<think>the mug</think><answer>{ONE}",
        f"<think>the mug</think><answer>{ONE[1:-1]}</answer>",
        f"<think>the mug</think><answer>{ONE[:-1]}</answer>",
        f"<think>the mug</think><answer>{ONE.replace(']}', '],}').replace('}]', '},]')}</answer>",
        "<think>the mug</think><answer>" + ONE.replace('"', "'") + "</answer>",
        "<think>the mug</think><answer>" + ONE.replace('"', "") + "</answer>",
        f"<think>the mug</think><answer>[]</answer> no, wait: <answer>{ONE}</answer>",
        f"<think>the mug</think><answer>{ONE}</answer><answer>I am sure.</answer>",
        f'<think>the mug</think><answer>{{"objects": {ONE}}}</answer>',
        f'{{"thinking": "the mug", "objects": {ONE}, "cannot_tell": false}}',
        f"<think>the mug</think><answer>{ONE}{ONE[:-9]}</answer>",
    ],
)
def test_one_object_however_it_is_wrapped(text: str) -> None:
    read = parse(text)
    assert read.thinking == "the mug"
    assert read.items[0] == ITEM
    assert len({item.box for item in read.items}) == 1
    assert not read.cannot_tell


@pytest.mark.parametrize(
    ("written", "item"),
    [
        ('{"bbox_2d": [1.5, 2, 3e1, 40]}', Item((1.5, 2, 30, 40))),
        ('{"bbox_2d": [[1, 2], [30, 40]], "label": "a  mug"}', Item((1, 2, 30, 40), label="a mug")),
        ('{"bbox_2d": (1, 2, 30, 40)}', Item((1, 2, 30, 40))),
        ('{"bbox_2d": "[1, 2, 30, 40]"}', Item((1, 2, 30, 40))),
        ('{"BBox_2D": [1, 2, 30, 40]}', Item((1, 2, 30, 40))),
        ("{'box': [1, 2, 30, 40], 'label': 'Al's hat'}", Item((1, 2, 30, 40), label="Al's hat")),
        (r'{"box": [1, 2, 30, 40], "label": "a \"mug\""}', Item((1, 2, 30, 40), label='a "mug"')),
        (
            '{"bbox_2d": [1, 2, 30, 40], "point_2d": [[5, 6], [7, 8, 1]]}',
            Item((1, 2, 30, 40), ((5, 6), (7, 8))),
        ),
        ('{"bbox_2d": [1, 2, 30, 40], "point_2d": [5, "x"]}', Item((1, 2, 30, 40))),
        ('{"bbox_2d": [1, 2, 30, 40], "point_2d": [NaN, 6]}', Item((1, 2, 30, 40))),
        ("[1, 2, 30, 40]", Item((1, 2, 30, 40))),
    ],
)  # fmt: skip
def test_ways_to_write_an_object(written: str, item: Item) -> None:
    assert parse(f"<answer>[{written}]</answer>").items == (item,)


def test_several_objects_keep_their_order_and_their_points() -> None:
    listed = [
        {"bbox_2d": [k, k, k + 50, k + 50], "point_2d": [k + 9, k + 9], "label": f"no {k}"}
        for k in range(5)
    ]
    read = parse(f"<think>many</think><answer>{json.dumps(listed)}</answer>")
    assert [item.label for item in read.items] == [f"no {k}" for k in range(5)]
    assert [item.positive for item in read.items] == [((k + 9, k + 9),) for k in range(5)]


def test_boxes_under_one_key_are_several_objects() -> None:
    read = parse('<answer>{"bbox_2d": [[1, 2, 3, 4], [5, 6, 7, 8]], "point_2d": [1, 2]}</answer>')
    assert read.items == (Item((1, 2, 3, 4)), Item((5, 6, 7, 8)))


@pytest.mark.parametrize("said", ["[]", " [ ] ", "```json\n[]\n```", "{}", "none", "None.", "null"])
def test_an_empty_list_means_that_there_is_none(said: str) -> None:
    assert parse(f"<think>no mug</think><answer>{said}</answer>") == Answer("no mug", ())


def test_a_model_may_say_that_it_cannot_tell() -> None:
    for said in ('{"cannot_tell": true}', "{'cannot tell': True}", "cannot tell"):
        assert parse(f"<answer>{said}</answer>").cannot_tell
    read = parse('{"thinking": "no mug", "objects": [], "cannot_tell": false}')
    assert read == Answer("no mug", ())


@pytest.mark.parametrize("end", range(1, len(ONE) - 2))
def test_a_cut_tail_lets_out_whole_objects_only(end: int) -> None:
    first = '{"bbox_2d": [50, 50, 60, 60]}'
    read = parse(f"<answer>[{first}, {ONE[1:][:end]}")
    assert read.cut
    assert read.items[0].box == (50, 50, 60, 60)
    assert all(item.box == ITEM.box for item in read.items[1:])
    for item in read.items[1:]:
        assert item.positive in ((), ITEM.positive)
        assert item.negative in ((), ITEM.negative)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "an empty text"),
        ("  \n", "an empty text"),
        ("<think>it may be the [1, 2, 3, 4]", "thinking without an end"),
        ("There is no such object.", "expected a list of objects"),
        ("<answer></answer>", "expected a list of objects"),
        ("<answer>[</answer>", "expected a list of objects"),
        ('<answer>[{"bbox_2d": [1, 2, 3]}]</answer>', "expected a list of objects"),
        ('<answer>[{"point_2d": [1, 2]}]</answer>', "expected a list of objects"),
        ('<answer>[{"bbox_2d": [1, 2, 3, Infinity]}]</answer>', "expected a list of objects"),
        ('<answer>[{"bbox_2d": [1, 2, 3, 1e999]}]</answer>', "expected a list of objects"),
        ('<answer>[{"bbox_2d": [1, 2, 30, 4', "expected a list of objects"),
        ("<answer>__import__('os').system('true')</answer>", "expected a list of objects"),
    ],
)
def test_what_says_nothing_is_refused_in_one_line(text: str, complaint: str) -> None:
    with pytest.raises(ReasoningError, match=complaint) as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_targets_lie_in_the_picture_with_their_corners_in_order() -> None:
    items = (
        Item((190, 90, -30, -1e300), ((5, 5), (195, 5)), ((199, 99), (200, 50), (-1, 5)), "a mug"),
        Item((10, 10, 10.01, 50)),  # no area
        Item((300, 10, 400, 50)),  # outside
        Item((190, 90, -50, -9), label="the same once more"),
        Item((0, 0, 20, 20)),
    )
    found = targets(Answer("", items), WIDE, limit=8)
    assert [target.box for target in found] == [(0, 0, 1900, 450), (0, 0, 200, 100)]
    assert found[0].positive == ((50, 25),)
    assert found[0].negative == ((1990, 495),)
    assert found[0].label == "a mug"
    assert len(targets(Answer("", items), WIDE, limit=1)) == 1


def test_objects_none_of_which_lies_in_the_picture_are_no_answer() -> None:
    with pytest.raises(ReasoningError, match=r"within 200x100, got .* convention"):
        targets(Answer("", (Item((500, 500, 600, 600)),)), SCALE, 8)
    assert targets(Answer("", ()), SCALE, 8) == ()


pieces = st.sampled_from(
    [
        *("<think>", "</think>", "<answer>", "</answer>", "[", "]", "{", "}", "(", ")", ",", ":"),
        *('"', "'", "`", "\\", "\n", " ", "bbox_2d", "point_2d", "label", '"bbox_2d": ', "[]"),
        *("1", "-2.5", "1e400", "9" * 50, "NaN", "null", "true", "é", "\0", "\ud800", ONE),
        "```json",
        *("[10, 20, 30, 40]", '{"bbox_2d": [1,2,3,4]}', "cannot_tell"),
    ]
)  # fmt: skip
hostile = st.one_of(st.text(max_size=200), st.lists(pieces, max_size=60).map("".join))


@given(hostile, st.booleans())
@example("<answer>[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1,2,3,4]", False)
@example("<answer>[٣, ٤, ٥, ٦]</answer>", False)
def test_any_text_is_an_answer_or_our_own_error(text: str, wrapped: bool) -> None:
    try:
        read = parse(f"<answer>{text}</answer>" if wrapped else text)
        found = targets(read, WIDE, limit=4)
    except ReasoningError:
        return
    assert len(found) <= 4
    for target in found:
        x0, y0, x1, y1 = target.box
        assert 0 <= x0 <= x1 - 1 <= 1999
        assert 0 <= y0 <= y1 - 1 <= 499
        for x, y in (*target.positive, *target.negative):
            assert 0 <= x < 2000
            assert 0 <= y < 500
        assert "\n" not in target.label


@given(hostile)
def test_intervals_fractions_and_ratings_are_in_bounds_or_refused(text: str) -> None:
    text = f"<answer>{text}</answer>"
    try:
        start, end = parse_interval(text, 12.0)
    except ReasoningError:
        pass
    else:
        assert 0.0 <= start < end <= 12.0
    with suppress(ReasoningError):
        assert 0.0 <= parse_fraction(text) <= 1.0
    with suppress(ReasoningError):
        assert 1.0 <= parse_difficulty(text).value <= 10.0


def seconds_for(text: str) -> float:
    started = time.process_time()
    with suppress(ReasoningError):
        parse(text)
    return time.process_time() - started


PIECES = (

        *("[", "{", "(", "]", "'", '"', "\\", '\\"', "<", "<think>", "<answer>", "</think>", " "),
        *("[1,", "{'a':", '{"bbox_2d":[', "'\n", "' ", "x' ", "9", "1.", "e", "-", "[]", "{}"),
        "[']",
        *("[1, 2, 3, 4], ", '{"bbox_2d": [1, 2, 3, 4]}, ', "`", "\n", ":", "1:1:1:", "[[", "a]"),
)  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_long_texts_take_time_in_proportion(piece: str) -> None:
    """Quadratic reading would take a hundred times as long for a text ten times as long."""
    whole = "<answer>[" + piece * (2**18 // len(piece))
    spent = seconds_for(whole)
    if spent > 0.2:
        assert spent < 40 * seconds_for(whole[: len(whole) // 10])
    assert spent < 5.0


@pytest.mark.parametrize("piece", ["'", "[1,", '{"bbox_2d": [1, 2, 3, 4]}, '])
def test_a_megabyte_is_read_in_seconds(piece: str) -> None:
    whole = "<answer>[" + piece * (2**20 // len(piece))
    assert seconds_for(whole) < 10.0
    with suppress(ReasoningError):
        parse_interval(whole, 5.0)
    with suppress(ReasoningError):
        parse_difficulty(whole)


def test_more_than_the_bound_is_not_read() -> None:
    with pytest.raises(ReasoningError):
        parse(" " * answer.MOST_CHARS + ONE)


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("<answer>[1.5, 4]</answer>", (1.5, 4.0)),
        ("<answer>From 4 s to 1.5 s.</answer>", (1.5, 4.0)),
        ("<answer>[00:02, 00:04.5]</answer>", (2.0, 4.5)),
        ("[3, 400]", (3.0, 10.0)),
        ("<think>at 7 or 8?</think><answer>{start: 2, end: 3}</answer>", (2.0, 3.0)),
    ],
)
def test_intervals(text: str, interval: tuple[float, float]) -> None:
    assert parse_interval(text, 10.0) == interval


@pytest.mark.parametrize("text", ["", "<answer>[3]</answer>", "[11, 12]", "[2, 2]", "soon"])
def test_what_is_no_interval(text: str) -> None:
    with pytest.raises(ReasoningError, match="expected"):
        parse_interval(text, 10.0)


def test_fractions() -> None:
    assert parse_fraction("<answer>0.4</answer>") == 0.4
    assert parse_fraction("<answer>about 40 %.</answer>") == 0.4
    assert parse_fraction("<answer>7</answer><answer>1</answer>") == 1.0
    for text in ("<answer>7</answer>", "half", "-0.1", "1e999"):
        with pytest.raises(ReasoningError, match="expected a number from 0 to 1"):
            parse_fraction(text)


def test_ratings_by_name_or_in_order() -> None:
    names = list(Difficulty.__dataclass_fields__)
    rated = Difficulty(3, 5, 2, 4, 1)
    by_name = dict(zip(names, (3, 5, 2, 4, 1), strict=True))
    assert parse_difficulty(f"<answer>```json\n{json.dumps(by_name)}```</answer>") == rated
    spaced = {name.replace("_", " ").title(): value for name, value in by_name.items()}
    assert parse_difficulty(json.dumps(spaced)) == rated
    assert parse_difficulty("[3, 5, 2, 4, 1]") == rated
    for text in ("[3, 5, 2, 4]", "[3, 5, 2, 4, 11]", "[3, 5, 2, 4, 0]", "easy"):
        with pytest.raises(ReasoningError, match="a rating from 1 to 10"):
            parse_difficulty(text)


def test_a_text_of_coordinates_is_held_to_the_same() -> None:
    with pytest.raises(ReasoningError, match="expected a list of objects"):
        parse('<answer>[{"bbox_2d": "1e999, 2, 3, 4"}]</answer>')
