"""The eight ways to lay a picture down, by every metadata that says so."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from picture_tools import disc_at, played, played_with_info, scene, write_scene
from PIL import Image, ImageOps

from streamseg.sources.pictures.matrix import display_matrix
from streamseg.sources.pictures.upright import from_exif, from_matrix, from_tag, turned

PICTURE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
WORDS = {1: "rotate-0", 2: "flip-rotate-0", 3: "rotate-180", 4: "flip-rotate-180"}
WORDS |= {5: "flip-rotate-270", 6: "rotate-90", 7: "flip-rotate-90", 8: "rotate-270"}
every_orientation = pytest.mark.parametrize("orientation", range(1, 9))


@every_orientation
def test_exif_is_read_as_pillow_reads_it(orientation: int) -> None:
    picture = Image.fromarray(PICTURE)
    picture.getexif()[0x0112] = orientation
    wanted = np.asarray(ImageOps.exif_transpose(picture))
    found = turned(PICTURE, from_exif(orientation))
    np.testing.assert_array_equal(found, wanted)
    assert found.flags.c_contiguous


@every_orientation
def test_gstreamers_words_mirror_first_and_rotate_clockwise_then(orientation: int) -> None:
    words = WORDS[orientation]
    mirrored = PICTURE[:, ::-1] if words.startswith("flip") else PICTURE
    wanted = np.rot90(mirrored, -int(words.rpartition("-")[2]) // 90)
    np.testing.assert_array_equal(turned(PICTURE, from_tag(words)), wanted)


def test_what_nobody_defined_means_as_stored() -> None:
    for nonsense in (0, 9, None, "6"):
        assert turned(PICTURE, from_exif(nonsense)) is PICTURE
    assert turned(PICTURE, from_tag("sideways")) is PICTURE


@every_orientation
def test_the_display_matrix_of_a_jpeg_is_its_exif(tmp_path: Path, orientation: int) -> None:
    """PyAV refuses side data that it does not know, which a JPEG with EXIF has."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(scene()).save(tmp_path / "a.jpg", exif=exif)
    with av.open(str(tmp_path / "a.jpg")) as container:
        matrix = display_matrix(next(container.decode(video=0)))
    assert matrix is not None
    assert from_matrix(matrix) == from_exif(orientation)


ROTATIONS = [
    ((90, False, False), (0.25, 0.75)),
    ((180, False, False), (0.75, 0.75)),
    ((270, False, False), (0.75, 0.25)),
    ((0, True, False), (0.75, 0.25)),
    ((0, False, True), (0.25, 0.75)),
    ((90, True, False), (0.75, 0.75)),
    ((90, False, True), (0.25, 0.25)),
]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize(("turn", "place"), ROTATIONS)
def test_a_video_is_turned_and_mirrored(
    tmp_path: Path, suffix: str, turn: tuple[int, bool, bool], place: tuple[float, float]
) -> None:
    """The angle is counterclockwise, and mirroring comes after it."""
    degrees, hflip, vflip = turn
    film = write_scene(
        tmp_path / f"a.{suffix}",
        "mpeg4",
        "yuv420p",
        prepare=lambda stream: stream.set_display_rotation(degrees, hflip=hflip, vflip=vflip),
    )
    (frame, _), info = played_with_info(film)
    assert disc_at(frame.image) == pytest.approx(place, abs=0.02)
    assert (info.width, info.height) == ((120, 160) if degrees % 180 else (160, 120))


@every_orientation
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_a_still_is_turned_by_its_exif(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(scene()).save(tmp_path / f"a.{suffix}", exif=exif)
    (frame,) = played(tmp_path)
    wanted = disc_at(turned(scene(), from_exif(orientation)))
    assert disc_at(frame.image) == pytest.approx(wanted, abs=0.02)
