"""The attribute reasoner on drawn scenes: who is meant, where, and when nobody is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from drawn_things import BLUE, GREEN, RED, WHITE, YELLOW, Thing, ask, frames, outline
from hypothesis import given, settings
from hypothesis import strategies as st

from streamseg.reasoning import GroundingRequest
from streamseg.reasoning.attribute import AttributeReasoner
from streamseg.reasoning.seen.pointing import bay_points
from streamseg.types import Box, Frame, Grounding, GroundingMode, Mask

CLIPS = Path(__file__).parents[3] / "shared" / "clips"


def overlap(a: Box, b: Box) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def final_mask(thing: Thing, count: int = 6, pan: tuple[float, float] = (0.0, 0.0)) -> Mask:
    shape, _, centre, radius, velocity = thing
    steps = 3 * (count - 1)
    at = np.asarray(centre) + (np.asarray(velocity) - np.asarray(pan)) * steps
    return outline(shape, (float(at[0]), float(at[1])), radius)


def box_of(mask: Mask) -> Box:
    ys, xs = np.nonzero(mask)
    return (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))


def meant(answer: Grounding, things: Sequence[Thing], **where: object) -> list[int]:
    """Numbers of the things that the answer's boxes lie on, ascending; each must lie on one."""
    boxes = [box_of(final_mask(thing, **where)) for thing in things]  # type: ignore[arg-type]
    found = []
    for target in answer.targets:
        best = max(range(len(boxes)), key=lambda k: overlap(boxes[k], target.box))
        assert overlap(boxes[best], target.box) > 0.7, answer.reasoning
        found.append(best)
    return sorted(found)


STAGE: tuple[Thing, ...] = (
    ("disc", RED, (100, 100), 40, (0, 0)),
    ("disc", RED, (480, 90), 24, (2.0, 0)),
    ("square", BLUE, (300, 180), 34, (0, 0)),
    ("star", YELLOW, (110, 270), 34, (0, 0)),
    ("ring", GREEN, (520, 270), 44, (-1.8, 0)),
    ("triangle", WHITE, (300, 300), 34, (0, 0)),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the blue thing", [2]),
        ("the star", [3]),
        ("the green ring", [4]),
        ("the white triangle", [5]),
        ("the large red ball", [0]),
        ("the smallest ball", [1]),
        ("the red ball on the right", [1]),
        ("the leftmost red object", [0]),
        ("the second ball from the left", [1]),
        ("the red balls", [0, 1]),
        ("both red balls", [0, 1]),
        ("the red ball and the blue square", [0, 2]),
        ("the moving ball", [1]),
        ("the ball that does not move", [0]),
        ("the object moving left", [4]),
        ("the ball left of the blue square", [0]),
        ("the object below the blue square", [5]),
        ("the red thing closest to the green ring", [1]),
        ("the star that is not red", [3]),
        ("all objects except the red balls", [2, 3, 4, 5]),
        ("the object in the bottom left corner", [3]),
        ("the thing in the middle", [2]),
        ("the yellow zebrafish", [3]),
        ("the red square", []),
        ("the purple star", []),
        ("the blue ball left of the pink ring", []),
        ("the moving star", []),
        ("", []),
    ],
)
def test_who_is_meant(text: str, expected: list[int]) -> None:
    assert meant(ask(text, SEGMENT), STAGE) == expected


SEGMENT = frames(STAGE)


def test_points_lie_on_and_just_off_the_object() -> None:
    (target,) = ask("the green ring", SEGMENT).targets
    mask = final_mask(STAGE[4])
    (x, y), (u, v) = target.positive[0], target.negative[0]
    assert mask[int(y), int(x)]
    ys, xs = np.nonzero(mask)
    distance = int(np.min(np.abs(xs - int(u)) + np.abs(ys - int(v))))
    assert 0 < distance <= 40


def test_points_lie_in_bays_that_show_something_else_and_in_no_hole() -> None:
    """A cutter takes for the object what it nearly encloses."""
    mask = np.zeros((60, 80), np.uint8)
    cv2.rectangle(mask, (0, 0), (50, 59), 1, -1)
    cv2.rectangle(mask, (50, 8), (79, 50), 1, -1)
    cv2.rectangle(mask, (51, 16), (79, 42), 0, -1)  # a bay, open to the right
    cv2.circle(mask, (25, 30), 8, 0, -1)  # a shine
    lab = np.zeros((100, 120, 3), np.float32)
    lab[10:70, 20:100][mask > 0] = (40.0, 20.0, -60.0)
    item: Any = SimpleNamespace(mask=mask > 0, x0=20, y0=10, lab=np.array((40.0, 20.0, -60.0)))
    picture: Any = SimpleNamespace(lab=lab)
    points = bay_points(picture, item)
    assert any(71 <= x < 100 and 26 <= y <= 52 for x, y in points)
    assert not any(mask[y - 10, x - 20] for x, y in points)
    assert not any(np.hypot(x - 45, y - 40) < 10 for x, y in points)
    lab[:] = (40.0, 20.0, -60.0)  # nothing else shows in the bay
    assert bay_points(picture, item) == []


