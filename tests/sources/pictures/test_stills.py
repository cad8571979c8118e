"""Image files of every kind that Pillow and OpenCV know: frames, depth, alpha, colour, limits."""

from __future__ import annotations

import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from picture_tools import (
    BLUE,
    RED,
    close_to,
    colour_of,
    disc_at,
    played,
    played_with_info,
    scene,
    transparent_below,
)
from PIL import Image, ImageCms
from source_tools import Events

from streamseg.errors import SourceError

FRAMES = [Image.fromarray(scene(step=step)) for step in range(5)]
WORDS = scene()[..., ::-1].astype(np.uint16) * 257
"""The scene in OpenCV's order, 16 bits a channel."""


@pytest.mark.parametrize(
    ("name", "options", "stamps_s"),
    [
        ("a.tif", {}, [0.0, 0.1, 0.2, 0.3, 0.4]),
        ("a.webp", {"duration": 80}, [0.0, 0.08, 0.16, 0.24, 0.32]),
        ("a.png", {"duration": 50}, [0.0, 0.05, 0.1, 0.15, 0.2]),
        ("a.gif", {"duration": [100, 200, 300, 0, 100]}, [0.0, 0.1, 0.3, 0.6, 0.7]),
        ("no_suffix", {"format": "PNG", "duration": 50}, [0.0, 0.05, 0.1, 0.15, 0.2]),
    ],
)
def test_all_frames_with_their_times(
    tmp_path: Path, name: str, options: dict[str, Any], stamps_s: list[float]
) -> None:
    FRAMES[0].save(tmp_path / name, save_all=True, append_images=FRAMES[1:], **options)
    frames, info = played_with_info(tmp_path / name, fallback_fps=10)
    assert [frame.pts_s for frame in frames] == pytest.approx(stamps_s)
    places = [disc_at(frame.image)[0] * 160 for frame in frames]
    assert np.diff(places) == pytest.approx([1, 1, 1, 1], abs=0.3)
    assert info.frame_count == 5


def test_animations_and_stills_of_a_folder_follow_one_another(tmp_path: Path) -> None:
    FRAMES[0].save(tmp_path / "1.png")
    FRAMES[0].save(tmp_path / "2.webp", save_all=True, append_images=FRAMES[1:3], duration=40)
    FRAMES[0].save(tmp_path / "3.png")
    stamps_s = [frame.pts_s for frame in played(f"{tmp_path}/*.*", fallback_fps=10)]
    assert stamps_s == pytest.approx([0.0, 0.1, 0.14, 0.18, 0.22])


def test_other_views_of_the_same_moment_are_left_out_with_a_word(tmp_path: Path) -> None:
    FRAMES[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=FRAMES[1:])
    events = Events()
    assert len(played(tmp_path / "a.jpg", events)) == 1
    assert events.kinds == ["pages"]
    assert "only the first of 5" in events.text


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("RGB", s) for s in ("jpg", "png", "webp", "tif", "bmp", "gif", "ppm", "tga", "jp2", "avif")]
    + [("CMYK", "jpg"), ("CMYK", "tif"), ("P", "png"), ("YCbCr", "jpg"), ("RGBA", "png")],
)
def test_every_kind_of_colour(tmp_path: Path, mode: str, suffix: str) -> None:
    FRAMES[0].convert(mode, palette=Image.Palette.ADAPTIVE).save(tmp_path / f"a.{suffix}")
    (frame,) = played(tmp_path / f"a.{suffix}")
    assert close_to(colour_of(frame.image, 0), RED, within=8)
    assert close_to(colour_of(frame.image, 2), BLUE, within=8)
    assert frame.image.flags.c_contiguous


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_what_alpha_hides_is_not_seen(tmp_path: Path, suffix: str) -> None:
    picture = Image.fromarray(transparent_below(scene()))
    picture.save(tmp_path / f"a.{suffix}", lossless=True)
    (frame,) = played(tmp_path)
    assert colour_of(frame.image, 0) == RED
    assert (frame.image[60:] == 128).all()


def test_a_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    picture = FRAMES[0].quantize(8)
    hidden = picture.getpixel((130, 100))
    for name in ("a.gif", "a.png"):
        picture.save(tmp_path / name, transparency=hidden)
        (frame,) = played(tmp_path / name)
        assert colour_of(frame.image, 0) == RED
        assert colour_of(frame.image, 2) == ()


