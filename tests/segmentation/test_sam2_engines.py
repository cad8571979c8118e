"""SAM2 as a segmenter on engines: transformers' masks and scores, whichever family runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sam2_reference import BALL, BARE, MUG, balanced, iou, make_frame, reference

from streamseg.config import EngineConfig, Sam2Config
from streamseg.engines.sam2_image import on_engines
from streamseg.errors import EngineError
from streamseg.nets.sam2_image import Sam2Image
from streamseg.segmentation.sam2 import Sam2Segmenter
from streamseg.types import Target

TARGETS = [MUG, BARE, BALL]
"""More than the largest bucket below, with two points and with none."""
MANY = Target(MUG.box, MUG.positive, tuple((40.0 + 9 * i, 20.0) for i in range(6)))
"""More points than there is room for below."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def segmenter(cache: Path, *, points: int = 3, **engine: object) -> Sam2Segmenter:
    settings = EngineConfig(**{"objects": (2,), **engine})
    config = Sam2Config(checkpoint="selftest-sam2", device="cpu", points=points, engine=settings)
    return Sam2Segmenter(on_engines(Sam2Image(balanced()), config, cache))


@pytest.mark.parametrize(
    "engine",
    [
        {},
        {"channels_last": True},
        {"packed": True},
        {"fallback": ("torch",)},
        {"family": "onnxruntime"},
    ],
    ids=["any count", "channels last", "packed", "buckets", "onnxruntime"],
)
def test_every_family_gives_transformers_masks_and_scores(cache: Path, engine) -> None:
    frame = make_frame(3)
    judged = segmenter(cache, **engine)
    for target, got in zip(TARGETS, judged.segment(frame, TARGETS), strict=True):
        expected, score = reference(balanced(), frame, target)
        assert 0.02 < expected.mean() < 0.98
        assert (got.mask != expected).sum() <= 2, "a pixel on the very edge may be rounded off"
        assert got.score == pytest.approx(score, abs=1e-4)
    told = judged.engines()
    assert set(told["parts"].values()) == {engine.get("family", "torch")}
    static = engine in ({"fallback": ("torch",)}, {"family": "onnxruntime"})
    decoder = "sam2_image_decoder_n2_p3" if static else "sam2_image_decoder_n3_p2"
    assert set(told["parts"]) == {"sam2_image_encoder", decoder}
    assert told["refused"] == {}


@pytest.mark.parametrize("engine", [{"precision": "bf16"}, {"autocast": True}])
def test_in_bfloat16_masks_stay_close(cache: Path, engine) -> None:
    frame = make_frame(3)
    for target, got in zip(
        TARGETS, segmenter(cache, **engine).segment(frame, TARGETS), strict=True
    ):
        expected, score = reference(balanced(), frame, target)
        assert iou(got.mask, expected) > 0.95
        assert got.score == pytest.approx(score, abs=0.03)


def test_a_target_with_more_points_than_there_is_room_for_gets_an_engine_of_its_own(cache) -> None:
    frame = make_frame(3)
    judged = segmenter(cache, fallback=("torch",))
    [got] = judged.segment(frame, [MANY])
    expected, score = reference(balanced(), frame, MANY)
    assert (got.mask != expected).sum() <= 2
    assert got.score == pytest.approx(score, abs=1e-4)
    assert "sam2_image_decoder_n2_p7" in judged.engines()["parts"]
    [bare] = judged.segment(frame, [Target(MUG.box)])
    assert bare.score != pytest.approx(score, abs=1e-4), "its points do count"
    assert "sam2_image_decoder_n2_p3" in judged.engines()["parts"]


def test_the_picture_is_encoded_once_per_frame(cache: Path, monkeypatch) -> None:
    judged = segmenter(cache)
    encoder, runs = judged._network._find("encoder", 1, 0), []
    run = encoder.run
    monkeypatch.setattr(encoder, "run", lambda inputs: runs.append(1) or run(inputs))
    frame = make_frame(3)
    once, again = judged.segment(frame, [MUG]), judged.segment(frame, [MUG])
    assert len(runs) == 1
    assert np.array_equal(once[0].mask, again[0].mask)


def test_nothing_stands_in_unasked(cache: Path, tmp_path: Path) -> None:
    """The folder names no part of this network, and torch is not listed."""
    judged = segmenter(cache, family="onnxruntime", folder=str(tmp_path))
    with pytest.raises(EngineError, match=r"sam2_image_encoder: expected onnx"):
        judged.segment(make_frame(3), [MUG])
    lenient = segmenter(cache, family="onnxruntime", folder=str(tmp_path), fallback=("torch",))
    [got] = lenient.segment(make_frame(3), [MUG])
    assert got.mask.any()
    told = lenient.engines()
    assert set(told["parts"].values()) == {"torch"}
    assert all("onnxruntime: " in words for words, *_ in told["refused"].values())
    assert set(told["refused"]) == set(told["parts"])