def test_the_cameras_motion_is_not_the_objects() -> None:
    pan = (3.0, 0.0)
    segment = frames(STAGE, pan=pan)
    assert meant(ask("the moving ball", segment), STAGE, pan=pan) == [1]
    assert meant(ask("the moving star", segment), STAGE, pan=pan) == []


def test_one_frame_is_enough_but_says_nothing_of_motion() -> None:
    answer = ask("the moving red ball on the left", SEGMENT[-1:], token_budget=200)
    assert meant(answer, STAGE) == [0]
    assert "no measure for motion moving" in answer.reasoning


def test_reasons_name_what_was_looked_for_and_ignored() -> None:
    answer = ask("the blue wombat", SEGMENT, token_budget=200)
    assert "colour blue" in answer.reasoning
    assert "'wombat'" in answer.reasoning
    assert "chose #" in answer.reasoning
    assert answer.tokens == len(answer.reasoning.split())
    assert answer.seconds > 0


@pytest.mark.parametrize("budget", [1, 7, 30])
def test_reasons_keep_to_the_budget(budget: int) -> None:
    answer = ask("the red ball left of the blue square", SEGMENT, token_budget=budget)
    assert 0 < answer.tokens <= budget
    assert answer.tokens == len(answer.reasoning.split())


def test_fast_mode_takes_one_line() -> None:
    answer = ask("the blue square", SEGMENT, mode=GroundingMode.FAST)
    assert answer.reasoning.count("\n") == 0
    assert answer.targets == ask("the blue square", SEGMENT).targets


def test_most_targets_are_kept_to() -> None:
    request = GroundingRequest("all objects", SEGMENT[-1], SEGMENT)
    assert len(AttributeReasoner(max_targets=2).ground(request).targets) == 2


def test_frames_of_another_epoch_or_size_are_left_alone() -> None:
    older = Frame(0, 0, 0, np.zeros((48, 64, 3), np.uint8))
    other = Frame(1, 50_000_000, 1, SEGMENT[0].image)
    request = GroundingRequest("the star", SEGMENT[-1], (older, other, SEGMENT[-1]))
    assert meant(AttributeReasoner().ground(request), STAGE) == [3]


@settings(max_examples=12, deadline=None)
@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    seed=st.integers(0, 99),
    text=st.sampled_from(["the red ball", "all things", "the largest thing left of the blue one"]),
)
def test_any_picture_gets_an_answer_inside_it(size: tuple[int, int], seed: int, text: str) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    answer = ask(text, (Frame(0, 0, 0, image), Frame(1, 33_000_000, 0, image[::-1].copy())))
    for target in answer.targets:
        x0, y0, x1, y1 = target.box
        assert 0 <= x0 < x1 <= size[1] + 1e-6
        assert 0 <= y0 < y1 <= size[0] + 1e-6


@pytest.mark.skipif(
    not (CLIPS / "04_coffee.mp4").is_file(), reason=f"needs the real clips in {CLIPS}"
)
def test_the_blue_mug_is_found_from_the_first_frame_on() -> None:
    av = pytest.importorskip("av")
    truth = np.load(CLIPS / "04_coffee_blue_mug.npz")
    height, width = (int(side) for side in truth["shape"][-2:])
    masks = {
        int(index): np.unpackbits(bits)[: height * width].reshape(height, width) > 0
        for index, bits in zip(truth["index"], truth["bits"], strict=True)
    }
    held: list[Frame] = []
    with av.open(str(CLIPS / "04_coffee.mp4")) as clip:
        for index, picture in zip(range(91), clip.decode(video=0), strict=False):
            if index % 3 == 0 or index % 10 == 0:
                image = picture.to_ndarray(format="rgb24")
                held = [*held[-5:], Frame(index, index * 33_333_333, 0, image)]
            if index % 30 in (0, 10) and index in masks:
                answer = ask("the blue mug", tuple(held))
                assert overlap(answer.targets[0].box, box_of(masks[index])) > 0.8
