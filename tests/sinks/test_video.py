"""overlay.mp4 plays, keeps its times, bears breaks, and says what it should."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from results import FPS, INFO, make_result

from streamseg.config import SinksConfig
from streamseg.errors import OutputError
from streamseg.sinks.video import VideoSink, VideoTime, bounded_size
from streamseg.types import FrameResult


def write(folder: Path, results: list[FrameResult], config: SinksConfig | None = None) -> None:
    sink = VideoSink(folder, config or SinksConfig())
    sink.open(INFO, "the blue mug")
    for result in results:
        sink.write(result)
    sink.close({})


def read(folder: Path) -> tuple[list[float], list[np.ndarray]]:
    times, pictures = [], []
    with av.open(str(folder / "overlay.mp4")) as container:
        for frame in container.decode(video=0):
            times.append(float(frame.time or 0.0))
            pictures.append(frame.to_ndarray(format="rgb24"))
    return times, pictures


def test_every_frame_is_there_at_its_own_time(tmp_path: Path) -> None:
    seconds = [5.0, 5.04, 5.08, 5.4, 5.44]  # a gap, as where frames were dropped
    results = [
        make_result(i, pts_s=at, rectangles={1: (9, 9, 30, 30)}) for i, at in enumerate(seconds)
    ]
    write(tmp_path, results)
    times, pictures = read(tmp_path)
    assert times == pytest.approx([at - 5.0 for at in seconds], abs=1e-3)
    assert pictures[0].shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("size", "max_side", "expected"),
    [
        ((1920, 1080), 960, (960, 540)),
        ((640, 360), 960, (640, 360)),
        ((641, 359), 960, (640, 360)),
        ((300, 1200), 960, (240, 960)),
        ((1, 1), 960, (2, 2)),
    ],
)
def test_the_longest_side_is_bounded_and_both_are_even(
    size: tuple[int, int], max_side: int, expected: tuple[int, int]
) -> None:
    assert bounded_size(*size, max_side) == expected


@pytest.mark.parametrize(
    ("aspect", "expected"), [(2.0, (640, 240)), (0.5, (320, 480)), (1.0, (320, 240))]
)
def test_pixels_are_stretched_to_squares(aspect: float, expected: tuple[int, int]) -> None:
    assert bounded_size(320, 240, 960, aspect) == expected
    assert max(bounded_size(320, 240, 300, aspect)) == 300


def test_the_overlay_of_pixels_that_are_not_square(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path, SinksConfig())
    sink.open(replace(INFO, pixel_aspect=2.0), "the mug")
    sink.write(make_result(size=(64, 48)))
    sink.close({})
    _, pictures = read(tmp_path)
    assert pictures[0].shape == (48, 128, 3)


def test_a_large_odd_picture_is_encoded_at_the_bounded_size(tmp_path: Path) -> None:
    result = make_result(size=(401, 203), rectangles={1: (100, 50, 300, 150)})
    write(tmp_path, [result], SinksConfig(overlay_max_side=200))
    _, pictures = read(tmp_path)
    assert pictures[0].shape == (102, 200, 3)


def test_another_resolution_mid_run_is_letterboxed(tmp_path: Path) -> None:
    results = [make_result(i, size=(200, 100), rectangles={1: (9, 9, 30, 30)}) for i in range(3)]
    results += [make_result(3 + i, size=(60, 120), epoch=1, pts_s=0.0 + i / FPS) for i in range(3)]
    write(tmp_path, results)
    times, pictures = read(tmp_path)
    assert len(pictures) == 6
    assert np.all(np.diff(times) > 0)
    bar = pictures[-1][60:80, :50]
    assert pictures[-1].shape == (100, 200, 3)
    assert bar.max() < 40


def test_a_killed_run_leaves_a_file_that_plays(tmp_path: Path) -> None:
    script = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from results import INFO, make_result
from streamseg.config import SinksConfig
from streamseg.sinks.video import VideoSink
sink = VideoSink(Path(sys.argv[1]), SinksConfig())
sink.open(INFO, "q")
for index in range(120):
    sink.write(make_result(index))
os.kill(os.getpid(), signal.SIGKILL)
"""
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", script, os.fspath(tmp_path), os.fspath(tests)], check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert len(read(tmp_path)[0]) >= 100


def test_no_frames_leave_no_file(tmp_path: Path) -> None:
    write(tmp_path, [])
    assert not (tmp_path / "overlay.mp4").exists()


def test_an_unwritable_folder_is_refused_at_open() -> None:
    with pytest.raises(OutputError, match="cannot write to the output folder"):
        VideoSink(Path("/dev/null/out"), SinksConfig()).open(INFO, "the blue mug")


def test_time_grows_over_breaks_and_repeats() -> None:
    time = VideoTime(fps=10.0)
    frames = [(0, 7.0), (0, 7.1), (1, 0.0), (1, 0.1), (1, 0.1), (2, 900.0)]
    times = [time.next_ns(make_result(0, epoch=e, pts_s=at).frame) / 1e9 for e, at in frames]
    assert times == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
