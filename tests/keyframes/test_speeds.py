"""What goes to the deep reasoner, why, and how seldom."""

from __future__ import annotations

import pytest

from streamseg.config import DeepConfig, DifficultyConfig
from streamseg.keyframes.speeds import Considering, Heard, Limits, calls_for, hear
from streamseg.keyframes.waits import Wait
from streamseg.types import DeepReason, Grounding, Spared, Target, TriggerReason

BOX = (0.0, 0.0, 9.0, 9.0)
LIMITS = Limits(least_lead=0.15, tau_easy=3.5)
CUT, LOST, REFRESH = TriggerReason.SCENE_CUT, TriggerReason.LOST, TriggerReason.REFRESH
WELL = Grounding((Target(BOX),))
TORN = Grounding((Target(BOX), Target(BOX, lead=0.1)))
LOSS = Grounding((), cannot_tell=True)


@pytest.mark.parametrize(
    ("grounding", "difficulty", "wanted"),
    [
        (WELL, 3.4, None),
        (Grounding(()), 3.4, None),
        (Grounding((Target(BOX, lead=0.15),)), 1.0, None),
        (None, 1.0, DeepReason.NO_ANSWER),
        (LOSS, 1.0, DeepReason.CANNOT_TELL),
        (TORN, 1.0, DeepReason.TORN),
        (TORN, 9.0, DeepReason.TORN),
        (WELL, 3.5, DeepReason.HARD),
        (Grounding(()), 3.5, DeepReason.HARD),
    ],
)
def test_what_the_fast_one_answers_well_goes_no_further(
    grounding: Grounding | None, difficulty: float, wanted: DeepReason | None
) -> None:
    assert calls_for(hear(REFRESH, grounding, difficulty), LIMITS) is wanted


class Talk:
    """Answers of the fast reasoner, second by second."""

    def __init__(self, **config: float) -> None:
        self.considering = Considering(DeepConfig.model_validate(config), DifficultyConfig())

    def hears(
        self,
        at_s: float,
        grounding: Grounding | None,
        reason: TriggerReason = REFRESH,
        difficulty: float = 1.0,
    ) -> Spared | None:
        return self.considering.heard(hear(reason, grounding, difficulty), at_s)

    def asks(self, at_s: float) -> DeepReason | None:
        return self.considering.take_wish(at_s)


def test_a_wish_is_kept_until_it_can_be_asked_and_is_asked_once() -> None:
    talk = Talk()
    assert talk.hears(0.0, LOSS) is None
    assert talk.considering.wishes
    assert talk.asks(5.0) is DeepReason.CANNOT_TELL
    assert talk.asks(5.0) is None
    assert not talk.considering.wishes


def test_a_wish_is_dropped_when_the_fast_one_answers_well_after_all() -> None:
    talk = Talk()
    talk.hears(0.0, LOSS)
    assert talk.hears(1.0, WELL) is Spared.ANSWERED_WELL
    assert talk.asks(1.0) is None


def test_what_is_in_flight_is_not_asked_again() -> None:
    talk = Talk()
    talk.hears(0.0, LOSS)
    talk.asks(0.0)
    assert talk.hears(50.0, LOSS) is Spared.IN_FLIGHT
    assert talk.considering.disagreed(50.0) is Spared.IN_FLIGHT


def test_an_answer_stands_until_it_is_old_or_the_object_is_lost() -> None:
    talk = Talk(retry_s=1.0, refresh_s=30.0)
    talk.hears(0.0, LOSS)
    talk.asks(0.0)
    talk.considering.considered(told=True, now_s=2.0)
    assert talk.hears(20.0, LOSS) is Spared.CONSIDERED
    assert talk.hears(21.0, LOSS, LOST) is None
    assert talk.asks(21.0) is DeepReason.CANNOT_TELL
    talk.considering.considered(told=True, now_s=22.0)
    assert talk.hears(51.0, TORN) is Spared.CONSIDERED
    assert talk.hears(52.0, TORN) is None


def test_what_it_could_not_tell_does_not_stand_and_is_asked_ever_less_often() -> None:
    talk = Talk(retry_s=2.0, retry_cap_s=8.0)
    asked = []
    for second in range(60):
        if talk.hears(second, LOSS) is None and talk.asks(second):
            asked.append(second)
            talk.considering.considered(told=False, now_s=second)
    assert asked == [0, 2, 6, *range(14, 60, 8)]


def test_a_disagreement_is_asked_about_after_a_rest() -> None:
    talk = Talk(retry_s=2.0)
    talk.hears(0.0, TORN)
    talk.asks(0.0)
    talk.considering.considered(told=True, now_s=1.0)
    assert talk.considering.disagreed(1.5) is Spared.WAITING
    assert talk.considering.disagreed(2.5) is None
    assert talk.asks(2.5) is DeepReason.DISAGREES


def test_a_new_scene_forgets_what_was_asked_and_what_was_said() -> None:
    talk = Talk(retry_s=2.0)
    talk.hears(0.0, LOSS)
    talk.asks(0.0)
    talk.considering.new_scene()
    assert talk.hears(0.1, LOSS, CUT) is None
    assert talk.asks(0.1) is DeepReason.CANNOT_TELL
    talk.considering.considered(told=True, now_s=0.2)
    talk.considering.new_scene()
    assert talk.hears(0.3, TORN, CUT) is None


def test_the_least_sure_object_says_how_torn_an_answer_is() -> None:
    assert hear(REFRESH, TORN, 2.0) == Heard(REFRESH, True, False, 0.1, 2.0)
    assert hear(REFRESH, Grounding(()), 2.0).lead == 1.0


def test_a_wait_doubles_to_its_cap_until_it_is_reset() -> None:
    wait = Wait(1.0, 3.0)
    assert wait.left_s(0.0) <= 0
    for length in (1.0, 2.0, 3.0, 3.0):
        wait.begin(10.0)
        assert wait.left_s(10.0) == length
    wait.reset()
    assert wait.left_s(10.0) <= 0
    wait.begin(10.0)
    assert wait.left_s(10.0) == 1.0
