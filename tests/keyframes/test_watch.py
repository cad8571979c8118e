"""The watch over a stream: when it asks, about which frame, and what a break changes."""

from __future__ import annotations

import numpy as np
from builders import frame, painted

from streamseg.config import Config, parse
from streamseg.keyframes.watch import KeyframeWatch, Look
from streamseg.types import Frame, MaskSet, TrackState, TrackView, TriggerReason

EMPTY = MaskSet(np.zeros((48, 64), np.uint16))
FOUND = MaskSet(
    np.zeros((48, 64), np.uint16),
    (TrackView(1, 0.9, TrackState.TRACKING, (8.0, 8.0, 24.0, 24.0)),),
)
RED = painted({(8, 8, 24, 24): (220, 30, 30)})


class Stream:
    """Frames shown to a watch one after the other."""

    def __init__(self, query: str = "the red box", config: Config | None = None) -> None:
        self.watch = KeyframeWatch(config or Config(), query)
        self.frames: list[Frame] = []

    def show(self, masks: MaskSet = EMPTY, image: np.ndarray | None = None) -> Look:
        shown = frame(len(self.frames), image=RED if image is None else image)
        self.frames.append(shown)
        return self.watch.look(shown, masks, busy=False, grounding_age_s=None, now_ns=shown.pts_ns)

    def answer(self, *, found: bool) -> None:
        self.watch.answered(found=found, cost_s=0.05, now_ns=self.frames[-1].pts_ns)


def test_a_new_query_is_asked_on_the_first_frame() -> None:
    stream = Stream()
    assert stream.show().decision.reason is TriggerReason.NEW_QUERY
    assert stream.watch.sample(stream.frames).target.index == 0


def test_a_query_about_motion_waits_until_there_is_some() -> None:
    stream = Stream("the box that moves left")
    asked = next(i for i in range(30) if stream.show().decision.reason is not None)
    assert asked == Config().sampler.warmup_frames - 1


def test_while_a_target_is_tracked_nothing_is_asked() -> None:
    stream = Stream()
    stream.show()
    stream.answer(found=True)
    assert all(stream.show(FOUND).decision.reason is None for _ in range(60))


def test_every_decision_says_why() -> None:
    stream = Stream()
    assert all(stream.show().decision.why for _ in range(10))


def test_asking_again_is_about_a_newer_frame() -> None:
    stream = Stream()
    targets = []
    for index in range(90):
        # The red box shows at first only: by relevance alone the same frame would win each time.
        look = stream.show(image=RED if index < 20 else painted({}))
        if look.decision.reason is not None:
            targets.append(stream.watch.sample(stream.frames).target.index)
            stream.answer(found=False)
    assert len(targets) >= 3
    assert targets == sorted(set(targets))


def test_a_break_asks_anew() -> None:
    stream = Stream(config=parse({"trigger": {"cooldown_s": 0.0, "search_retry_s": 100.0}}))
    stream.show()
    stream.answer(found=False)
    assert all(stream.show().decision.reason is None for _ in range(5))
    stream.watch.new_epoch()
    assert stream.show().decision.reason is TriggerReason.NO_TARGET
