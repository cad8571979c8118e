"""overlay.mp4 plays, keeps its times, bears breaks, and says what it should."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from results import FPS, INFO, make_result

from streamseg.config import SinksConfig
from streamseg.errors import OutputError
from streamseg.sinks import Refused
from streamseg.sinks.output.folder import OutputFolder
from streamseg.sinks.video import VideoSink, bounded_size
from streamseg.types import FrameResult, SourceInfo


def write(
    folder: Path,
    results: list[FrameResult],
    config: SinksConfig | None = None,
    info: SourceInfo = INFO,
) -> None:
    sink = VideoSink(OutputFolder(folder), config or SinksConfig())
    sink.open(info, "the blue mug")
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
    write(tmp_path, [make_result(size=(64, 48))], info=replace(INFO, pixel_aspect=2.0))
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


def test_no_frames_leave_no_file(tmp_path: Path) -> None:
    write(tmp_path, [])
    assert not (tmp_path / "overlay.mp4").exists()


def test_an_unwritable_folder_is_refused_at_open() -> None:
    with pytest.raises(OutputError, match="cannot write to the output folder"):
        VideoSink(OutputFolder("/dev/null/out"), SinksConfig()).open(INFO, "the blue mug")


def test_holds_last_as_long_as_in_the_source(tmp_path: Path) -> None:
    """A screen recording: bursts of five pictures at 25 a second, each held for 3 s."""
    stamps = [3.2 * burst + 0.04 * i for burst in range(12) for i in range(5)]
    results = [make_result(i, pts_s=at) for i, at in enumerate(stamps)]
    write(tmp_path, results, info=replace(INFO, fps=100 / 59))  # what its container says
    times, _ = read(tmp_path)
    assert times == pytest.approx(stamps, abs=1e-3)
    with av.open(str(tmp_path / "overlay.mp4")) as container:
        assert (container.duration or 0) / 1e6 == pytest.approx(35.4, abs=0.01)


def test_stamps_that_do_not_grow_by_a_tick_cost_no_frame(tmp_path: Path) -> None:
    close = [1.0, 1.0, 1.000000001, 1.000000002, 0.9, 1.00001, 1.04, 1.08]
    write(tmp_path, [make_result(i, pts_s=at) for i, at in enumerate(close)])
    times, _ = read(tmp_path)
    assert len(times) == len(close)
    assert np.all(np.diff(times) > 0)
    assert times[-2:] == pytest.approx([0.04, 0.08], abs=1e-3)


@pytest.mark.parametrize("encoder", ["libx264", "mpeg4"])
def test_each_encoder_keeps_every_frame_and_plays(
    tmp_path: Path, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(av, "codecs_available", {encoder})
    times = [0.0, 0.04, 0.04, 3.0, 3.04, 3600.0]
    write(tmp_path, [make_result(i, pts_s=at) for i, at in enumerate(times)])
    with av.open(str(tmp_path / "overlay.mp4")) as container:
        assert container.streams.video[0].codec_context.name in {"h264", "mpeg4"}
    assert read(tmp_path)[0] == pytest.approx(times, abs=1e-3)


def test_a_frame_that_cannot_be_encoded_costs_that_frame(tmp_path: Path) -> None:
    sink = VideoSink(OutputFolder(tmp_path), SinksConfig())
    sink.open(INFO, "the blue mug")
    for index in range(6):
        result = make_result(index)
        if index == 3:
            flat = replace(result.frame, image=np.zeros((0, 64, 3), np.uint8))
            with pytest.raises(Refused):
                sink.write(replace(result, frame=flat))
        else:
            sink.write(result)
    sink.close({})
    assert sink.saved == (5, 5)
    times, _ = read(tmp_path)
    assert times == pytest.approx([0.0, 0.04, 0.08, 0.16, 0.2], abs=1e-3)


class Muxer:
    """A real one, which is given stamps that do not grow, as a container that counts in whole
    milliseconds would see them."""

    def __init__(self, container: Any) -> None:
        self._container = container
        self.refuse = False

    def mux(self, packet: Any) -> None:
        if self.refuse:
            packet.dts = packet.pts = 0
        self._container.mux(packet)

    def close(self) -> None:
        self._container.close()


def test_a_frame_that_the_muxer_refuses_costs_that_frame(tmp_path: Path) -> None:
    sink = VideoSink(OutputFolder(tmp_path), SinksConfig())
    sink.open(INFO, "the blue mug")
    sink.write(make_result(0))
    assert sink._video is not None
    muxer: Any = Muxer(sink._video._container)
    sink._video._container = muxer
    for index in range(1, 6):
        muxer.refuse = index in (2, 3)
        if muxer.refuse:
            with pytest.raises(Refused, match="cannot be encoded"):
                sink.write(make_result(index))
        else:
            sink.write(make_result(index))
    sink.close({})
    assert read(tmp_path)[0] == pytest.approx([0.0, 0.04, 0.16, 0.2], abs=1e-3)


def test_one_sink_writes_one_run_after_another(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path, overwrite=True)
    sink = VideoSink(folder, SinksConfig())
    for count in (3, 7):
        sink.open(INFO, "the blue mug")
        for index in range(count):
            sink.write(make_result(index))
        sink.close({})
        assert len(read(tmp_path)[0]) == count
