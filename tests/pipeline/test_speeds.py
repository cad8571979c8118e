"""The loop with two reasoners: which is asked, and whose word counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from streamseg import StreamSegmenter, synthetic
from streamseg.benchmarks.speeds import oracle
from streamseg.clock import VirtualClock
from streamseg.sources.synthetic import SyntheticSource
from streamseg.types import (
    DeepReason,
    Event,
    FrameResult,
    Labels,
    ReasonerState,
    Speed,
    TrackState,
    TriggerReason,
)

FRAMES = 90
SCENE = synthetic.scene("easy", 1, size=(320, 180), frames=FRAMES)
PLAIN = next(each for each in SCENE.expressions if each.kind == "plain")
(MEANT,) = PLAIN.object_ids
OTHER = next(item.id for item in SCENE.objects if item.id != MEANT)
UNCLEAR = "the gizmo"
DEEP = {Speed.DEEP: oracle.FACTORY}
Run = Callable[..., list[FrameResult]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def play(
        text: str,
        answers: Mapping[str, Sequence[int]],
        *overrides: str,
        reasoners: Mapping[Speed, str] = DEEP,
        events: list[Event] | None = None,
        meanwhile: Callable[[StreamSegmenter, FrameResult], object] = lambda segmenter, seen: None,
    ) -> list[FrameResult]:
        for name, value in oracle.setting(SCENE, 1, "test", answers).items():
            monkeypatch.setenv(name, value)
        play.segmenter = StreamSegmenter.from_config("classical", overrides, reasoners)  # type: ignore[attr-defined]
        tell = (lambda event: None) if events is None else events.append
        results = []
        source = SyntheticSource(SCENE, VirtualClock())
        for result in play.segmenter.run(source, text, on_event=tell):  # type: ignore[attr-defined]
            meanwhile(play.segmenter, result)  # type: ignore[attr-defined]
            results.append(result)
        return results

    return play


def shows(result: FrameResult) -> set[int]:
    """Ids of the true objects that its masks cover."""
    truth: Labels = SCENE.frame(result.frame.index)[1]
    ids = [item.id for item in SCENE.objects if (truth == item.id).any()]
    shown = result.masks.labels > 0
    return {k for k in ids if np.mean(shown[truth == k]) > 0.5}


def asked(results: Sequence[FrameResult]) -> dict[int, DeepReason]:
    return {r.frame.index: r.deep for r in results if r.deep is not None}


def test_what_the_fast_one_answers_well_is_asked_of_nobody_else(run: Run) -> None:
    results = run(PLAIN.text, {PLAIN.text: [OTHER]})
    assert asked(results) == {}
    assert shows(results[-1]) == {MEANT}
    calls = run.segmenter.summary()["calls"]  # type: ignore[attr-defined]
    assert set(calls) == {"fast"}
    assert calls["fast"]["not_considered"] == {
        "the fast one answered well": calls["fast"]["answered"]
    }


def test_what_the_fast_one_cannot_tell_the_deep_one_is_asked(run: Run) -> None:
    events: list[Event] = []
    results = run(UNCLEAR, {UNCLEAR: [OTHER]}, "reasoning.deep.delay_s=0.5", events=events)
    ((first, why),) = asked(results).items()
    assert why is DeepReason.CANNOT_TELL
    assert not any(r.masks.labels.any() for r in results if r.frame.index < first + 14)
    assert all(shows(r) == {OTHER} for r in results if r.frame.index > first + 18)
    assert results[-1].state is TrackState.TRACKING
    assert results[-1].doubt == ""
    summary = run.segmenter.summary()  # type: ignore[attr-defined]
    assert summary["calls"]["deep"]["why"] == {str(DeepReason.CANNOT_TELL): 1}
    assert summary["calls"]["deep"]["waited_s"] == pytest.approx(0.5, abs=0.04)
    assert {g["speed"] for g in summary["groundings"]} == {"fast", "deep"}
    assert summary["reasoner"]["speeds"]["deep"]["state"] == "ready"
    (told,) = [event.message for event in events if event.kind == "deep_asked"]
    assert "cannot tell" in told


def test_the_deep_one_moves_what_the_fast_one_showed_and_keeps_it(run: Run) -> None:
    """The fast one goes on naming its own choice, and moves nothing any more."""
    hard = ("difficulty.tau_easy=1.0", "reasoning.deep.delay_s=0.5", "trigger.refresh_s=0.5")
    results = run(PLAIN.text, {PLAIN.text: [OTHER]}, *hard)
    first = min(asked(results))
    assert asked(results)[first] is DeepReason.HARD
    assert all(shows(r) == {MEANT} for r in results[first + 5 : first + 14])
    assert all(shows(r) == {OTHER} for r in results[first + 18 :])
    summary = run.segmenter.summary()  # type: ignore[attr-defined]
    assert summary["calls"]["fast"]["asked"] > 3
    assert summary["counters"]["objects overruled"] > 1
    # It is asked who is right, after a rest: not at every one of them.
    assert list(asked(results).values())[1:] == [DeepReason.DISAGREES]


def test_the_deep_one_ends_what_the_fast_one_showed(run: Run) -> None:
    hard = ("difficulty.tau_easy=1.0", "reasoning.deep.delay_s=0.5", "trigger.refresh_s=0.5")
    results = run(PLAIN.text, {PLAIN.text: []}, *hard)
    first = min(asked(results))
    assert shows(results[first + 10]) == {MEANT}
    assert all(not r.masks.labels.any() for r in results[first + 18 :])


def test_the_deep_one_confirms_what_the_fast_one_showed(run: Run) -> None:
    hard = ("difficulty.tau_easy=1.0", "reasoning.deep.delay_s=0.5", "trigger.refresh_s=0.5")
    results = run(PLAIN.text, {PLAIN.text: [MEANT]}, *hard)
    assert len(asked(results)) == 1
    assert all(shows(r) == {MEANT} for r in results[10:])
    assert {view.id for r in results[10:] for view in r.masks.objects} == {1}


def test_with_no_fast_reasoner_the_deep_one_is_asked_at_once(run: Run) -> None:
    results = run(
        UNCLEAR,
        {UNCLEAR: [OTHER]},
        "reasoning.fast.backend=none",
        "reasoning.deep.backend=attribute",
    )
    assert results[0].trigger is TriggerReason.NEW_QUERY
    assert asked(results) == {}
    assert shows(results[-1]) == {OTHER}
    calls = run.segmenter.summary()["calls"]  # type: ignore[attr-defined]
    assert set(calls) == {"deep"}


def test_a_newer_query_cancels_both(run: Run) -> None:
    def change(segmenter: StreamSegmenter, seen: FrameResult) -> None:
        if seen.frame.index == 20:
            segmenter.set_query(PLAIN.text)

    results = run(UNCLEAR, {UNCLEAR: [OTHER]}, "reasoning.deep.delay_s=1.5", meanwhile=change)
    assert list(asked(results)) == [0]
    assert all(shows(r) == {MEANT} for r in results[30:])


@pytest.mark.parametrize("delay_s", [1.0, 2.5])
def test_an_answer_later_than_the_ring_is_carried_along_a_trail(run: Run, delay_s: float) -> None:
    small = (f"reasoning.deep.delay_s={delay_s}", "buffer.seconds=0.4")
    results = run(UNCLEAR, {UNCLEAR: [OTHER]}, *small)
    assert asked(results)
    after = round(delay_s * 30) + 2
    assert all(shows(r) == {OTHER} for r in results[after:])
    assert run.segmenter.summary()["answers_dropped"] == {}  # type: ignore[attr-defined]


def test_a_deep_reasoner_that_cannot_be_loaded_hinders_nothing(run: Run) -> None:
    broken = {Speed.DEEP: "streamseg.benchmarks.speeds.oracle:nobody"}
    events: list[Event] = []
    quick = ("reasoning.deep.crash_limit=1", "difficulty.tau_easy=1.0")
    results = run(PLAIN.text, {}, *quick, reasoners=broken, events=events)
    assert shows(results[-1]) == {MEANT}
    assert results[-1].reasoner is ReasonerState.READY
    assert any(e.message.startswith("the deep reasoning process") for e in events)
    assert run.segmenter.summary()["reasoner"]["failures"] == 0  # type: ignore[attr-defined]


def test_live_a_deep_question_in_flight_hinders_no_fast_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in oracle.setting(SCENE, 1, "test", {UNCLEAR: [OTHER]}, busy_s=3.0).items():
        monkeypatch.setenv(name, value)
    segmenter = StreamSegmenter.from_config("classical", (), DEEP)
    with segmenter.session(UNCLEAR) as session:

        def step_until(wanted: Callable[[FrameResult], bool]) -> FrameResult:
            deadline_s = time.monotonic() + 60
            while not wanted(result := session.step(SCENE.frame(0)[0])):
                assert time.monotonic() < deadline_s
                time.sleep(0.01)
            return result

        step_until(lambda result: result.deep is not None)
        segmenter.set_query(PLAIN.text)
        started_s = time.monotonic()
        step_until(lambda result: shows_at_first(result) == {MEANT})
        assert time.monotonic() - started_s < 3.0
    calls = segmenter.summary()["calls"]
    assert calls["deep"]["asked"] == 1
    assert calls["deep"]["answered"] == 0


def shows_at_first(result: FrameResult) -> set[int]:
    truth = SCENE.frame(0)[1]
    shown = result.masks.labels > 0
    return {item.id for item in SCENE.objects if np.mean(shown[truth == item.id]) > 0.5}
