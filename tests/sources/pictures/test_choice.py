"""Which stream of a container is the film."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from picture_tools import played

from streamseg.errors import SourceError


def write_tracks(path: Path, *tracks: tuple[tuple[int, int], int]) -> Path:
    """One video track for each size and disposition."""
    with av.open(str(path), "w") as container:
        streams = []
        for (width, height), disposition in tracks:
            stream = container.add_stream("mpeg4", rate=25)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.disposition = Disposition(disposition)
            streams.append(stream)
        for number in range(3):
            for stream in streams:
                black = np.zeros((stream.height, stream.width, 3), np.uint8)
                frame = av.VideoFrame.from_ndarray(black, "rgb24")
                frame.pts = number
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    return path


def write_song(path: Path, cover: bool) -> Path:
    with av.open(str(path), "w") as container:
        sound = container.add_stream("libmp3lame", rate=44_100)
        if cover:
            picture = container.add_stream("mjpeg", rate=25)
            assert isinstance(picture, av.VideoStream)
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p"
            picture.disposition = Disposition.attached_pic
            black = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
            container.mux(picture.encode(black.reformat(format="yuvj420p")))
            container.mux(picture.encode())
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 44_100), np.int16), "s16", layout="mono")
        silence.sample_rate = 44_100
        container.mux(sound.encode(silence))
        container.mux(sound.encode())
    return path


SMALL, LARGE = (80, 60), (160, 120)


@pytest.mark.parametrize(
    ("tracks", "wanted"),
    [
        ([(SMALL, 0), (LARGE, 1)], LARGE),
        ([(SMALL, 1), (LARGE, 0)], SMALL),
        ([(SMALL, 0), (LARGE, 0)], LARGE),
        ([(SMALL, 1), (LARGE, 1)], LARGE),
    ],
)
def test_the_default_or_else_the_largest(
    tmp_path: Path, tracks: list[tuple[tuple[int, int], int]], wanted: tuple[int, int]
) -> None:
    frames = played(write_tracks(tmp_path / "a.mkv", *tracks))
    assert len(frames) == 3
    assert (frames[0].width, frames[0].height) == wanted


@pytest.mark.parametrize(
    ("cover", "words"), [(True, "holds only sound and a cover picture"), (False, "only sound;")]
)
def test_a_song_is_no_film(tmp_path: Path, cover: bool, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        played(write_song(tmp_path / "a.mp3", cover))


def test_a_codec_without_a_decoder(tmp_path: Path) -> None:
    film = write_tracks(tmp_path / "a.avi", (SMALL, 1))
    unknown = film.read_bytes().replace(b"FMP4", b"ZZZZ")
    (tmp_path / "b.avi").write_bytes(unknown)
    with pytest.raises(SourceError, match="codec that this FFmpeg cannot decode"):
        played(tmp_path / "b.avi")
