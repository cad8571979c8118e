"""The everyday reasoner over a detector that says what it is told to: who is meant among boxes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from tiny_onnx import saying

from streamseg import StreamSegmenter, reasoning
from streamseg.config import ObjectsConfig, ReasoningConfig, TracksConfig
from streamseg.errors import CheckpointError, ConfigError, MissingDependencyError
from streamseg.propagation.belief import words_fit
from streamseg.reasoning import GroundingRequest, Witness
from streamseg.reasoning.attribute import AttributeReasoner
from streamseg.reasoning.detection import Detections
from streamseg.reasoning.objects import ObjectsReasoner
from streamseg.reasoning.sightings import belief
from streamseg.reasoning.words.nouns import COCO80
from streamseg.types import KIND_WORTH, Box, Frame, Grounding, GroundingMode, Image, WordUse

WHITE, BLACK, RED, BLUE, BROWN, GREEN = (
    (238, 238, 236), (25, 25, 27), (200, 35, 35), (40, 70, 200), (115, 70, 38), (45, 150, 60),
)  # fmt: skip

SHARED = Path(__file__).parents[3] / "shared"
NANODET = SHARED / "models" / "nanodet-g-416.onnx"
CLIP = SHARED / "clips" / "tennis.mp4"

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Thing:
    """What stands in a box, in bands of colour from top to bottom, and how it moves in pixels per
    frame; `seen` is what the detector makes of it, "" for nothing."""

    seen: str
    box: Box
    colours: tuple[Colour, ...]
    score: float = 0.9
    velocity: tuple[float, float] = (0.0, 0.0)


class Told:
    """Implements `Detector`."""

    classes = COCO80
    threshold = 0.4

    def __init__(self, things: Sequence[Thing]) -> None:
        self._things = [thing for thing in things if thing.seen]

    def detect(self, image: Image) -> Detections:
        order = sorted(self._things, key=lambda thing: -thing.score)
        return Detections(
            np.float32([thing.box for thing in order]).reshape(-1, 4),
            np.float32([thing.score for thing in order]),
            np.asarray([COCO80.index(thing.seen) for thing in order], np.int64),
        )


def painted(things: Sequence[Thing], back: int) -> Image:
    """The things as they were `back` frames ago, over a mottled ground."""
    rng = np.random.default_rng(7)
    mottle = cv2.GaussianBlur(rng.normal(0, 60, (360, 640)).astype(np.float32), (0, 0), 5)
    image = np.repeat((150 + mottle)[..., None], 3, axis=2)
    for thing in things:
        x0, y0, x1, y1 = thing.box
        dx, dy = (-back * each for each in thing.velocity)
        tall = (y1 - y0) / len(thing.colours)
        for k, colour in enumerate(thing.colours):
            top, bottom = round(y0 + dy + k * tall), round(y0 + dy + (k + 1) * tall)
            image[max(0, top) : bottom, max(0, round(x0 + dx)) : round(x1 + dx)] = colour
    noise = cv2.GaussianBlur(rng.normal(0, 40, image.shape).astype(np.float32), (0, 0), 1.5)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def ask(text: str, *things: Thing, frames: int = 1) -> Grounding:
    segment = tuple(
        Frame(3 * k, k * 100_000_000, 0, painted(things, 3 * (frames - 1 - k)))
        for k in range(frames)
    )
    request = GroundingRequest(text, segment[-1], segment, token_budget=400)
    return ObjectsReasoner(Told(things)).ground(request)


def meant(grounding: Grounding, *things: Thing) -> list[int]:
    """Numbers of the things whose boxes were answered, in the order given; -1 for none of them."""
    found = []
    for target in grounding.targets:
        near = [k for k, thing in enumerate(things) if np.allclose(target.box, thing.box, atol=4.0)]
        found.append(near[0] if near else -1)
    return sorted(found)


MAN = Thing("person", (60.0, 90.0, 140.0, 320.0), (BROWN, WHITE, BLUE))
OTHER = Thing("person", (420.0, 100.0, 500.0, 330.0), (BROWN, BLACK, BLACK))
CHILD = Thing("person", (260.0, 220.0, 300.0, 330.0), (BROWN, RED, BLACK))
DOG = Thing("dog", (520.0, 250.0, 620.0, 330.0), (BROWN,))
CAT = Thing("cat", (170.0, 270.0, 240.0, 330.0), (BLACK,), 0.7)
CUP = Thing("cup", (330.0, 60.0, 370.0, 110.0), (BLUE,))
SCENE = (MAN, OTHER, CHILD, DOG, CAT, CUP)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the dog", [3]),
        ("the puppy", [3]),
        ("the mug", [5]),
        ("the animals", [3, 4]),
        ("the people", [0, 1, 2]),
        ("the two biggest people", [0, 1]),
        ("the smallest person", [2]),
        ("the leftmost person", [0]),
        ("the person on the right", [1]),
        ("the second person from the left", [2]),
        ("the black animal", [4]),
        ("the man in the white shirt", [0]),
        ("the person in black", [1]),
        ("the person who is not in black", [0]),
        ("the person next to the dog", [1]),
        ("the person closest to the cat", [2]),
        ("the dog to the right of the man in black", [3]),
        ("the animal that is not brown", [4]),
        ("all the people except the person in the white shirt", [1, 2]),
        ("the blue cup and the cat", [4, 5]),
        ("the red cup", []),
        ("the horse", []),
        ("the person next to the horse", []),
        ("all the bicycles", []),
        ("the swan", []),
    ],
)
def test_who_is_meant(text: str, expected: list[int]) -> None:
    grounding = ask(text, *SCENE)
    assert not grounding.cannot_tell
    assert meant(grounding, *SCENE) == expected


def test_a_thing_is_whole_though_only_its_shirt_is_white() -> None:
    (target,) = ask("the man in the white shirt", *SCENE).targets
    assert target.box == pytest.approx(MAN.box, abs=4.0)
    assert target.label == "person"
    assert target.positive == target.negative == ()


def test_words_are_told_as_far_as_classes_go() -> None:
    words = {word.text: word for word in ask("the blue mug next to the spout", *SCENE).words}
    assert words["blue"].use is WordUse.UNDERSTOOD
    assert (words["mug"].use, words["mug"].taken_as) == (WordUse.COARSE, "cup")
    assert words["spout"].use is WordUse.UNKNOWN
    assert words["spout"].known_to == ""
    assert {word.use for word in ask("the red dog", *SCENE).words} == {WordUse.UNDERSTOOD}


def test_a_kind_and_a_group_are_told_apart_from_the_class_itself() -> None:
    assert ask("the dog", *SCENE).understood == 1.0
    assert ask("the puppy", *SCENE).understood == KIND_WORTH


@pytest.mark.parametrize("text", ["the spout", "the man's hair", "the lid of the cup"])
def test_a_noun_that_nothing_decides_is_cannot_tell(text: str) -> None:
    grounding = ask(text, *SCENE)
    assert grounding.cannot_tell
    assert grounding.targets == ()
    assert "cannot tell" in grounding.reasoning


def test_an_unknown_noun_falls_to_its_attributes_and_to_what_is_no_other_thing() -> None:
    patch = Thing("", (200.0, 60.0, 280.0, 140.0), (RED,))
    grounding = ask("the red poster", *SCENE, patch)
    assert meant(grounding, *SCENE, patch) == [6]
    assert grounding.understood == 0.5
    assert grounding.targets[0].positive


def test_a_surer_thing_has_a_higher_score_and_a_doubtful_one_is_no_answer() -> None:
    unsure = Thing("dog", DOG.box, DOG.colours, score=0.41)
    hardly = Thing("dog", DOG.box, DOG.colours, score=0.22)
    (sure,), (less,) = ask("the dog", DOG).targets, ask("the dog", unsure).targets
    assert sure.score > 0.95 > 0.7 > less.score > 0.5
    assert ask("the dog", hardly).targets == ()


def test_evidence_grows_with_the_score_from_half_the_threshold_on() -> None:
    assert [belief(score, 0.4) for score in (0.1, 0.2, 0.4, 0.64, 0.9)] == pytest.approx(
        [0.0, 0.0, 0.6, 1.0, 1.0]
    )


def test_one_of_two_that_answer_alike_leads_by_nothing() -> None:
    twin = Thing("dog", (200.0, 250.0, 300.0, 330.0), (BROWN,))
    (alone,), (tied,) = ask("the dog", DOG).targets, ask("the dog", DOG, twin).targets
    assert alone.lead == 1.0
    assert tied.lead == pytest.approx(0.0, abs=0.02)


def test_a_part_seen_as_the_same_kind_of_thing_does_not_count_twice() -> None:
    torso = Thing("person", (62.0, 92.0, 138.0, 220.0), (), score=0.6)
    found = ObjectsReasoner(Told([MAN, torso, OTHER]))
    frame = Frame(0, 0, 0, painted([MAN, OTHER], 0))
    for text, expected in (("the people", [0, 1]), ("the smallest person", [0])):
        grounding = found.ground(GroundingRequest(text, frame, (frame,)))
        assert meant(grounding, MAN, OTHER) == expected


def test_a_child_before_a_parent_counts_as_one_more() -> None:
    held = Thing("person", (80.0, 150.0, 120.0, 220.0), (RED,))
    assert meant(ask("the people", MAN, held), MAN, held) == [0, 1]


def test_one_box_seen_as_two_classes_answers_to_both() -> None:
    both = (DOG, Thing("cat", DOG.box, DOG.colours, 0.5))
    for text in ("the dog", "the cat"):
        assert meant(ask(text, *both), *both) == [0]
    assert len(ask("the animals", *both).targets) == 1


WALKER = Thing("person", (120.0, 100.0, 200.0, 320.0), (RED, BLUE), velocity=(4.0, 0.0))
STANDER = Thing("person", (400.0, 100.0, 480.0, 320.0), (RED, BLUE))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the person who is walking", [0]),
        ("the person moving to the right", [0]),
        ("the person who is standing still", [1]),
        ("all the people who are moving", [0]),
    ],
)
def test_motion_chooses_where_it_tells_things_apart(text: str, expected: list[int]) -> None:
    grounding = ask(text, WALKER, STANDER, frames=5)
    assert meant(grounding, WALKER, STANDER) == expected


def test_motion_that_is_not_measured_leaves_a_doubted_answer_to_a_known_noun() -> None:
    (moving,) = ask("the walking person", WALKER, frames=5).targets
    (still,) = ask("the walking person", STANDER, frames=5).targets
    assert moving.score > 0.9
    assert 0.3 <= still.score <= 0.6


def test_no_picture_shows_what_the_detector_does_not_see() -> None:
    nothing = ask("the dog", Thing("", DOG.box, DOG.colours))
    assert nothing.targets == ()
    assert not nothing.cannot_tell
    assert "no such object" in nothing.reasoning


def test_most_targets_are_kept_to() -> None:
    things = [MAN, OTHER, CHILD]
    frame = Frame(0, 0, 0, painted(things, 0))
    request = GroundingRequest("the people", frame, (frame,))
    assert len(ObjectsReasoner(Told(things), max_targets=2).ground(request).targets) == 2


def test_build_makes_it_from_a_config(tmp_path: Path) -> None:
    chances = [[0.01, 0.9], [0.01, 0.01]]
    logits = np.float32([[[np.log(p / (1 - p)) for p in row] for row in chances]])
    boxes = np.float32([[[0.5, 0.5, 0.25, 0.5], [0.1, 0.1, 0.1, 0.1]]])
    path = saying(tmp_path / "eye.onnx", (1, 3, 32, 64), {"boxes": boxes, "logits": logits})
    path.with_suffix(".yaml").write_text(
        "feeding: {size: [64, 32]}\n"
        "reading: {kind: set, boxes: boxes, logits: logits}\n"
        "classes: [dog, cup]\n"
    )
    config = ReasoningConfig(backend="objects", objects=ObjectsConfig(detector=str(path)))
    frame = Frame(0, 0, 0, painted([], 0))
    made = reasoning.build(config)
    (cup,) = made.ground(GroundingRequest("the mug", frame, (frame,))).targets
    assert cup.box == pytest.approx((240.0, 90.0, 400.0, 270.0), abs=4.0)
    assert made.ground(GroundingRequest("the dog", frame, (frame,))).targets == ()


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("eye.onnx", ConfigError, r"nothing says how eye\.onnx is to be read"),
        ("none.onnx", CheckpointError, r"nothing is at .*none\.onnx"),
        ("folder", CheckpointError, r"folder has no config\.json"),
        ("u2netp", CheckpointError, "u2netp is of kind cutter, expected detector"),
    ],
)
def test_what_the_process_could_not_load_is_refused_before_the_first_frame(
    tmp_path: Path, name: str, error: type[Exception], said: str
) -> None:
    (tmp_path / "eye.onnx").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    place = name if name == "u2netp" else str(tmp_path / name)
    changes = ["reasoning.backend=objects", f"reasoning.objects.detector={place}"]
    with pytest.raises(error, match=said):
        StreamSegmenter.from_config("classical", changes)


def test_without_onnxruntime_it_is_refused_before_the_first_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (tmp_path / "yolo-640.onnx").write_bytes(b"")
    config = ReasoningConfig(
        backend="objects", objects=ObjectsConfig(detector=str(tmp_path / "yolo-640.onnx"))
    )
    with pytest.raises(MissingDependencyError, match=r"streamseg\[everyday\]"):
        reasoning.prepare(config)


@pytest.mark.skipif(not NANODET.is_file(), reason="no ../shared/models/nanodet-g-416.onnx")
@pytest.mark.skipif(not CLIP.is_file(), reason="no ../shared/clips/tennis.mp4")
def test_the_real_detector_finds_the_tennis_player() -> None:
    with av.open(str(CLIP)) as clip:
        image = next(clip.decode(video=0)).to_ndarray(format="rgb24")
    frame = Frame(0, 0, 0, image)
    config = ReasoningConfig(backend="objects", objects=ObjectsConfig(detector=str(NANODET)))
    (player,) = (
        reasoning.build(config)
        .ground(GroundingRequest("the tennis player", frame, (frame,)))
        .targets
    )
    assert player.label == "person"
    assert player.score > 0.7
    x0, y0, x1, y1 = player.box
    assert y1 - y0 > 1.2 * (x1 - x0)


@pytest.mark.parametrize("text", ["the white posters", "the big white moving posters"])
def test_any_number_of_attributes_does_not_make_an_unknown_noun_known(text: str) -> None:
    patches = [Thing("", (x, 60.0, x + 80.0, 140.0), (WHITE,)) for x in (60.0, 210.0, 360.0)]
    grounding = ask(text, *patches)
    assert grounding.understood <= 0.5


def witness(text: str, *things: Thing) -> Grounding:
    frame = Frame(0, 0, 0, painted(things, 0))
    request = GroundingRequest(text, frame, (frame,), mode=GroundingMode.WITNESS)
    return ObjectsReasoner(Told(things)).witness(request)


def labels(grounding: Grounding) -> list[str] | None:
    return None if grounding.seen is None else sorted(each.label for each in grounding.seen)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the man in the white shirt", ["person"] * 3),
        ("the animals", ["cat", "dog"]),
        ("the dog and the mug", ["cup", "dog"]),
        ("the horse", []),
        ("the person next to the widget", ["person"] * 3),
    ],
)
def test_a_witness_tells_all_of_the_kinds_meant_and_chooses_none(
    text: str, expected: list[str]
) -> None:
    grounding = witness(text, *SCENE)
    assert grounding.targets == ()
    assert labels(grounding) == expected


@pytest.mark.parametrize("text", ["the widget", "the red thing", "the dog and the widget", ""])
def test_where_no_class_stands_for_a_noun_nothing_is_said(text: str) -> None:
    assert witness(text, *SCENE).seen is None


def test_an_answer_tells_them_too() -> None:
    grounding = ask("the person on the right", MAN, OTHER, CHILD, DOG)
    assert len(grounding.targets) == 1
    assert labels(grounding) == ["person"] * 3
    assert ask("the white widget", MAN).seen is None


def test_boxes_and_scores_are_those_of_the_picture_and_a_thing_is_told_once() -> None:
    part = Thing("person", (62.0, 92.0, 138.0, 250.0), (BROWN,), 0.5)
    faint = Thing("person", DOG.box, (BROWN,), 0.25)
    grounding = witness("the man", MAN, part, faint)
    assert grounding.seen is not None
    assert [each.box for each in grounding.seen] == [MAN.box, DOG.box]
    sure, hardly = (each.score for each in grounding.seen)
    assert sure > 0.9
    assert 0.0 < hardly < 0.6


def test_only_who_sees_by_kind_is_a_witness() -> None:
    assert isinstance(ObjectsReasoner(Told([])), Witness)
    assert not isinstance(AttributeReasoner(), Witness)


LEFT_CUP = Thing("cup", (20.0, 250.0, 60.0, 300.0), (BLUE,))
MIDDLE_CUP = Thing("cup", (300.0, 250.0, 340.0, 300.0), (BLUE,))
RIGHT_CUP = Thing("cup", (560.0, 250.0, 600.0, 300.0), (BLUE,))
NEAR_CAT = Thing("cat", (120.0, 240.0, 220.0, 310.0), (BLACK,))
FAR_DOG = Thing("dog", (420.0, 230.0, 520.0, 310.0), (BROWN,))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the cup between the cat and the dog", [1]),
        ("the cup between the dog and the black cat", [1]),
        ("the cup that is not between the cat and the dog", [0]),
        ("the cup between the cat and the horse", []),
        ("the cup between the cat and the widget", [0]),
    ],
)
def test_between_resolves_both_sides(text: str, expected: list[int]) -> None:
    """Where one side cannot be told the other decides, by nearness; where one is known and not
    seen, nothing is between."""
    things = (LEFT_CUP, MIDDLE_CUP, RIGHT_CUP, NEAR_CAT, FAR_DOG)
    found = meant(ask(text, *things), *things)
    assert found == expected or (text.startswith("the cup that is not") and found in ([0], [2]))


@pytest.mark.parametrize(
    "text", ["the blue bottle caps", "the blue cap of the bottle", "the bottle's blue cap"]
)
def test_an_unknown_part_is_answered_with_doubt_though_what_it_is_of_is_known(text: str) -> None:
    bottle = Thing("bottle", (300.0, 120.0, 350.0, 300.0), (WHITE, WHITE, WHITE))
    cap = Thing("", (305.0, 90.0, 345.0, 119.0), (BLUE,))
    grounding = ask(text, bottle, cap)
    assert grounding.understood <= 0.5
    least = TracksConfig().least_words
    assert all(words_fit(grounding, target) < least for target in grounding.targets)


@pytest.mark.parametrize("text", ["the caps", "the cap of the bottle", "the bottle's caps"])
def test_an_unknown_part_without_an_attribute_is_cannot_tell(text: str) -> None:
    bottle = Thing("bottle", (300.0, 120.0, 350.0, 300.0), (WHITE, WHITE, WHITE))
    assert ask(text, bottle).cannot_tell


BALL = Thing("frisbee", (200.0, 100.0, 260.0, 130.0), (WHITE,))


@pytest.mark.parametrize("text", ["the ball", "the white ball", "the white football"])
def test_a_ball_that_is_taken_for_a_frisbee_is_found_though_it_is_a_streak(text: str) -> None:
    grounding = ask(text, BALL, MAN)
    assert meant(grounding, BALL, MAN) == [0]
    assert labels(grounding) == ["frisbee"]


def test_who_asks_for_a_frisbee_does_not_mean_a_ball() -> None:
    ball = Thing("sports ball", BALL.box, BALL.colours)
    assert ask("the white frisbee", ball).targets == ()
    surer = ask("the ball", ball).targets[0].score
    assert surer > ask("the ball", BALL).targets[0].score


def test_an_unknown_noun_may_be_what_it_is_often_taken_for() -> None:
    """A window is seen as a screen; a person is surely none."""
    window = Thing("tv", (60.0, 60.0, 160.0, 200.0), (BLUE,), 0.5)
    person = Thing("person", (200.0, 60.0, 280.0, 300.0), (BLUE,))
    grounding = ask("the blue window", window, person)
    assert meant(grounding, window, person) == [0]
    assert grounding.targets[0].score > 0.8


@pytest.mark.parametrize(
    ("text", "expected"),
    [("the person on the left", [0]), ("the people on the left", [0, 1])],
)
def test_of_two_on_one_side_the_further_is_meant(text: str, expected: list[int]) -> None:
    assert meant(ask(text, MAN, CHILD, OTHER), MAN, CHILD, OTHER) == expected


def test_a_block_need_not_be_square_to_the_eye() -> None:
    blocks = [
        Thing("", (x, 120.0, x + 100.0, 165.0), (colour,))
        for x, colour in ((80.0, RED), (280.0, BLUE), (480.0, RED))
    ]
    assert meant(ask("the blue block", *blocks), *blocks) == [1]
    assert meant(ask("the red block on the right", *blocks), *blocks) == [2]
