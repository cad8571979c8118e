"""Any stretch of a film comes again exactly as it was read first, whatever holds it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import av
import numpy as np
import pytest
from scenery import scenery
from source_tools import Events, write_video

from streamseg.config import SourceConfig
from streamseg.errors import SourceError, SourceSpecError, UsageError
from streamseg.sources.film.film import Film
from streamseg.sources.film.opening import open_reel
from streamseg.sources.given import Given
from streamseg.types import Frame, Image

WIDTH, HEIGHT = 96, 64
FRAME_BYTES = WIDTH * HEIGHT * 3


def pictures(count: int, seed: int = 1) -> list[Image]:
    """A square and a bar that move over a still ground."""
    ground, shown = scenery(seed, WIDTH, HEIGHT), []
    for number in range(count):
        image = ground.copy()
        x = 3 * number % (WIDTH - 16)
        image[8:24, x : x + 16] = (255, 0, 0)
        image[40:46, : number % WIDTH] = (0, 255, 0)
        shown.append(image)
    return shown


def encode(path: Path, codec: str, options: Mapping[str, str], count: int = 70) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=dict(options))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for image in pictures(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode())
    return path


def film_of(given: Given, events: Events | None = None, held: int = 20) -> Film:
    """A film that may hold so many frames, each piece half of them."""
    reel = open_reel(given, "rgb", SourceConfig(), Events() if events is None else events)
    return Film(reel, decode_ahead=4, held_bytes=held * FRAME_BYTES)


def is_read_again_as_first(film: Film) -> None:
    first = list(film.first_reading())
    count = len(film)
    assert [frame.index for frame in first] == list(range(count))
    back = list(film.backwards(count, 0))
    assert [frame.index for frame in back] == list(reversed(range(count)))
    with film.forwards(count // 3, count) as frames:
        on = list(frames)
    assert [frame.index for frame in on] == list(range(count // 3, count))
    one_by_one = [film.frame(at) for at in (count // 2, 1 % count, count - 1, 0, count // 2)]
    for frame in (*back, *on, *one_by_one):
        same_frame(frame, first[frame.index])
    film.close()


def same_frame(frame: Frame, as_first: Frame) -> None:
    assert (frame.pts_ns, frame.epoch) == (as_first.pts_ns, as_first.epoch)
    assert np.array_equal(frame.image, as_first.image)


VIDEOS = [
    ("plain.mp4", "libx264", {"g": "20"}),
    ("plain.mkv", "libx264", {"g": "20"}),
    ("plain.ts", "libx264", {"g": "20"}),
    ("open.mp4", "libx264", {"g": "20", "x264-params": "open-gop=1:bframes=3"}),
    ("open.ts", "libx264", {"g": "20", "x264-params": "open-gop=1:bframes=3"}),
    ("refresh.mp4", "libx264", {"g": "20", "x264-params": "intra-refresh=1:bframes=0"}),
    ("one-run.mp4", "libx264", {"g": "1000", "sc_threshold": "0"}),
    ("old.avi", "mpeg4", {"g": "20"}),
    ("old.mpg", "mpeg2video", {"g": "10", "bf": "2"}),
    ("each.avi", "mjpeg", {}),
    ("web.webm", "libvpx-vp9", {"g": "20", "deadline": "realtime", "cpu-used": "8"}),
]


@pytest.mark.parametrize(("name", "codec", "options"), VIDEOS, ids=[name for name, *_ in VIDEOS])
def test_a_video_is_read_again_as_first(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    events = Events()
    is_read_again_as_first(film_of(str(encode(tmp_path / name, codec, options)), events))
    assert "slow_film" not in events.kinds


def test_a_stream_without_stamps_is_counted_from_its_beginning_and_this_is_told(
    tmp_path: Path,
) -> None:
    events = Events()
    is_read_again_as_first(film_of(str(encode(tmp_path / "raw.h264", "libx264", {})), events))
    assert events.kinds.count("slow_film") == 1


def test_a_gap_in_time_and_what_comes_after_it_are_found(tmp_path: Path) -> None:
    stamps = [*range(30), *range(400, 430)]
    path = write_video(tmp_path / "gap.mkv", pictures(30) + pictures(30, seed=4), pts=stamps)
    film = film_of(str(path))
    is_read_again_as_first(film)
    assert film.shot(10) == range(30)
    assert film.shot(45) == range(30, 60)


def test_images_scenes_and_pictures_in_memory_are_films_too(tmp_path: Path) -> None:
    for number, image in enumerate(pictures(12)):
        av_image = av.VideoFrame.from_ndarray(image, "rgb24").to_image()
        av_image.save(tmp_path / f"{number}.png")
    is_read_again_as_first(film_of(str(tmp_path), held=6))
    is_read_again_as_first(film_of("synthetic:easy?seed=1&size=96x64&frames=15", held=6))
    is_read_again_as_first(film_of(pictures(15), held=6))
    is_read_again_as_first(film_of(np.stack(pictures(15)), held=6))


def test_an_animation_is_read_again_page_by_page(tmp_path: Path) -> None:
    pages = [av.VideoFrame.from_ndarray(image, "rgb24").to_image() for image in pictures(9)]
    pages[0].save(tmp_path / "some.gif", save_all=True, append_images=pages[1:], duration=40)
    is_read_again_as_first(film_of(str(tmp_path / "some.gif"), held=4))


def test_one_picture_is_a_film(tmp_path: Path) -> None:
    is_read_again_as_first(film_of(str(write_video(tmp_path / "one.mp4", pictures(1)))))
    is_read_again_as_first(film_of(pictures(1)))


def test_backwards_no_more_is_held_than_was_allowed(tmp_path: Path) -> None:
    """Also where the decoder could begin but once: the run is decoded in parts."""
    path = encode(tmp_path / "one-run.mp4", "libx264", {"g": "1000", "sc_threshold": "0"})
    film = film_of(str(path), held=12)
    for _ in film.first_reading():
        pass
    pieces = list(film._pieces_backwards(0, len(film)))
    assert [len(piece) for piece in pieces] == [6] * 11 + [4]


def test_whole_runs_are_read_together_where_they_fit(tmp_path: Path) -> None:
    film = film_of(str(encode(tmp_path / "a.mkv", "libx264", {"g": "10"})), held=50)
    for _ in film.first_reading():
        pass
    pieces = [(piece[0].index, len(piece)) for piece in film._pieces_backwards(5, len(film))]
    assert pieces == [(50, 20), (30, 20), (10, 20), (5, 5)]


def test_the_first_reading_ends_where_it_is_told_to(tmp_path: Path) -> None:
    film = film_of(str(write_video(tmp_path / "a.mp4", pictures(30))))
    assert len(list(film.first_reading(most=7))) == len(film) == film.info.frame_count == 7
    assert [frame.index for frame in film.backwards(7, 4)] == [6, 5, 4]
    film.close()


def test_a_video_that_is_cut_off_is_a_shorter_film_and_this_is_told_once(tmp_path: Path) -> None:
    path = encode(tmp_path / "whole.mkv", "libx264", {"g": "20"}, count=70)
    path.write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    events = Events()
    film = film_of(str(path), events)
    is_read_again_as_first(film)
    assert 10 < len(film) < 70
    assert events.kinds.count("truncated") == 1


def test_a_video_that_was_replaced_meanwhile_is_an_error(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mkv", "libx264", {"g": "20"}, count=70)
    film = film_of(str(path))
    for _ in film.first_reading():
        pass
    path.unlink()
    encode(path, "libx264", {"g": "20"}, count=20)
    with pytest.raises(SourceError, match="changed while it was read"):
        film.frame(60)
    film.close()


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ("rtsp://127.0.0.1:1/a", SourceSpecError, "goes on for ever.*streamseg run"),
        ("gst:videotestsrc", SourceSpecError, "goes on for ever"),
        ("synthetic:easy?live=1", SourceSpecError, "goes on for ever"),
        ("nowhere.mp4", SourceSpecError, "no such file"),
        ("", SourceSpecError, "the source is empty"),
        (iter([np.zeros((4, 4, 3), np.uint8)]), UsageError, "collect it into a list, or use run"),
        (np.zeros((4, 4, 3), np.uint8), UsageError, "one picture"),
    ],
)
def test_what_has_no_end_or_is_nothing_is_refused(
    given: Given, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        film_of(given)


def test_what_holds_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(SourceError, match="the file is empty"):
        film_of(str(tmp_path / "empty.mp4"))
    with pytest.raises(SourceError, match="without a single frame"):
        list(film_of([]).first_reading())
