"""Rollouts: what is drawn together is what is drawn alone, and its chances are the network's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from streamseg.training.grpo import small, tasks
from streamseg.training.grpo.rollouts import roll
from streamseg.training.nano.language import Memory
from streamseg.training.nano.writing import write


@pytest.fixture
def asked(pictures):
    return tasks.drawn(pictures, [0, 3, 5], 2, None, np.random.default_rng(1))


def test_greedy_answers_are_those_of_transformers(shipped, pictures, asked):
    """`write` goes through transformers' own language model and cache."""
    features = Memory(shipped, pictures).of([each.picture for each in asked])
    prompts = [each.prompt for each in asked]
    slow = write(shipped, features, prompts, 96)
    fast = roll(shipped, features, prompts, 2, 96, temperature=0.0)
    for wanted, group in zip(slow, fast, strict=True):
        assert all(list(each.tokens[:-1]) == wanted and each.ended for each in group)


def test_chances_are_the_networks_own(shipped, pictures, asked):
    """Drawn through the cache and the shrinking batch; judged again in one packed pass."""
    memory = Memory(shipped, pictures)
    features = memory.of([each.picture for each in asked])
    generator = torch.Generator().manual_seed(0)
    groups = roll(shipped, features, [e.prompt for e in asked], 3, 96, generator, 0.7)
    assert len({len(each.tokens) for group in groups for each in group}) > 3
    rewards = torch.arange(18.0).view(6, 3) * 2
    lot = small.Lot.of(asked, groups, rewards)
    with torch.no_grad():
        told, owners = small.chances(shipped, memory.of(lot.pictures), lot, 0.7)
    torch.testing.assert_close(told, lot.drawn, rtol=0, atol=2e-3)
    assert owners.bincount().tolist() == [len(each.tokens) for g in groups for each in g]


def test_lots_are_those_of_the_seed(shipped, pictures, asked):
    features = Memory(shipped, pictures).of([each.picture for each in asked])
    both = [
        roll(shipped, features, [e.prompt for e in asked], 2, 40, torch.Generator().manual_seed(7))
        for _ in range(2)
    ]
    assert both[0] == both[1]
    assert both[0][0][0] != both[0][0][1]


def test_an_answer_too_long_is_broken_off(shipped, pictures, asked):
    features = Memory(shipped, pictures).of([each.picture for each in asked])
    groups = roll(shipped, features, [each.prompt for each in asked], 2, 5)
    assert all(len(each.tokens) == 5 and not each.ended for group in groups for each in group)
