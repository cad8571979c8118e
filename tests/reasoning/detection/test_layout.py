"""Descriptions of detectors: found beside the file, by name or by path, and checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamseg.errors import ConfigError
from streamseg.reasoning.detection.layout import (
    DistanceReading,
    GridReading,
    SetReading,
    find_layout,
    known_layouts,
    read_layout,
)
from streamseg.reasoning.words.nouns import COCO80

TINY = """
feeding: {size: [64, 32], order: bgr}
reading: {kind: grid}
classes: [Dog, " cup "]
"""


def test_those_that_ship_can_be_read() -> None:
    kinds = {name: find_layout(Path(f"{name}.onnx"), name).reading for name in known_layouts()}
    assert isinstance(kinds["detr-640"], SetReading)
    assert isinstance(kinds["nanodet-g-416"], DistanceReading)
    assert isinstance(kinds["yolo-640"], GridReading)


def test_names_are_lower_case_and_cocos_are_known() -> None:
    assert read_layout(TINY, "tiny").names == ("dog", "cup")
    assert find_layout(Path("x.onnx"), "yolo-640").names == COCO80
    assert len(COCO80) == len(set(COCO80)) == 80


def test_a_file_beside_the_model_goes_before_a_known_name(tmp_path: Path) -> None:
    model = tmp_path / "yolo-640.onnx"
    assert find_layout(model, "auto").feeding.size == (640, 640)
    model.with_suffix(".yaml").write_text(TINY)
    assert find_layout(model, "auto").feeding.size == (64, 32)


def test_a_path_that_is_named_goes_before_all(tmp_path: Path) -> None:
    (tmp_path / "beside.yaml").write_text(TINY.replace("64, 32", "128, 32"))
    (tmp_path / "own.yaml").write_text(TINY)
    found = find_layout(tmp_path / "beside.onnx", str(tmp_path / "own.yaml"))
    assert found.feeding.size == (64, 32)


def test_a_model_that_nothing_describes_says_what_to_write(tmp_path: Path) -> None:
    expected = r"^nothing says how eye\.onnx is to be read: expected eye\.yaml beside it, or .*yolo"
    with pytest.raises(ConfigError, match=expected):
        find_layout(tmp_path / "eye.onnx", "auto")


def test_a_name_that_is_none_lists_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"no detector layout 'yolo-9': .*yolo-640"):
        find_layout(Path("x.onnx"), "yolo-9")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("feeding: [", "is not valid YAML"),
        ("- 1", "expected a mapping at the top, got list"),
        ("reading: {kind: grid}", "feeding.*required"),
        (TINY.replace("64, 32", "64, 4"), r"feeding\.size\.1.*greater than or equal to 16, got 4"),
        (TINY.replace("kind: grid", "kind: anchors"), "reading.*'distances', 'set', 'grid'"),
        (TINY.replace("bgr", "hsv"), r"feeding\.order.*'rgb' or 'bgr', got \"hsv\""),
        (TINY.replace('[Dog, " cup "]', "[]"), "at least one class name"),
        (TINY.replace('[Dog, " cup "]', "coco91"), "classes"),
        (TINY + "threshold: 1.5\n", "threshold.*less than 1, got 1.5"),
        (TINY + "treshold: 0.5\n", "treshold.*did you mean 'threshold'"),
        (TINY.replace("grid}", "distances, strides: [8], bins: 1}"), "bins.*got 1"),
        (TINY + "classes: !!python/object:os.system x\n", "is not valid YAML"),
    ],
)
def test_a_bad_description_is_one_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        read_layout(text, "mine.yaml")
    assert "mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)
