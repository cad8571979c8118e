"""What an answer is paid: by its truth, its sum, and the length of its thinking."""

from __future__ import annotations

import time

import pytest

from streamseg.training import rewards
from streamseg.training.groundings.reasons import Length
from streamseg.training.grpo import tasks
from streamseg.training.grpo.rollouts import Rollout
from streamseg.training.grpo.tasks import Penalty
from streamseg.training.nano.lessons import lesson

FREE = Penalty(beta=0.0)


def right(pictures, at, kind, length=Length.FULL):
    """A task, and the true answer to it as a rollout."""
    view = pictures.views[at]
    sentence = next(each for each in view.sentences if each.kind == kind)
    task = tasks.task(pictures, at, sentence, length)
    told = lesson(view, sentence, length)
    tokens = told.tokens[told.begin :]
    return task, Rollout(tokens, (0.0,) * len(tokens))


@pytest.mark.parametrize("kind", ["plain", "plural", "absent"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_true_answer_earns_all_there_is(pictures, kind, mirrored):
    """Three terms of accuracy that are added, not OR-ed: 3, and 8 with the rest."""
    at = len(pictures.shown) if mirrored else 0
    paid = tasks.pay(*right(pictures, at, kind), FREE)
    assert paid.accuracy == 3.0
    assert paid.total == pytest.approx(8.0)


def test_the_wrong_thing_earns_its_form_alone(pictures):
    task, _ = right(pictures, 0, "plain")
    _, other = right(pictures, 1, "plain")
    paid = tasks.pay(task, other, FREE)
    assert paid.accuracy == 0.0
    assert 4.0 <= paid.total <= 5.0


def test_thinking_past_the_budget_costs_its_share(pictures):
    task, told = right(pictures, 0, "plain")
    free = tasks.pay(task, told, FREE)
    bound = Penalty(at_1=4, at_10=4, beta=0.01)
    dear = tasks.pay(task, told, bound)
    assert dear.total == pytest.approx(free.total * (1 - 0.01 * (free.thinking - 4)))
    assert dear.accuracy == free.accuracy
    assert tasks.pay(task, told, Penalty(at_1=200, at_10=200)).total == pytest.approx(free.total)


def test_budgets_grow_with_difficulty_as_while_running():
    from streamseg.config import DifficultyConfig

    known = DifficultyConfig()
    assert (Penalty().budget(1.0), Penalty().budget(10.0)) == (
        known.tokens_at_1,
        known.tokens_at_10,
    )
    assert Penalty().budget(5.5) == 72.0


def test_a_thousand_completions_are_paid_in_no_time(pictures):
    """The aim is 50 ms; four times that here, for a machine that does other things."""
    task, told = right(pictures, 0, "plural")
    text = "".join(tasks.words.TOKENS[at] for at in told.tokens[:-1])
    best = 1.0
    for _ in range(3):
        begun = time.process_time()
        for _ in range(1000):
            read = rewards.Completion.of(text, task.scale)
            rewards.total(read, task.truth, 20, 16.0)
        best = min(best, time.process_time() - begun)
    assert best < 0.2
