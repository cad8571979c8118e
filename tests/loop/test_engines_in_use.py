"""An engine that stands in, and a cache that keeps nothing, are told once a run, as events."""

import pytest

from streamseg import StreamSegmenter, synthetic
from streamseg.errors import EngineError
from streamseg.loop.engines_in_use import EnginesInUse

SMALL = "propagation.xmem.height=48"
ENGINE = "propagation.xmem.engine"
QUERY = synthetic.scene("easy", seed=1).expressions[0].text


def run(segmenter, frames):
    events = []
    source = "synthetic:easy?seed=1"
    list(segmenter.run(source, QUERY, max_frames=frames, on_event=events.append))
    return events


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path))
    return tmp_path / "engines"


def test_what_stands_in_is_an_event_once_a_run(caplog):
    changes = [SMALL, f"{ENGINE}.family=tensorrt", f"{ENGINE}.fallback=[torch]"]
    changes.append(f"{ENGINE}.objects=[1]")
    segmenter = StreamSegmenter.from_config("selftest", changes)
    events = run(segmenter, 12)
    parts = segmenter.summary()["engines"]["propagation"]["parts"]
    told = [event for event in events if event.kind == "engine_fallback"]
    assert [event.message.split()[1] for event in told] == list(parts)
    assert len(parts) >= 3
    for event in told:
        assert event.message.startswith("propagation: xmem_")
        assert "runs on torch instead: tensorrt: " in event.message
        assert event.frame_index is not None
    assert "xmem_key runs on torch instead" in caplog.text
    again = {event.message for event in run(segmenter, 12) if event.kind == "engine_fallback"}
    assert again == {event.message for event in told}, "a listener of the next run is told as well"


@pytest.mark.parametrize("stage", [ENGINE, "segmentation.sam2.engine"])
def test_nothing_stands_in_where_the_config_does_not_allow_it(stage):
    """Said before there is a stream, not by every answer that then cannot be used."""
    with pytest.raises(EngineError, match="expected a CUDA device for tensorrt-rtx, got cpu"):
        StreamSegmenter.from_config("selftest", [SMALL, f"{stage}.family=tensorrt-rtx"])


class Stage:
    """Says what a stage with one part on ONNX Runtime and a cache in trouble does."""

    def engines(self):
        return {
            "asked": "onnxruntime",
            "parts": {"xmem_key": "onnxruntime"},
            "refused": {},
            "cache_problems": ["cannot write /full/xmem_key: No space left on device"],
        }


def test_a_cache_that_keeps_nothing_is_told_once_though_two_stages_share_it():
    engines = EnginesInUse({"segmentation": Stage(), "propagation": Stage(), "other": object()})
    assert set(engines.summary()) == {"segmentation", "propagation"}
    told = [("engine_cache", "cannot write /full/xmem_key: No space left on device")]
    assert list(engines.news()) == told
    assert list(engines.news()) == []
