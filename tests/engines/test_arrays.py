"""A whole network in one file, run on arrays: what it takes, what it gives, what it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_onnx import mean_colour, saying

from streamseg.engines import TensorSpec
from streamseg.engines.arrays import ArrayEngine
from streamseg.errors import EngineError

PICTURE = (1, 3, 4, 6)


def test_it_answers_with_arrays_and_says_what_it_takes(tmp_path: Path) -> None:
    engine = ArrayEngine("mean", mean_colour(tmp_path / "mean.onnx", PICTURE))
    assert engine.inputs == (TensorSpec("picture", PICTURE, "float32"),)
    assert engine.outputs == (TensorSpec("mean", (1, 3), "float32"),)
    picture = np.zeros(PICTURE, np.float32)
    picture[0, 1] = 2.0
    picture[0, 2, :2] = 1.0
    assert engine.run({"picture": picture})["mean"].tolist() == [[0.0, 2.0, 0.5]]


@pytest.mark.parametrize(
    ("given", "got"),
    [
        ({}, "none"),
        ({"picture": np.zeros((1, 3, 6, 4), np.float32)}, r"float32\[1, 3, 6, 4\]"),
        ({"picture": np.zeros(PICTURE, np.uint8)}, r"uint8\[1, 3, 4, 6\]"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, given: dict[str, np.ndarray], got: str) -> None:
    engine = ArrayEngine("mean", mean_colour(tmp_path / "mean.onnx", PICTURE))
    with pytest.raises(EngineError, match=rf"mean: input 'picture': expected .*, got {got}$"):
        engine.run(given)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"^eye: ONNX Runtime cannot load .*none\.onnx: .*$"):
        ArrayEngine("eye", tmp_path / "none.onnx")


def test_shapes_must_be_static(tmp_path: Path) -> None:
    path = mean_colour(tmp_path / "mean.onnx", (1, 3, "height", 6))
    with pytest.raises(EngineError, match=r"mean: expected static shapes, got 'picture' .*height"):
        ArrayEngine("mean", path)


def test_sides_that_are_left_open_are_those_of_the_picture(tmp_path: Path) -> None:
    path = mean_colour(tmp_path / "mean.onnx", ("batch", 3, "height", 6), ("batch", 3))
    engine = ArrayEngine("mean", path, picture=PICTURE)
    assert engine.inputs == (TensorSpec("picture", PICTURE, "float32"),)
    assert engine.outputs == (TensorSpec("mean", (1, 3), "float32"),)
    assert engine.run({"picture": np.ones(PICTURE, np.float32)})["mean"].tolist() == [[1.0] * 3]


@pytest.mark.parametrize("picture", [(1, 3, 4, 7), (1, 4, 6)])
def test_sides_that_are_not_open_stay(tmp_path: Path, picture: tuple[int, ...]) -> None:
    path = mean_colour(tmp_path / "mean.onnx", ("batch", 3, "height", 6))
    with pytest.raises(EngineError, match=r"mean: expected an input of .*, got 'picture' .*batch"):
        ArrayEngine("mean", path, picture=picture)


WITHOUT = """
import sys
sys.modules["onnxruntime"] = None
from pathlib import Path
from streamseg.engines.arrays import ArrayEngine
try:
    ArrayEngine("eye", Path(sys.argv[1]))
except Exception as error:
    print(type(error).__name__, error)
assert "torch" not in sys.modules
"""


def test_without_onnxruntime_the_error_names_the_extra(tmp_path: Path) -> None:
    path = saying(tmp_path / "a.onnx", PICTURE, {"one": np.ones(1, np.float32)})
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(path)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("MissingDependencyError onnxruntime is not installed")
    assert 'pip install "streamseg[everyday]"' in done.stdout
