"""One question at a time: when it may be asked, and when its answer is there."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from builders import frame

from streamseg.clock import RealClock
from streamseg.config import ReasoningConfig
from streamseg.reasoning import GroundingRequest
from streamseg.reasoning.dialogue import Dialogue, Question
from streamseg.reasoning.worker.client import ReasoningWorker
from streamseg.types import TriggerReason


@pytest.fixture
def dialogue() -> Iterator[Dialogue]:
    """A dialogue in real time with a reasoner that does what the query says, ready to be asked."""
    config, clock = ReasoningConfig(), RealClock()
    made = Dialogue(config, clock, lambda event: None)
    made._worker.close()
    made._worker = ReasoningWorker(config, clock, factory="scripted_reasoner:scripted")
    made.start()
    assert made._worker.wait_ready(60)
    yield made
    made.close()


def question(text: str, query_id: int = 1) -> Question:
    request = GroundingRequest(text, frame(0), (frame(0),))
    return Question(request, query_id, TriggerReason.NEW_QUERY, 1.0, 0)


def wait_until_ready(dialogue: Dialogue) -> None:
    started_s = time.monotonic()
    while not dialogue.ready:
        assert time.monotonic() - started_s < 30
        time.sleep(0.005)


def test_a_reasoner_still_busy_with_what_nobody_wants_is_not_ready(dialogue: Dialogue) -> None:
    """A frame asked about now would wait behind it, and grow old."""
    wait_until_ready(dialogue)
    dialogue.ask(question("slow 1.0"))
    while dialogue._worker.idle:
        time.sleep(0.005)
    dialogue.cancel()
    assert (dialogue.waiting, dialogue.ready) == (False, False)
    wait_until_ready(dialogue)
    assert dialogue._worker.stale_answers == 1


def test_a_question_that_cannot_be_put_is_answered_with_the_reason(dialogue: Dialogue) -> None:
    dialogue._worker.close()
    dialogue.ask(question("the mug"))
    answer = dialogue.hear()
    assert answer is not None
    assert answer.grounding is None
    assert "closed" in (answer.error or "")
    assert not dialogue.waiting
