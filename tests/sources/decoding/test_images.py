"""Folders and globs of images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from source_tools import Events, read_all

from streamseg.clock import RealClock
from streamseg.config import SourceConfig
from streamseg.errors import SourceError
from streamseg.sources import open_source
from streamseg.types import Frame


def paint(path: Path, level: int, size: tuple[int, int] = (8, 6)) -> None:
    """A picture whose red is `level` and whose blue is 7."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    image[..., 2], image[..., 0] = level, 7
    assert cv2.imwrite(str(path), image)


def frames(spec: str, events: Events, **config: object) -> list[Frame]:
    source = open_source(spec, SourceConfig.model_validate(config), RealClock(), events)
    try:
        assert not source.info.live
        return read_all(source)
    finally:
        source.close()


def test_natural_order_rgb_and_rate(tmp_path: Path) -> None:
    for number in (1, 2, 9, 10, 11):
        paint(tmp_path / f"frame{number}.png", number)
    events = Events()
    got = frames(str(tmp_path), events, fallback_fps=10)
    assert [int(frame.image[0, 0, 0]) for frame in got] == [1, 2, 9, 10, 11]
    assert all((frame.image[..., 2] == 7).all() for frame in got)
    assert [frame.pts_s for frame in got] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert not events


def test_another_size_begins_an_epoch(tmp_path: Path) -> None:
    paint(tmp_path / "1.png", 1, (8, 6))
    paint(tmp_path / "2.png", 2, (10, 6))
    events = Events()
    assert [frame.epoch for frame in frames(f"{tmp_path}/*.png", events)] == [0, 1]
    assert events.kinds == ["epoch"]


def test_a_damaged_image_is_left_out_and_told_of(tmp_path: Path) -> None:
    paint(tmp_path / "1.png", 1)
    (tmp_path / "2.png").write_bytes(b"this is no image")
    (tmp_path / "3.png").touch()
    paint(tmp_path / "4.png", 4)
    events = Events()
    got = frames(str(tmp_path), events, fallback_fps=10)
    assert [frame.pts_s for frame in got] == [0.0, 0.3]
    assert events.kinds == ["damaged", "damaged"]
    assert "2.png" in events.text


def test_no_image_that_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"no")
    with pytest.raises(SourceError, match="cannot be read as an image"):
        frames(str(tmp_path / "1.jpg"), Events())
