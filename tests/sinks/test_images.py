"""Index PNGs hold the ids themselves, and other readers agree."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from results import INFO, make_result

from streamseg.errors import OutputError
from streamseg.sinks.images import ImagesSink, encode_png
from streamseg.sinks.output.folder import OutputFolder
from streamseg.sinks.palette import colour_of, davis_palette


def test_one_picture_a_frame_named_by_its_index(tmp_path: Path) -> None:
    sink = ImagesSink(OutputFolder(tmp_path))
    sink.open(INFO, "the mug")
    for index in (0, 12):
        sink.write(make_result(index, rectangles={1: (10, 5, 30, 25)}))
    sink.close({})
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == [
        "000000.png",
        "000012.png",
    ]


def test_small_ids_are_the_indices_of_a_palette_picture(tmp_path: Path) -> None:
    labels = np.arange(256, dtype=np.uint16).reshape(8, 32)
    (tmp_path / "index.png").write_bytes(encode_png(labels))
    with av.open(str(tmp_path / "index.png")) as container:
        frame = next(container.decode(video=0))
    assert frame.format.name == "pal8"
    np.testing.assert_array_equal(frame.to_ndarray()[0], labels)


def test_small_ids_show_in_the_davis_colours() -> None:
    labels = np.arange(256, dtype=np.uint16).reshape(8, 32)
    bgr = cv2.imdecode(np.frombuffer(encode_png(labels), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(bgr[:, :, ::-1].reshape(-1, 3), davis_palette())
    assert davis_palette()[:4].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]


@pytest.mark.parametrize("top", [256, 65535])
def test_large_ids_are_16_bit_grey(top: int) -> None:
    labels = np.zeros((5, 7), np.uint16)
    labels[2, 3] = top
    decoded = cv2.imdecode(np.frombuffer(encode_png(labels), np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded.dtype == np.uint16
    np.testing.assert_array_equal(decoded, labels)


@pytest.mark.parametrize("overwrite", [False, True])
def test_pictures_that_are_not_a_runs_are_not_mixed_with(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "00000.png").write_bytes(b"drawn by hand")
    sink = ImagesSink(OutputFolder(tmp_path, overwrite))
    with pytest.raises(OutputError, match=r"not a run's, such as 00000\.png"):
        sink.check(())
    assert (tmp_path / "masks" / "00000.png").read_bytes() == b"drawn by hand"


def test_a_frame_that_comes_twice_is_there_as_it_came_last(tmp_path: Path) -> None:
    sink = ImagesSink(OutputFolder(tmp_path))
    sink.open(INFO, "the mug")
    sink.write(make_result(7, rectangles={1: (10, 5, 30, 25)}))
    last = make_result(7, rectangles={2: (0, 0, 5, 5)})
    sink.write(last)
    sink.close({})
    (path,) = (tmp_path / "masks").iterdir()
    assert path.read_bytes() == encode_png(last.masks.labels)


def test_neighbouring_ids_have_colours_far_apart() -> None:
    colours = np.asarray([colour_of(track_id) for track_id in range(1, 17)], int)
    steps = np.abs(np.diff(colours, axis=0)).sum(axis=1)
    assert steps.min() > 100
    assert len({tuple(colour) for colour in colours}) == 16
