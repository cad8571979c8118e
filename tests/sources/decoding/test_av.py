"""Files through PyAV: whole, cut, damaged, rotated, jumping, played as if live."""

from __future__ import annotations

import os
import struct
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from source_tools import Events, counted, number_of, read_all, write_video

from streamseg.clock import RealClock
from streamseg.config import SourceConfig
from streamseg.errors import SourceError
from streamseg.sources import Source, open_source
from streamseg.sources.decoding.hwaccel import hardware_device


def opened(path: Path | str, events: Events | None = None, **config: object) -> Source:
    events = Events() if events is None else events
    return open_source(str(path), SourceConfig.model_validate(config), RealClock(), events)


def noise(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 255, (96, 128, 3), np.uint8) for _ in range(count)]


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    short = path.with_name(f"cut_{path.name}")
    short.write_bytes(data[: int(len(data) * share)])
    return short


def test_a_file_drops_nothing_and_keeps_its_stamps(tmp_path: Path) -> None:
    source = opened(write_video(tmp_path / "a.mp4", [counted(i) for i in range(24)], fps=25))
    info = source.info
    assert (info.live, info.fps, info.frame_count) == (False, 25.0, 24)
    assert (info.width, info.height) == (64, 48)
    first = source.read(5.0)
    time.sleep(0.1)  # a slow reader
    frames = [first, *read_all(source)]
    assert [number_of(frame.image) for frame in frames if frame] == list(range(24))
    assert [frame.pts_ns for frame in frames if frame] == [i * 40_000_000 for i in range(24)]
    assert [frame.index for frame in frames if frame] == list(range(24))
    assert source.dropped == {}
    source.close()