def test_grey_and_one_bit(tmp_path: Path) -> None:
    FRAMES[0].convert("L").save(tmp_path / "1.png")
    Image.fromarray(scene()[..., 0] > 200).save(tmp_path / "2.png")
    grey, bits = played(tmp_path)
    assert np.ptp(grey.image, axis=2).max() == 0
    assert 85 <= grey.image[30, 40, 0] <= 90  # BT.601's luma of the disc
    assert set(np.unique(bits.image)) == {0, 255}


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("bits", [16, 14, 12, 10])
def test_sixteen_bits_and_sensors_of_fewer(tmp_path: Path, name: str, bits: int) -> None:
    assert cv2.imwrite(str(tmp_path / name), WORDS >> (16 - bits))
    events = Events()
    (frame,) = played(tmp_path, events)
    assert close_to(colour_of(frame.image, 0), RED)
    assert close_to(colour_of(frame.image, 2), BLUE)
    assert events.kinds == ([] if bits == 16 else ["stretched"])
    assert bits == 16 or f"only {bits}" in events.text


def test_brightness_is_stretched_alike_and_told_once(tmp_path: Path) -> None:
    for number in range(4):
        dim = (WORDS >> 4) if number % 2 else (WORDS >> 5)
        cv2.imwrite(str(tmp_path / f"{number}.png"), dim)
    events = Events()
    frames = played(tmp_path, events)
    assert [close_to(colour_of(f.image, 0), RED) for f in frames] == [False, True, False, True]
    assert events.kinds == ["stretched"]


def test_grey_of_sixteen_bits_floats_and_wide_integers(tmp_path: Path) -> None:
    red = scene()[..., 0]
    values: list[Any] = [red.astype(np.uint16) * 257, np.float32(red / 255), np.float32(red)]
    values += [np.float32(red) * 7 - 300, red.astype(np.int32) * 1000]
    for value in values:
        Image.fromarray(value).save(tmp_path / "a.tif")
        (frame,) = played(tmp_path)
        assert frame.image[30, 40, 0] > frame.image[0, 0, 0] > frame.image[110, 140, 0]
    assert frame.image[30, 40, 0] == 255


def test_deep_pages_with_alpha_and_orientation(tmp_path: Path) -> None:
    found, encoded = cv2.imencodemulti(".tif", [WORDS, WORDS >> 1, WORDS])
    assert found
    (tmp_path / "a.tif").write_bytes(encoded.tobytes())
    assert len(played(tmp_path / "a.tif")) == 3
    alpha = transparent_below(scene())[..., 3].astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "b.png"), np.dstack([WORDS >> 4, alpha]))
    (frame,) = played(tmp_path / "b.png")
    assert close_to(colour_of(frame.image, 0), RED)
    assert colour_of(frame.image, 2) == ()


def test_a_profile_of_other_colours_is_honoured(tmp_path: Path) -> None:
    """Exchanged in the profile, red is blue: a picture of it shows which was asked."""
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = plain.replace(b"rXYZ", b"tmp_").replace(b"bXYZ", b"rXYZ").replace(b"tmp_", b"bXYZ")
    swapped = swapped.replace(b"s\0R\0G\0B", b"s\0W\0A\0P").replace(b"sRGB", b"sWAP", 3)
    FRAMES[0].save(tmp_path / "1.png", icc_profile=plain)
    FRAMES[0].save(tmp_path / "2.png", icc_profile=b"no profile at all")
    FRAMES[0].save(tmp_path / "3.png", icc_profile=swapped)
    as_is, broken, exchanged = played(tmp_path)
    assert colour_of(as_is.image, 0) == colour_of(broken.image, 0) == RED
    assert exchanged.image[30, 40, 2] > 150 > exchanged.image[30, 40, 0]


def _claimed(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 10_000_000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    bombs: dict[str, Callable[[], bytes]] = {
        "a.png": lambda: _claimed(100_000, 100_000),
        "b.png": lambda: _claimed(12_000, 9_000),
        "no_suffix": lambda: _claimed(30_000, 30_000),
    }
    for name, make in bombs.items():
        (tmp_path / name).write_bytes(make())
        tracemalloc.start()
        begun_s = time.monotonic()
        with pytest.raises(SourceError, match=r"more than source\.max_pixels allows \(100\.0\)"):
            played(tmp_path / name)
        assert time.monotonic() - begun_s < 10
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
        tracemalloc.stop()


def test_more_may_be_allowed_and_less(tmp_path: Path) -> None:
    FRAMES[0].save(tmp_path / "a.png")
    assert len(played(tmp_path / "a.png", max_pixels=160 * 120)) == 1
    with pytest.raises(SourceError, match=r"160x120, .*source\.max_pixels=19200"):
        played(tmp_path / "a.png", max_pixels=160 * 120 - 1)


def test_a_giant_in_a_folder_is_left_out(tmp_path: Path) -> None:
    FRAMES[0].save(tmp_path / "1.png")
    (tmp_path / "2.png").write_bytes(_claimed(100_000, 100_000))
    FRAMES[0].save(tmp_path / "3.png")
    events = Events()
    assert [f.pts_s for f in played(tmp_path, events, fallback_fps=10)] == [0.0, 0.2]
    assert events.kinds == ["damaged"]
    assert "megapixels" in events.text
