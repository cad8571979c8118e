"""A language model says where in the video it is, over a real endpoint; or does not, or wrongly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chat_server import ChatServer, Handler, fails, says
from film_scenes import HEIGHT, WIDTH, ground_of, overlap, truth, video

from streamseg.config import load
from streamseg.offline import VideoSegmenter
from streamseg.offline.guide import sample
from streamseg.types import FrameResult

QUERY = "the thing that is not part of the scenery"
BEFORE, SHOWN = 40, 12
"""Frames without the square, then with it."""


def film() -> list[Any]:
    return [ground_of()] * BEFORE + video(SHOWN)


def answers(handler: Handler) -> None:
    """As a model would that sees the square on the last quarter, and points at it there."""
    asked = str(handler.server.bodies[-1]["messages"])
    if "Which part of the video" in asked:
        # The first time about the whole, then about the segment alone.
        first = sum("Which part" in str(body["messages"]) for body in handler.server.bodies) <= 3
        length_s = (BEFORE + SHOWN - 1) / 25.0
        said = f"[{0.6 * length_s:.2f}, {length_s:.2f}]" if first else "[0.4, 0.8]"
    elif "At which moment" in asked:
        said = "0.9"
    else:
        at = len(film()) - 1 - BEFORE  # any of the last frames: the square moves by a pixel each
        x, y = 20 + at - 3, 14
        box = [1000 * x / WIDTH, 1000 * y / HEIGHT, 1000 * (x + 38) / WIDTH, 1000 * 50 / HEIGHT]
        said = json.dumps([{"bbox_2d": [round(edge) for edge in box], "label": "a square"}])
    says(f"<answer>{said}</answer>")(handler)


def run(server: ChatServer, *overrides: str) -> tuple[list[FrameResult], dict[str, Any]]:
    config = load(
        "classical",
        [
            "reasoning.deep.backend=remote",
            f"reasoning.remote.url={server.url}",
            "reasoning.remote.model=Qwen/Qwen3-VL-8B",
            "reasoning.remote.retries=0",
            "offline.guide_frames=6",
            *overrides,
        ],
    )
    segmenter = VideoSegmenter.from_config(config)
    results = list(segmenter.segment(film(), QUERY))
    return results, segmenter.summary()


@pytest.mark.parametrize("json_schema", ["false", "true"])
def test_the_model_is_asked_for_the_segment_the_frame_and_the_object(json_schema: str) -> None:
    pytest.importorskip("httpx2")
    with ChatServer(answers) as server:
        results, summary = run(server, f"reasoning.remote.json_schema={json_schema}")
    sampler = summary["offline"]["sampler"]
    assert sampler["guide"] == "the reasoner"
    assert sampler["rounds"] >= 1
    asked = sampler["asked"]
    assert asked["segment"]["calls"] == asked["segment"]["answers"] == 3 * (sampler["rounds"] + 1)
    assert asked["segment"]["seconds"] > 0
    assert (asked["frame"]["calls"], asked["frame"]["answers"]) == (3, 3)
    assert BEFORE <= sampler["target"] < BEFORE + SHOWN
    for result in results[BEFORE:]:
        assert overlap(result.masks.labels > 0, truth(result.frame.index - BEFORE)) > 0.9
    forms = ["response_format" in body for body in server.bodies]
    assert forms == [False] * (len(forms) - 1) + [json_schema == "true"]
    # Each of the three times another sample is shown.
    shown = [json.dumps(body["messages"][1]["content"]) for body in server.bodies[:3]]
    assert len(set(shown)) == 3


def test_where_the_model_cannot_be_reached_colours_choose_and_the_quick_reasoner_answers() -> None:
    pytest.importorskip("httpx2")
    with ChatServer(fails(500, b"out of order")) as server:
        results, summary = run(server, "offline.tries=1")
    assert summary["offline"]["sampler"]["guide"] == "colours"
    assert summary["reasoner"]["speed"] == "fast"
    assert len(results) == BEFORE + SHOWN


def test_samples_differ_by_a_share_of_their_distance() -> None:
    span = range(100, 201)
    assert sample(span, 6, 0.0) == [100, 120, 140, 160, 180, 200]
    assert sample(span, 6, 0.5) == [100, 130, 150, 170, 190, 200]
    assert sample(range(5, 8), 6, 0.3) == [5, 6, 7]
    assert sample(range(5, 6), 6, 0.3) == [5]
    assert sample(range(3), 2, 0.9) == [0, 2]
