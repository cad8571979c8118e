"""Advantages and the objective: their signs, their sums, and where they vanish."""

from __future__ import annotations

import pytest
import torch

from streamseg.training.grpo.objective import CLIP, advantages, objective


def test_an_answer_stands_against_its_group_and_not_against_others():
    told = advantages(torch.tensor([[3.0, 1.0], [8.0, 6.0]]))
    torch.testing.assert_close(told[0], told[1])
    assert told[0, 0] > 0 > told[0, 1]
    torch.testing.assert_close(told.sum(1), torch.zeros(2))


def test_a_group_that_hardly_differs_counts_less_than_one_that_is_torn():
    told = advantages(torch.tensor([[7.0, 7.1], [2.0, 8.0]]))
    assert told[0].abs().max() < 0.1 * told[1].abs().max()
    assert float(told.square().mean()) == pytest.approx(1.0)


def test_groups_without_a_difference_teach_nothing():
    assert not advantages(torch.tensor([[5.0, 5.0], [0.0, 0.0]])).any()


def test_at_first_the_ratio_is_one_and_nothing_is_apart():
    now = torch.tensor([-1.0, -2.0, -0.5], requires_grad=True)
    fixed = now.detach()
    loss, told = objective(now, fixed, fixed, torch.tensor([1.0, -1.0, 2.0]), kl=0.01)
    assert told == {"ratio": 1.0, "clipped": 0.0, "kl": 0.0}
    loss.backward()
    torch.testing.assert_close(now.grad, torch.tensor([-1.0, 1.0, -2.0]) / 3)


def test_what_has_moved_far_enough_is_not_moved_further():
    drawn = torch.zeros(4)
    now = torch.tensor([2 * CLIP, 2 * CLIP, -2 * CLIP, -2 * CLIP], requires_grad=True)
    loss, told = objective(now, drawn, drawn, torch.tensor([1.0, -1.0, 1.0, -1.0]), kl=0.0)
    loss.backward()
    assert told["clipped"] == 1.0
    assert now.grad[0] == now.grad[3] == 0
    assert now.grad[1] > 0 > now.grad[2]


def test_the_divergence_draws_back_to_the_start_in_proportion():
    now = torch.tensor([-1.0, -9.0], requires_grad=True)
    start = torch.tensor([-3.0, -1.0])
    loss, _ = objective(now, now.detach(), start, torch.zeros(2), kl=0.5)
    loss.backward()
    torch.testing.assert_close(now.grad, 0.5 * torch.tensor([2.0, -8.0]) / 2)
