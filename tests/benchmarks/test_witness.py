"""The benchmark of looks: pictures at their own pace, a turn's latencies and looks, first masks."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from tiny_onnx import saying

from streamseg import config as configs
from streamseg.benchmarks import witness
from streamseg.config import Config
from streamseg.errors import UsageError
from streamseg.types import Image

WIDTH, HEIGHT = 320, 180
HOME = (40, 60, 88, 120)


@pytest.fixture
def shown() -> list[Image]:
    """A red thing that stands over a mottled ground."""
    image = np.random.default_rng(3).integers(90, 150, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    image[HOME[1] : HOME[3], HOME[0] : HOME[2]] = (200, 30, 30)
    return [image, image]


@pytest.fixture
def eye(tmp_path: Path) -> Path:
    """A detector that sees a dog in that place, and no cats."""
    x0, y0, x1, y1 = (v / s for v, s in zip(HOME, (WIDTH, HEIGHT) * 2, strict=True))
    boxes = np.float32([[[(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]]])
    path = saying(
        tmp_path / "eye.onnx",
        (1, 3, 32, 64),
        {"boxes": boxes, "logits": np.float32([[[3.0, -9.0]]])},
    )
    path.with_suffix(".yaml").write_text(
        "feeding: {size: [64, 32]}\nreading: {kind: set, boxes: boxes, logits: logits}\n"
        "classes: [dog, cat]\n"
    )
    return path


def config_for(eye: Path, way: str) -> Config:
    seeing = ["reasoning.backend=objects", f"reasoning.objects.detector={eye}"]
    return configs.load("classical", [*seeing, "trigger.witness_s=0.25", *witness.WAYS[way]])


def test_pictures_come_when_they_are_due_and_what_is_overtaken_is_left_out() -> None:
    numbered = [np.full((2, 2, 3), number, np.uint8) for number in range(4)]
    begun_s = time.monotonic()
    pictures = witness.paced(numbered, 100.0)
    got = []
    for _ in range(7):
        image, due_s = next(pictures)
        assert time.monotonic() >= due_s
        got.append((int(image[0, 0, 0]), round(100.0 * (due_s - begun_s))))
    order = [0, 1, 2, 3, 2, 1]  # forth and back
    assert all(number == order[due % len(order)] for number, due in got)
    time.sleep(0.1)
    _, due_s = next(pictures)
    assert due_s - begun_s > 0.14  # ten frames were overtaken


def test_a_turn_looks_only_where_it_is_to_and_times_every_frame(
    eye: Path, shown: list[Image]
) -> None:
    taken, looks = witness.turn(config_for(eye, "nothing asked"), shown, "the dog", 0.5, 30.0)
    assert looks * 0.5 <= 1.0  # the answer to the query is one
    assert len(taken) >= 3
    assert min(taken) > 0.0
    _, looks = witness.turn(config_for(eye, "looks alone"), shown, "the dog", 1.5, 30.0)
    assert looks * 1.5 >= 2.0


def test_a_first_mask_is_timed_from_its_query(eye: Path, shown: list[Image]) -> None:
    plain = config_for(eye, "as it is")
    (wait_s,) = witness.first_masks(plain, shown, "the dog", "the cat", 1, 30.0)
    assert 0.0 < wait_s < 20.0


def test_a_query_that_shows_nothing_is_refused(
    eye: Path, shown: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness, "_PATIENCE_S", 0.5)
    with pytest.raises(UsageError, match="shows no mask"):
        witness.turn(config_for(eye, "nothing asked"), shown, "the cat", 0.5, 30.0)
