"""Whole runs on engines: masks flow, the summary says what ran what, no picture is seen twice."""

from __future__ import annotations

from collections import Counter

import pytest

from streamseg import StreamSegmenter, synthetic
from streamseg.eye import Eye

QUERY = synthetic.scene("easy", seed=1).expressions[0].text
BOTH = [
    "segmentation.sam2.engine.objects=[1]",
    "propagation.sam2.engine.objects=[1]",
    "propagation.sam2.bank_frames=[7]",
]


def run(config: str, overrides: list[str], frames: int) -> StreamSegmenter:
    segmenter = StreamSegmenter.from_config(config, overrides)
    results = list(segmenter.run("synthetic:easy?seed=1", QUERY, max_frames=frames))
    assert len(results) == frames
    assert any(result.masks.labels.any() for result in results)
    return segmenter


def test_the_summary_tells_which_engines_ran_and_what_they_stood_in_for(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path))
    asked = {"family": "tensorrt", "fallback": "[torch]", "objects": "[2]"}
    stages = ("propagation.xmem.engine", "segmentation.sam2.engine")
    words = [f"{stage}.{key}={value}" for stage in stages for key, value in asked.items()]
    told = run("selftest", ["propagation.xmem.height=48", *words], 20).summary()["engines"]
    assert {stage: set(engines["parts"]) for stage, engines in told.items()} == {
        "propagation": {"xmem_key", "xmem_value_deep_n2", "xmem_decode_n2"},
        "segmentation": {"sam2_image_encoder", "sam2_image_decoder_n2_p8"},
    }
    for engines in told.values():
        assert engines["asked"] == "tensorrt"
        assert set(engines["parts"].values()) == {"torch"}
        assert set(engines["refused"]) == set(engines["parts"])
        for refused in engines["refused"].values():
            assert all("tensorrt" in words for words in refused)


def test_networks_that_run_as_they_are_have_no_engines_to_tell_of():
    assert run("selftest", ["propagation.xmem.height=48"], 10).summary()["engines"] == {}


@pytest.mark.parametrize(
    ("overrides", "looks"),
    [
        ([], 1),
        (["segmentation.sam2.engine.fallback=[torch]"], 1),
        (["segmentation.sam2.engine.precision=bf16"], 2),
    ],
    ids=["plain", "one of them on engines", "in another precision"],
)
def test_a_picture_is_encoded_once_for_both_stages(tmp_path, monkeypatch, overrides, looks):
    """Once the object is there every frame is encoded, and the keyframe not again to cut it out."""
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path))
    seen: Counter[int] = Counter()
    encode = Eye._encode

    def counted(self: Eye, image):
        seen[id(image)] += 1
        return encode(self, image)

    frames, keyframes = [], set()
    monkeypatch.setattr(Eye, "_encode", counted)
    segmenter = StreamSegmenter.from_config("sam2-video-selftest", [*BOTH, *overrides])
    for result in segmenter.run("synthetic:easy?seed=1", QUERY, max_frames=16):
        frames.append(result.frame)  # kept, so that no two pictures have one id
        keyframes.add(result.grounded_frame)
    first = min(keyframes - {None})
    counts = [seen[id(frame.image)] for frame in frames]
    assert set(counts[:first]) <= {0}
    assert counts[first] == looks
    assert set(counts[first + 1 :]) == {1}
    assert len(frames) - first > 5
