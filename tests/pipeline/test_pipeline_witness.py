"""The loop with a witness: what is shown is held against what a detector sees, in time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import ListSource
from tiny_onnx import saying

from streamseg import StreamSegmenter
from streamseg.types import Event, Frame, FrameResult, TrackState, TriggerReason

FPS = 30
WIDTH, HEIGHT = 320, 180
HOME = (40, 60, 88, 120)
LEAVES, SPEED = 30, 4.0
"""Index of the frame from which it leaves the place that it is seen in, and pixels per frame."""


def scene(frames: int) -> list[Frame]:
    """A red thing over a textured ground, that stands in its place and then goes to the right."""
    ground = np.random.default_rng(3).integers(90, 150, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    shown = []
    for index in range(frames):
        image = ground.copy()
        x = HOME[0] + round(SPEED * max(0, index - LEAVES))
        image[HOME[1] : HOME[3], x : x + HOME[2] - HOME[0]] = (200, 30, 30)
        shown.append(Frame(index, round(index * 1e9 / FPS), 0, image))
    return shown


@pytest.fixture
def eye(tmp_path: Path) -> Path:
    """A detector that sees a dog in its place whatever it is shown."""
    x0, y0, x1, y1 = (v / s for v, s in zip(HOME, (WIDTH, HEIGHT) * 2, strict=True))
    boxes = np.float32([[[(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]]])
    path = saying(
        tmp_path / "eye.onnx",
        (1, 3, 32, 64),
        {"boxes": boxes, "logits": np.full((1, 1, 1), 3.0, np.float32)},
    )
    path.with_suffix(".yaml").write_text(
        "feeding: {size: [64, 32]}\nreading: {kind: set, boxes: boxes, logits: logits}\n"
        "classes: [dog]\n"
    )
    return path


def run(
    eye: Path, text: str, *changes: str, frames: int = 60
) -> tuple[list[FrameResult], list[Event], StreamSegmenter]:
    settings = ["reasoning.backend=objects", f"reasoning.objects.detector={eye}", *changes]
    segmenter = StreamSegmenter.from_config("classical", settings)
    events: list[Event] = []
    results = list(segmenter.run(ListSource(scene(frames)), text, on_event=events.append))
    return results, events, segmenter


def states(results: list[FrameResult]) -> list[TrackState]:
    return [result.state for result in results]


def test_a_mask_that_leaves_what_is_seen_is_uncertain_within_half_a_second(eye: Path) -> None:
    results, events, segmenter = run(eye, "the dog", "trigger.witness_s=0.25")
    assert states(results)[5 : LEAVES + 3] == [TrackState.TRACKING] * (LEAVES - 2)
    apart = LEAVES + round(0.6 * (HOME[2] - HOME[0]) / SPEED)  # boxes overlap by 0.25
    assert TrackState.TRACKING not in states(results)[apart + FPS // 2 :]
    assert any(event.kind == "track_doubted" for event in events)
    summary = segmenter.summary()
    assert summary["counters"]["looks"] >= 7
    assert summary["groundings_total"] < summary["counters"]["looks"]


def test_without_a_witness_it_is_tracked_until_the_next_question(eye: Path) -> None:
    results, events, _ = run(eye, "the dog")
    assert states(results)[5:] == [TrackState.TRACKING] * (len(results) - 5)
    assert not any(event.kind == "track_doubted" for event in events)


def test_a_sentence_that_no_class_stands_for_is_looked_at_once(eye: Path) -> None:
    results, _, _ = run(eye, "the red thing", "trigger.witness_s=0.25", frames=40)
    asked = [result.trigger for result in results]
    assert asked.count(TriggerReason.WITNESS) == 1
    assert states(results)[-1] is TrackState.TRACKING
