"""A whole run on engines: the masks flow, and the summary says which engine ran what."""

from streamseg import StreamSegmenter, synthetic


def test_the_summary_tells_which_engines_ran_and_what_they_stood_in_for(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path))
    segmenter = StreamSegmenter.from_config(
        "selftest",
        [
            "propagation.xmem.height=48",
            "propagation.xmem.engine.family=tensorrt",
            "propagation.xmem.engine.fallback=[torch]",
            "propagation.xmem.engine.objects=[2]",
        ],
    )
    query = synthetic.scene("easy", seed=1).expressions[0].text
    results = list(segmenter.run("synthetic:easy?seed=1", query, max_frames=20))
    assert any(result.masks.labels.any() for result in results)
    assert set(segmenter.summary()["engines"]) == {"propagation"}, "the other stage runs as it is"
    engines = segmenter.summary()["engines"]["propagation"]
    assert engines["asked"] == "tensorrt"
    assert set(engines["parts"].values()) == {"torch"}
    assert {"xmem_key", "xmem_value_deep_n2", "xmem_decode_n2"} == set(engines["parts"])
    assert all("tensorrt" in words for refused in engines["refused"].values() for words in refused)