@pytest.mark.parametrize("size", [(64, 48), (130, 98), (322, 242)])
def test_pictures_are_rgb_and_contiguous_at_any_width(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    image = np.zeros((size[1], size[0], 3), np.uint8)
    image[:, : size[0] // 2] = (230, 20, 20)
    image[:, size[0] // 2 :] = (20, 20, 230)
    source = opened(write_video(tmp_path / "a.mp4", [image] * 3))
    for frame in read_all(source):
        assert frame.image.dtype == np.uint8
        assert frame.image.flags.c_contiguous
        assert frame.image.shape == image.shape
        # Away from the edge, where half the colour resolution blurs it.
        error = np.abs(frame.image.astype(int) - image)
        error[:, size[0] // 2 - 16 : size[0] // 2 + 16] = 0
        assert error.max() < 20
    source.close()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_truncated_file_gives_the_frames_that_decode(tmp_path: Path, name: str) -> None:
    whole = write_video(tmp_path / name, noise(60), faststart=name.endswith("mp4"))
    events = Events()
    source = opened(cut(whole, 0.5), events)
    frames = read_all(source)
    source.close()
    assert 24 <= len(frames) <= 31
    assert "truncated" in events.kinds
    assert f"after {len(frames)} frames" in events.text


def test_a_whole_file_is_not_called_truncated(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv", "a.avi"):
        events = Events()
        source = opened(write_video(tmp_path / name, noise(20)), events, hwaccel="none")
        assert len(read_all(source)) == 20
        source.close()
        assert not events


def test_damage_in_the_middle_costs_only_what_it_touches(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", noise(40))
    data = bytearray(path.read_bytes())
    middle = data.find(b"00dc", len(data) // 2) + 8
    data[middle : middle + 4000] = bytes(4000)
    path.write_bytes(data)
    source = opened(path)
    assert len(read_all(source)) >= 38
    source.close()


def test_an_index_cut_off_is_a_clear_error(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.mp4", noise(10))
    with pytest.raises(SourceError, match=r"cut_a\.mp4: the recording was cut off") as caught:
        opened(cut(whole, 0.5))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("content", [b"", b"hello\n" * 100, os.urandom(4096)])
@pytest.mark.parametrize("name", ["x.mp4", "x.txt", "x"])
def test_what_is_no_video(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"x(\.mp4|\.txt)?\b"):
        opened(path)


def test_a_file_of_zero_frames(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.mp4", noise(10), faststart=True)
    header = whole.read_bytes().find(b"mdat") + 8
    (tmp_path / "header.mp4").write_bytes(whole.read_bytes()[:header])
    with pytest.raises(SourceError, match=r"header\.mp4"):
        opened(tmp_path / "header.mp4")


def test_a_jump_in_time_begins_an_epoch(tmp_path: Path) -> None:
    stamps = [0, 1, 2, 300, 301, 302]
    path = write_video(tmp_path / "a.mkv", [counted(3 * i) for i in range(6)], pts=stamps)
    events = Events()
    source = opened(path, events, hwaccel="none")
    assert [frame.epoch for frame in read_all(source)] == [0, 0, 0, 1, 1, 1]
    assert events.kinds == ["epoch"]
    source.close()


def test_a_screen_recording_that_holds_still_is_one_epoch(tmp_path: Path) -> None:
    """Bursts of five frames, three seconds apart, in which something small moves."""
    images = []
    for number in range(30):
        image = np.full((96, 128, 3), 190, np.uint8)
        image[20:44, 3 * number : 3 * number + 24] = (220, 30, 30)
        images.append(image)
    stamps = [number + 75 * (number // 5) for number in range(30)]
    path = write_video(tmp_path / "a.mp4", images, fps=25, pts=stamps)
    events = Events()
    source = opened(path, events, hwaccel="none")
    frames = read_all(source)
    source.close()
    assert [frame.epoch for frame in frames] == [0] * 30
    assert [round(frame.pts_s * 25) for frame in frames] == stamps
    assert not events


def test_a_rotated_film_stands_upright(tmp_path: Path) -> None:
    image = np.zeros((48, 96, 3), np.uint8)
    image[:24, :48] = 250  # top left, as stored
    path = write_video(tmp_path / "a.mp4", [image] * 3)
    data = path.read_bytes()
    upright = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    clockwise = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    place = data.find(upright, data.find(b"tkhd"))
    path.write_bytes(data[:place] + clockwise + data[place + len(upright) :])
    source = opened(path)
    assert (source.info.width, source.info.height) == (48, 96)
    frame = read_all(source)[0]
    assert frame.image.shape == (96, 48, 3)
    assert frame.image[:40, 28:].mean() > 200  # top right, as shown
    assert frame.image[:, :20].mean() < 50
    source.close()


def test_realtime_plays_a_file_as_if_live(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [counted(i) for i in range(20)], fps=50)
    begun_s = time.monotonic()
    source = opened(path, realtime=True)
    assert source.info.live
    frames = read_all(source, pause_s=0.06)  # slower than the film
    assert time.monotonic() - begun_s > 0.35
    dropped = sum(source.dropped.values())
    assert dropped > 0
    assert len(frames) + dropped == 20
    assert [number_of(frame.image) for frame in frames] == [frame.index for frame in frames]
    assert frames[-1].index == 19
    source.close()


def test_close_ends_a_blocked_read(tmp_path: Path) -> None:
    """A pipe that stays silent after its first pictures."""
    film = write_video(tmp_path / "a.mkv", noise(60)).read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    done = threading.Event()

    def write() -> None:
        with pipe.open("wb") as end:
            end.write(film[: len(film) * 3 // 4])
            end.flush()
            done.wait(20)

    writer = threading.Thread(target=write)
    writer.start()
    source = opened(pipe)
    timer = threading.Timer(0.5, source.close)
    timer.start()
    begun_s = time.monotonic()
    read_all(source)
    timer.join(10)
    assert time.monotonic() - begun_s < 2.6
    done.set()
    writer.join(10)


def test_hardware_is_told_of_and_can_be_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [counted(0)] * 3)
    events = Events()
    source = opened(path, events, hwaccel="auto")
    assert len(read_all(source)) == 3
    source.close()
    assert events.kinds[0] == "decoder"
    assert (hardware_device() or "software") in events[0].message
