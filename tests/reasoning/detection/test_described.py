"""Detectors from ONNX files: pictures fed as described, boxes back in the picture's pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_onnx import mean_colour, saying

from streamseg.config import ObjectsConfig
from streamseg.engines.arrays import ArrayEngine
from streamseg.errors import CheckpointError, ConfigError
from streamseg.reasoning import detection
from streamseg.reasoning.detection.described import DescribedDetector, feed, read
from streamseg.reasoning.detection.layout import Feeding, read_layout
from streamseg.types import Image

MODELS = Path(__file__).parents[4] / "shared" / "models"

SET = """
feeding: {size: [64, 32]}
reading: {kind: set, boxes: boxes, logits: logits}
classes: [dog, cup]
nms_iou: 1.0
"""
GRID = """
feeding: {size: [64, 32], resize: letterbox}
reading: {kind: grid}
classes: [dog, cup]
"""
DISTANCES = """
feeding: {size: [32, 32]}
reading: {kind: distances, strides: [16], bins: 4}
classes: [dog, cup]
"""


def logit(chance: float) -> float:
    return float(np.log(chance / (1 - chance)))


def grey(width: int, height: int) -> Image:
    return np.full((height, width, 3), 128, np.uint8)


def set_answers(*rows: tuple[tuple[float, ...], tuple[float, ...]]) -> dict[str, np.ndarray]:
    boxes, chances = zip(*rows, strict=True)
    logits = [[logit(chance) for chance in each] for each in chances]
    return {"boxes": np.float32([boxes]), "logits": np.float32([logits])}


def made(tmp_path: Path, layout: str, answers: dict[str, np.ndarray]) -> DescribedDetector:
    described = read_layout(layout, "tiny")
    width, height = described.feeding.size
    path = saying(tmp_path / "eye.onnx", (1, 3, height, width), answers)
    return DescribedDetector(ArrayEngine("eye", path), described)


def test_a_set_of_boxes_comes_back_in_the_pictures_pixels(tmp_path: Path) -> None:
    answers = set_answers(
        ((0.5, 0.5, 0.25, 0.5), (0.9, 0.1)),
        ((0.1, 0.1, 0.4, 0.4), (0.2, 0.7)),
        ((0.8, 0.8, 0.1, 0.1), (0.1, 0.1)),
    )
    found = made(tmp_path, SET, answers).detect(grey(200, 100))
    assert found.boxes == pytest.approx(np.float32([[75, 25, 125, 75], [0, 0, 60, 30]]))
    assert found.scores == pytest.approx([0.9, 0.7])
    assert found.classes.tolist() == [0, 1]


def test_a_background_class_is_no_class(tmp_path: Path) -> None:
    answers = set_answers(((0.5, 0.5, 0.25, 0.5), (0.6, 0.1, 0.99)))
    layout = SET.replace("logits: logits", "logits: logits, background: true")
    found = made(tmp_path, layout, answers).detect(grey(200, 100))
    assert found.scores == pytest.approx([0.6])
    assert found.classes.tolist() == [0]


@pytest.mark.parametrize("turned", [False, True])
def test_a_letterboxed_grid_comes_back_in_the_pictures_pixels(tmp_path: Path, turned: bool) -> None:
    # 100x100 into 64x32: scaled by 0.32 to 32x32, the right half is filling.
    table = np.float32([[16, 16, 16, 8, 0.8, 0.1], [16, 17, 16, 8, 0.6, 0.1]])
    padded = np.concatenate([table, np.zeros((5, 6), np.float32)])
    answer = padded.T[None] if turned else padded[None]
    found = made(tmp_path, GRID, {"out": np.ascontiguousarray(answer)}).detect(grey(100, 100))
    assert found.boxes == pytest.approx(np.float32([[25, 37.5, 75, 62.5]]))
    assert found.scores == pytest.approx([0.8])


def test_boxes_are_clipped_to_the_picture(tmp_path: Path) -> None:
    table = np.zeros((1, 7, 6), np.float32)
    table[0, 0] = (4, 4, 40, 40, 0.9, 0.0)
    found = made(tmp_path, GRID, {"out": table}).detect(grey(100, 50))
    assert found.boxes == pytest.approx(np.float32([[0, 0, 37.5, 37.5]]))


def test_distances_are_means_of_their_distributions(tmp_path: Path) -> None:
    chances = np.zeros((1, 4, 2), np.float32)
    chances[0, 3] = (0.1, 0.75)
    sides = np.zeros((1, 4, 4, 4), np.float32)
    sides[0, 3, 0, 1] = 80.0  # the left side surely one stride
    sides[0, 3, 1, 0] = 80.0  # the top at the centre itself
    sides[0, 3, 2] = (80.0, 80.0, -80.0, -80.0)  # the right half a stride
    answers = {"chances": chances, "sides": sides.reshape(1, 4, 16)}
    found = made(tmp_path, DISTANCES, answers).detect(grey(32, 32))
    # The last cell's centre is its middle pixel, 23.5; the bottom, undecided, at 1.5 strides.
    assert found.boxes == pytest.approx(np.float32([[7.5, 23.5, 31.5, 32.0]]))
    assert found.classes.tolist() == [1]


def test_distances_may_come_as_logits_and_from_cells_middles() -> None:
    text = DISTANCES.replace("bins: 4", "bins: 4, sigmoid: true, half_pixel: false")
    outputs = {"c": np.float32(np.zeros((1, 4, 2))), "s": np.float32(np.zeros((1, 4, 16)))}
    boxes, chances = read(outputs, read_layout(text, "tiny"))
    assert chances == pytest.approx(np.full((4, 2), 0.5))
    assert boxes[0] == pytest.approx([8 - 24, 8 - 24, 8 + 24, 8 + 24])


def picture_of(colour: tuple[int, int, int], width: int, height: int) -> Image:
    return np.full((height, width, 3), colour, np.uint8)


def test_a_picture_is_fed_in_the_order_and_range_described() -> None:
    feeding = Feeding(size=(32, 16), order="bgr", mean=(10, 20, 30), deviation=(2, 4, 5))
    fed, scale = feed(picture_of((130, 60, 50), 64, 64), feeding)
    assert fed.shape == (1, 3, 16, 32)
    assert fed.dtype == np.float32
    assert fed[0, :, 7, 7].tolist() == [20.0, 10.0, 20.0]
    assert scale == (0.5, 0.25)


def test_a_letterbox_keeps_the_shape_and_fills_right_and_below() -> None:
    feeding = Feeding(size=(32, 32), resize="letterbox", deviation=(1, 1, 1), fill=7)
    fed, scale = feed(picture_of((200, 200, 200), 64, 32), feeding)
    assert (fed[0, :, :16] == 200).all()
    assert (fed[0, :, 16:] == 7).all()
    assert scale == (0.5, 0.5)


@pytest.mark.parametrize(
    ("layout", "shape", "answers", "said"),
    [
        (SET, (1, 3, 32, 32), {}, r"expected one input of \[1, 3, 32, 64\], got .*32, 32"),
        (SET, (1, 3, 32, 64), {"boxes": (1, 5, 4)}, "expected 2 logits in 'logits'"),
        (SET, (1, 3, 32, 64), {"logits": (1, 5, 2)}, "expected boxes in 'boxes'"),
        (SET, (1, 3, 32, 64), {"boxes": (1, 5, 4), "logits": (1, 5, 3)}, "expected 2 logits"),
        (GRID, (1, 3, 32, 64), {"out": (1, 5, 9)}, "expected an output with 6 channels"),
        (DISTANCES, (1, 3, 32, 32), {"a": (1, 4, 2)}, r"expected an output of \[1, 4, 16\]"),
    ],
)
def test_a_description_that_does_not_fit_the_file_is_told(
    tmp_path: Path, layout: str, shape: tuple[int, ...], answers: dict, said: str
) -> None:
    given = {name: np.zeros(size, np.float32) for name, size in answers.items()}
    path = saying(tmp_path / "eye.onnx", shape, given or {"none": np.zeros(1, np.float32)})
    with pytest.raises(ConfigError, match=rf"^eye: {said}"):
        DescribedDetector(ArrayEngine("eye", path), read_layout(layout, "tiny"))


def test_build_opens_a_file_with_what_lies_beside_it(tmp_path: Path) -> None:
    answers = set_answers(((0.5, 0.5, 0.25, 0.5), (0.5, 0.1)))
    path = saying(tmp_path / "eye.onnx", (1, 3, 32, 64), answers)
    path.with_suffix(".yaml").write_text(SET)
    seen = detection.build(ObjectsConfig(detector=str(path)))
    assert seen.classes == ("dog", "cup")
    assert seen.threshold == 0.4
    assert len(seen.detect(grey(64, 32))) == 1


def test_a_file_that_leaves_its_sizes_open_takes_the_descriptions(tmp_path: Path) -> None:
    answers = set_answers(((0.5, 0.5, 0.25, 0.5), (0.5, 0.1)))
    path = saying(tmp_path / "eye.onnx", ("batch", 3, "height", "width"), answers)
    path.with_suffix(".yaml").write_text(SET)
    found = detection.build(ObjectsConfig(detector=str(path))).detect(grey(200, 100))
    assert found.boxes == pytest.approx(np.float32([[75, 25, 125, 75]]))


def test_a_threshold_of_ones_own_is_seen_down_to_half_of(tmp_path: Path) -> None:
    answers = set_answers(((0.5, 0.5, 0.25, 0.5), (0.42, 0.1)))
    path = saying(tmp_path / "eye.onnx", (1, 3, 32, 64), answers)
    path.with_suffix(".yaml").write_text(SET)
    for threshold, count in ((0.8, 1), (0.9, 0)):
        seen = detection.build(ObjectsConfig(detector=str(path), threshold=threshold))
        assert seen.threshold == threshold
        assert len(seen.detect(grey(64, 32))) == count


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nothing is at .*none\.onnx"):
        detection.build(ObjectsConfig(detector=str(tmp_path / "none.onnx")))


def test_what_a_network_is_fed_is_what_it_sees(tmp_path: Path) -> None:
    feeding = Feeding(size=(32, 16))
    engine = ArrayEngine("mean", mean_colour(tmp_path / "mean.onnx", (1, 3, 16, 32)))
    fed, _ = feed(picture_of((255, 51, 0), 50, 40), feeding)
    assert engine.run({"picture": fed})["mean"][0] == pytest.approx([1.0, 0.2, 0.0], abs=1e-5)


@pytest.mark.skipif(
    not (MODELS / "nanodet-g-416.onnx").is_file(), reason="no ../shared/models/nanodet-g-416.onnx"
)
def test_a_real_detector_sees_nothing_in_a_grey_picture() -> None:
    seen = detection.build(ObjectsConfig(detector=str(MODELS / "nanodet-g-416.onnx")))
    found = seen.detect(grey(640, 360))
    assert not (found.scores >= seen.threshold).any()
