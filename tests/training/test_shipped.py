"""The weights we ship: unchanged since they were trained, and their masks mean something."""

from __future__ import annotations

from statistics import fmean

import numpy as np
import pytest

from streamseg import config, propagation, weights
from streamseg.evaluation import metrics
from streamseg.export.verify_xmem import Clip, verify_loop
from streamseg.export.xmem_engines import XMemEngines
from streamseg.synthetic import scene
from streamseg.types import Frame

EVERY = 4
"""Of a scene's 30 frames a second: objects move a good deal from step to step."""


def overlap(name: str, seed: int) -> float:
    """Mean J over the objects and frames of a scene that was not trained on."""
    play = scene(name, seed, "test", (426, 240))
    propagator = propagation.build(config.load("nano").propagation)
    _, first = play.frame(0)
    seeds = {int(id_): first == id_ for id_ in np.unique(first)[1:]}
    found = []
    for step, index in enumerate(range(0, 60, EVERY)):
        image, truth = play.frame(index)
        frame = Frame(step, round(index * 1e9 / play.fps), 0, image)
        labels = propagator.step(frame, None if step else seeds).labels
        if step:
            found += [metrics.region(labels == i, truth == i) for i in seeds if (truth == i).any()]
    return fmean(found)


def test_the_file_is_the_one_that_was_written():
    assert set(weights.verify("xmem-nano")) == {"xmem-nano.safetensors"}
    info = next(model for model in weights.list_models() if model.name == "xmem-nano")
    assert info.present
    assert info.nbytes < 40_000_000


@pytest.mark.parametrize(("name", "least"), [("easy", 0.9), ("medium", 0.8)])
def test_it_carries_masks_through_scenes_it_has_not_seen(name, least):
    assert fmean(overlap(name, seed) for seed in (1, 2)) > least


@pytest.mark.parametrize(("precision", "clip"), [("bf16", Clip(160, 288)), ("fp16", Clip(96, 160))])
def test_half_precision_leaves_the_masks_as_they_are(precision, clip, tmp_path):
    """The gate of `streamseg export`, on a network that was trained, over its 60 frames."""
    network = weights.load_xmem("xmem-nano", "cpu")
    memory = config.load("nano").propagation.xmem.memory
    engine = config.EngineConfig(precision=precision, channels_last=True)
    rounded = XMemEngines(network, engine, tmp_path, memory.top_k).network()
    verdict = verify_loop(network, rounded, clip, memory)
    assert verdict.frames == 60
    assert verdict.passed, verdict
    assert verdict.difference > 0  # it was another precision indeed
