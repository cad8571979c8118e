"""The loop with sentences whose answer changes: the mask changes hands, and only then."""

from __future__ import annotations

import pytest

from streamseg import StreamSegmenter, synthetic
from streamseg.benchmarks import shifts
from streamseg.clock import VirtualClock
from streamseg.sources.synthetic import SyntheticSource
from streamseg.synthetic import Expression, Scene
from streamseg.types import Event, TriggerReason

SIZE = (320, 180)


def play(word: str) -> tuple[Scene, Expression, int]:
    """The first scene of the `val` split with a sentence of a kind."""
    for seed in range(1, 30):
        scene = synthetic.scene("shifts", seed, "val", SIZE)
        for each in scene.expressions:
            if word in each.text:
                return scene, each, seed
    raise AssertionError(f"no sentence with {word!r}")


def test_who_leads_is_shown_and_hands_over_soon() -> None:
    scene, told, seed = play("right")
    events: list[Event] = []
    segmenter = StreamSegmenter.from_config("classical")
    results = list(
        segmenter.run(SyntheticSource(scene, VirtualClock()), told.text, on_event=events.append)
    )
    trial = shifts.judge(scene, told, seed, (each.masks.labels for each in results))
    assert trial.jf >= 0.8
    assert all(delay is not None and delay <= 0.6 for delay in trial.hand_overs_s)
    assert max(len(each.masks.objects) for each in results) == 1
    shifted = [event for event in events if event.kind == "referent_shifted"]
    assert len(shifted) == len(told.spans)  # the first, and each change: no flicker
    asked = [each.trigger for each in results if each.trigger is not None]
    assert TriggerReason.SHIFT in asked
    assert segmenter.summary()["counters"]["referent shifts"] == len(shifted)


def test_nothing_is_shown_before_it_happens() -> None:
    scene, told, seed = play("kicked")
    trial = shifts.run(scene, told, seed, StreamSegmenter.from_config("classical"))
    early, frames = trial.early
    assert frames > 50
    assert early == 0
    (delay,) = trial.hand_overs_s
    assert delay == pytest.approx(0.25, abs=0.25)
    assert trial.jf >= 0.8
