"""Colour, range, depth and alpha of videos, as players show them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from picture_tools import (
    BLUE,
    RED,
    close_to,
    colour_of,
    played,
    played_with_info,
    scene,
    transparent_below,
    write_scene,
)
from source_tools import Events

from streamseg.errors import SourceError
from streamseg.sources.pictures.painter import guessed_matrix

DATA = Path(__file__).parents[2] / "data"


@pytest.mark.parametrize("colour_range", [1, 2])
@pytest.mark.parametrize("matrix", [1, 4, 5, 6, 7, 9])
def test_tagged_matrix_and_range(tmp_path: Path, matrix: int, colour_range: int) -> None:
    film = write_scene(
        tmp_path / "a.mkv", "ffv1", "yuv444p", matrix=matrix, colour_range=colour_range
    )
    frame = played(film)[0]
    assert close_to(colour_of(frame.image, 0), RED)
    assert close_to(colour_of(frame.image, 2), BLUE)


@pytest.mark.parametrize(("size", "matrix"), [((1280, 720), 1), ((720, 576), 5), ((160, 120), 5)])
def test_what_names_no_matrix_is_guessed_by_its_size(
    tmp_path: Path, size: tuple[int, int], matrix: int
) -> None:
    image = av.VideoFrame.from_ndarray(scene(size), "rgb24")
    yuv = image.reformat(format="yuv420p", dst_colorspace=matrix)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = *size, "yuv420p", 9_000_000
        yuv.pts, yuv.colorspace = 0, 2
        container.mux(stream.encode(yuv))
        container.mux(stream.encode())
    (frame,) = played(tmp_path / "a.mp4")
    assert close_to(colour_of(frame.image, 0), RED)
    assert close_to(colour_of(frame.image, 2), BLUE)


def test_the_guess_minds_wide_and_tall_pictures() -> None:
    assert guessed_matrix(1280, 534, 2) == 1
    assert guessed_matrix(720, 576, 2) == 5
    assert guessed_matrix(608, 1080, 2) == 1
    assert guessed_matrix(320, 240, 9) == 9


@pytest.mark.parametrize(
    ("codec", "pixels", "suffix"),
    [
        ("ffv1", "yuv422p10le", "mkv"),
        ("ffv1", "yuv410p", "mkv"),
        ("ffv1", "rgb48le", "mkv"),
        ("ffv1", "gbrp12le", "mkv"),
        ("libx264", "yuv444p", "mp4"),
        ("rawvideo", "rgb555le", "avi"),
        ("prores_ks", "yuv422p10le", "mov"),
        ("mpeg2video", "yuv420p", "mpg"),
        ("libvpx-vp9", "yuv420p", "webm"),
        ("mjpeg", "yuvj444p", "avi"),
    ],
)
def test_any_layout_of_pixels(tmp_path: Path, codec: str, pixels: str, suffix: str) -> None:
    frame = played(write_scene(tmp_path / f"a.{suffix}", codec, pixels))[0]
    assert close_to(colour_of(frame.image, 0), RED, within=8)
    assert close_to(colour_of(frame.image, 2), BLUE, within=8)


def test_odd_sides(tmp_path: Path) -> None:
    (frame, _), info = played_with_info(
        write_scene(tmp_path / "a.mkv", "ffv1", "yuv420p", size=(161, 119))
    )
    assert frame.image.shape == (119, 161, 3) == (info.height, info.width, 3)
    assert close_to(colour_of(frame.image, 0), RED)


@pytest.mark.parametrize(
    ("codec", "pixels", "suffix"),
    [
        ("prores_ks", "yuva444p10le", "mov"),
        ("qtrle", "argb", "mov"),
        ("png", "rgba", "mov"),
        ("ffv1", "bgra", "mkv"),
        ("libvpx-vp9", "yuva420p", "webm"),
    ],
)
def test_what_alpha_hides_is_not_seen(tmp_path: Path, codec: str, pixels: str, suffix: str) -> None:
    def prepare(stream: av.VideoStream) -> None:
        if suffix == "webm":
            stream.metadata["alpha_mode"] = "1"

    image = transparent_below(scene())
    film = write_scene(tmp_path / f"a.{suffix}", codec, pixels, image=image, prepare=prepare)
    frames = played(film)
    assert len(frames) == 2
    assert close_to(colour_of(frames[0].image, 0), RED, within=8)
    assert colour_of(frames[0].image, 2) == ()
    ground = frames[0].image[70:]
    assert np.abs(ground.astype(int) - 128).max() <= 12


def test_an_alpha_that_is_zero_everywhere_means_nothing(tmp_path: Path) -> None:
    image = np.dstack([scene(), np.zeros((120, 160), np.uint8)])
    frame = played(write_scene(tmp_path / "a.mkv", "ffv1", "bgra", image=image))[0]
    assert close_to(colour_of(frame.image, 0), RED)


def test_hlg_as_zscale_makes_it() -> None:
    frame = played(DATA / "hlg.mov")[0]
    assert close_to(colour_of(frame.image, 0), RED, within=6)
    assert close_to(colour_of(frame.image, 2), BLUE, within=6)


def test_interlaced_video_is_told_of_once(tmp_path: Path) -> None:
    def prepare(stream: av.VideoStream) -> None:
        stream.options = {"x264-params": "interlaced=1:tff=1"}

    film = write_scene(tmp_path / "a.mp4", "libx264", "yuv420p", frames=3, prepare=prepare)
    events = Events()
    assert len(played(film, events)) == 3
    assert events.kinds == ["interlaced"]


def test_a_video_larger_than_allowed(tmp_path: Path) -> None:
    film = write_scene(tmp_path / "a.mp4", "mpeg4", "yuv420p")
    with pytest.raises(SourceError, match=r"160x120, .* more than source\.max_pixels allows"):
        played(film, max_pixels=10_000)
    assert len(played(film, max_pixels=160 * 120)) == 2
