"""Rewards by the papers' formulas, on completions counted by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamseg.training import rewards
from streamseg.training.rewards import Completion, Predicted, Truth

NOTHING = Truth((), ())
SIZE = (840, 840)


def rectangle(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros(SIZE[::-1], bool)
    mask[y0:y1, x0:x1] = True
    return mask


ONE = Truth.of_masks([rectangle(100, 100, 300, 200)], SIZE)
TWO = Truth.of_masks([rectangle(100, 100, 300, 200), rectangle(500, 500, 600, 700)], SIZE)


def item(
    box: list[float] = [100, 100, 300, 200],  # noqa: B006 - never changed
    point: list[float] | None = None,
    negative: list[float] | None = None,
) -> dict[str, list[float]]:
    made = {"bbox_2d": box, "point_2d": point or [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]}
    return made | ({} if negative is None else {"negative_point_2d": negative})


def completion(*items: object, thinking: str = "It is on the left.") -> Completion:
    text = f"<think>{thinking}</think>\n<answer>{json.dumps(items)}</answer>"
    return Completion.of(text)


def test_a_perfect_answer_earns_everything() -> None:
    perfect = completion(item(negative=[310, 150]))
    assert rewards.total(perfect, ONE, used=40, budget=40) == 1 + 2 + 3 + 1 + 1


def test_an_empty_answer_to_an_empty_truth_earns_everything_too() -> None:
    assert rewards.total(completion(), NOTHING, used=4, budget=16) == 8.0


def test_an_empty_answer_to_a_truth_earns_only_its_form() -> None:
    none = completion()
    assert rewards.accuracy(none, ONE) == 0.0
    assert rewards.answer_format(none, ONE) == 0.0
    assert rewards.total(none, ONE, used=4, budget=16) == 2.0


def test_an_invented_object_has_no_accuracy() -> None:
    assert rewards.accuracy(completion(item()), NOTHING) == 0.0


@pytest.mark.parametrize(
    ("text", "earned"),
    [
        ("<think>a</think><answer>[]</answer>", 1.0),
        ("<think>a</think>\n\n <answer>[]</answer>\n", 1.0),
        ("<answer>[]</answer>", 0.0),
        ("So: <think>a</think><answer>[]</answer>", 0.0),
        ("<think>a</think> so <answer>[]</answer>", 0.0),
        ("<think>a</think><answer>[]</answer> done", 0.0),
        ("<think>a<think>b</think><answer>[]</answer>", 0.0),
        ("<think>a</think><answer>[]</answer><think>a</think><answer>[]</answer>", 0.0),
    ],
)
def test_thinking_format(text: str, earned: float) -> None:
    assert rewards.thinking_format(Completion.of(text)) == earned


def test_answer_format_is_the_mean_over_the_items() -> None:
    half = completion(item(), {"bbox_2d": [1, 2, 3, 4]}, {"point_2d": [1, 2, 3]})
    assert rewards.answer_format(half, ONE) == pytest.approx((2 + 1 + 0) / 3)


@pytest.mark.parametrize("text", ["[1, 2", '{"bbox_2d": [1, 2, 3, 4]}', "[[1, 2]]", "none", ""])
def test_what_cannot_be_read_earns_neither_form_nor_accuracy(text: str) -> None:
    unread = Completion.of(f"<think>a</think><answer>{text}</answer>")
    assert unread.items is None
    assert rewards.answer_format(unread, ONE) == rewards.accuracy(unread, ONE) == 0.0
    assert rewards.answer_format(unread, NOTHING) == rewards.accuracy(unread, NOTHING) == 0.0


@pytest.mark.parametrize(
    ("box", "point", "earned"),
    [
        ([100, 100, 300, 200], [200, 150], 3),
        ([109, 109, 309, 209], [200, 150], 3),  # mean error 9
        ([110, 110, 310, 210], [200, 150], 2),  # mean error 10 is not less than 10
        ([100, 100, 300, 200], [230, 150], 2),  # 30 px off
        ([100, 100, 300, 200], [229, 150], 3),
        ([100, 100, 190, 200], [195, 150], 0),  # IoU 0.45, error 27.5; near, but outside its box
        ([250, 100, 450, 200], [260, 150], 0),
    ],
)
def test_three_terms_of_a_pair(box: list[float], point: list[float], earned: int) -> None:
    assert rewards.accuracy(completion(item(box, point)), ONE) == earned


def test_boxes_overlap_with_both_ends_counted() -> None:
    assert rewards.box_iou((0, 0, 9, 9), (0, 0, 9, 9)) == 1.0
    assert rewards.box_iou((0, 0, 9, 9), (9, 9, 18, 18)) == pytest.approx(1 / 199)
    assert rewards.box_iou((0, 0, 9, 9), (10, 0, 19, 9)) == 0.0


def test_objects_are_matched_at_their_best_whatever_their_order() -> None:
    second = item([500, 500, 600, 700])
    assert rewards.accuracy(completion(second, item()), TWO) == 3.0
    assert rewards.accuracy(completion(item()), TWO) == 1.5
    assert rewards.accuracy(completion(item(), second, item()), TWO) == 2.0


def test_thresholds_grow_with_the_picture() -> None:
    large = Truth.of_masks(
        [np.kron(rectangle(100, 100, 300, 200), np.ones((2, 2), bool))], (1680, 1680)
    )
    assert large.scale == 2.0
    near = item([215, 215, 615, 415], [400, 300])
    assert rewards.accuracy(completion(near), large) == 3.0


@pytest.mark.parametrize(
    ("thinking", "earned"),
    [
        ("Red. Round. Left", 1.0),
        ("Red. Red. Left.", 1.0),
        ("Red. Red. Red.", 0.0),
        ("Red. Left. Red. Left.", 0.0),
        ("", 1.0),
    ],
)
def test_one_sentence_may_be_said_twice(thinking: str, earned: float) -> None:
    assert rewards.non_repeat(completion(thinking=thinking)) == earned


@pytest.mark.parametrize(
    ("points", "earned"),
    [
        ([[310, 150]], 1.0),
        ([[339, 150]], 1.0),  # 40 px from the last pixel, 299
        ([[340, 150]], 0.0),
        ([[320, 219]], 0.0),  # 21 across and 20 down: 41 by L1, 29 as the crow flies
        ([[200, 150]], 0.0),  # on the object
        ([[310, 150], [200, 150]], 0.5),
        ([[-5, 150]], 0.0),
        ([], 0.0),
    ],
)
def test_negative_points_lie_off_but_near(points: list[list[float]], earned: float) -> None:
    answer = completion(item() | {"negative_point_2d": points})
    assert rewards.negative_point(answer, ONE) == earned


def test_the_length_factor_is_soft_and_ends_at_nothing() -> None:
    assert rewards.length_factor(60, 60) == 1.0
    assert rewards.length_factor(100, 60) == pytest.approx(0.8)
    assert rewards.length_factor(260, 60) == pytest.approx(0.0, abs=1e-12)
    assert rewards.length_factor(1000, 60) == 0.0
    perfect = completion(item(negative=[310, 150]))
    assert rewards.total(perfect, ONE, used=100, budget=60) == pytest.approx(0.8 * 8)


def test_coordinates_are_scaled_to_the_picture() -> None:
    text = (
        '<think>a</think><answer>[{"bbox_2d": [50, 50, 150, 100], "point_2d": [100, 75]}]</answer>'
    )
    assert rewards.accuracy(Completion.of(text, (2.0, 2.0)), ONE) == 3.0


def test_an_empty_mask_is_no_truth() -> None:
    with pytest.raises(ValueError, match="at least a pixel"):
        Truth.of_masks([np.zeros(SIZE[::-1], bool)], SIZE)


def test_long_lists_are_cut() -> None:
    many = completion(*([item([500, 500, 510, 510])] * 200 + [item()]))
    assert many.items is not None
    assert len(many.items) == rewards.MOST_ITEMS
    assert rewards.accuracy(many, ONE) == 0.0


@given(st.text(max_size=300))
def test_any_text_earns_between_nothing_and_everything(text: str) -> None:
    for truth in (ONE, NOTHING):
        earned = rewards.total(Completion.of(f"<answer>{text}</answer>"), truth, 10, 16)
        assert 0.0 <= earned <= 8.0


def test_true_is_no_number() -> None:
    assert completion({"bbox_2d": [True, 1, 2, 3], "point_2d": [1, 2]}).items == (
        Predicted(None, (1.0, 2.0)),
    )


def test_few_objects_are_matched_as_scipy_matches_many() -> None:
    """Every matching tried, against the assignment over the same table."""
    from scipy.optimize import linear_sum_assignment

    random = np.random.default_rng(0)
    for _ in range(60):
        table = random.integers(0, 4, random.integers(1, 4, 2)).astype(float)
        rows, columns = linear_sum_assignment(-table)
        assert rewards._best_sum(table.tolist()) == table[rows, columns].sum()
