"""Masks kept on disk come back as they were, also after the process that wrote them was killed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from results import make_result

from streamseg.errors import OutputError, UsageError
from streamseg.types import Propagated
from streamseg.video.spool import MaskSpool
from streamseg.video.turned import turned

RUN = {"query": "the mug", "video": "a.mp4", "--max-frames": None}


def masks(seed: int) -> Propagated:
    """Two objects, and a third that is not seen."""
    labels = np.zeros((24, 32), np.uint16)
    labels[seed : seed + 5, 3:9] = 1
    labels[12:20, seed : seed + 4] = 300
    return Propagated(labels, {1: 0.5, 300: 0.25, 7: 0.0})


def is_kept(spool: MaskSpool, at: int, kept: Propagated) -> None:
    again = spool.get(at, 24, 32)
    assert np.array_equal(again.labels, kept.labels)
    assert again.scores == kept.scores


def test_masks_come_back_in_any_order() -> None:
    spool = MaskSpool.unnamed()
    for at in (7, 6, 5, 9):
        spool.put(at, masks(at))
    for at in (5, 9, 7, 6):
        is_kept(spool, at, masks(at))
    assert 8 not in spool
    spool.close(done=False)


def test_a_run_goes_on_with_what_was_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.resume"
    spool = MaskSpool.begin(path, RUN, replace=False)
    spool.begun_with({"target": 7})
    spool.put(7, masks(7))
    spool.put(6, masks(6))
    spool.close(done=False)
    whole = path.stat().st_size
    path.write_bytes(path.read_bytes() + b'{"frame": 5, "scores": {"1": 0.')
    again = MaskSpool.again(path, RUN)
    assert path.stat().st_size == whole
    assert again.start == {"target": 7}
    assert 5 not in again
    again.put(5, masks(5))
    for at in (5, 6, 7):
        is_kept(again, at, masks(at))
    again.close(done=True)
    assert not path.exists()


def test_an_unfinished_run_is_neither_replaced_nor_mixed_unasked(tmp_path: Path) -> None:
    path = tmp_path / "a.resume"
    MaskSpool.begin(path, RUN, replace=False).close(done=False)
    with pytest.raises(OutputError, match="unfinished run: give --resume"):
        MaskSpool.begin(path, RUN, replace=False)
    with pytest.raises(UsageError, match="a run with another query"):
        MaskSpool.again(path, {**RUN, "query": "the cup"})
    replaced = MaskSpool.begin(path, {**RUN, "query": "the cup"}, replace=True)
    assert replaced.start is None
    with pytest.raises(OutputError, match="another run is writing"):
        MaskSpool.again(path, {**RUN, "query": "the cup"})
    with pytest.raises(OutputError, match="another run is writing"):
        MaskSpool.begin(path, RUN, replace=True)
    replaced.close(done=False)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("precious")
    (tmp_path / "a.resume").symlink_to(other)
    with pytest.raises(OutputError):
        MaskSpool.again(tmp_path / "a.resume", RUN)
    MaskSpool.begin(tmp_path / "a.resume", RUN, replace=True).close(done=True)
    assert other.read_text() == "precious"


@pytest.mark.parametrize("content", [b"", b"\n", b"[]\n", b'{"streamseg": 99}\n', b"\xff" * 50])
def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.resume"
    path.write_bytes(content)
    with pytest.raises(OutputError, match="not an unfinished run"):
        MaskSpool.again(path, RUN)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "record",
    [
        {"frame": 5},
        {"frame": 5, "scores": {"x": 1}, "masks": {}},
        {"frame": 5, "scores": {}, "masks": {"1": {"size": [9, 9], "counts": "q2"}}},
        {"frame": 5, "scores": {}, "masks": {"1": {"size": [24, 32], "counts": "q2"}}},
        {"frame": 5, "scores": {}, "masks": {"99999": {"size": [24, 32], "counts": "0Ph0"}}},
        {"frame": 5, "scores": {}, "masks": []},
    ],
)
def test_damaged_masks_are_told_of(tmp_path: Path, record: dict[str, object]) -> None:
    path = tmp_path / "a.resume"
    MaskSpool.begin(path, RUN, replace=False).close(done=False)
    path.write_bytes(path.read_bytes() + json.dumps(record).encode() + b"\n")
    spool = MaskSpool.again(path, RUN)
    with pytest.raises(OutputError, match="the masks of frame 5 are damaged"):
        spool.get(5, 24, 32)
    spool.close(done=False)


def test_turned_frames_go_on_in_time() -> None:
    about = make_result(10).frame
    back = [turned(make_result(at).frame, about) for at in (10, 9, 7)]
    assert [frame.index for frame in back] == [10, 11, 13]
    steps = np.diff([frame.pts_ns for frame in back])
    assert steps[1] == pytest.approx(2 * steps[0], abs=2)
    assert steps[0] > 0
    assert np.array_equal(back[2].image, make_result(7).frame.image)
