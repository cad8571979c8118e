"""A few rendered scenes, and a small reasoner that was trained for a moment on them."""

from __future__ import annotations

import pytest
import torch

from streamseg.training.groundings import Recipe, render
from streamseg.training.nano import network as networks
from streamseg.training.nano import recipe as recipes
from streamseg.training.nano.course import Schedule
from streamseg.training.nano.pictures import load


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    render(Recipe(scenes=3, frames=(0,)), folder)
    render(Recipe(split="val", scenes=2, frames=(15,)), folder)
    return folder


@pytest.fixture(scope="session")
def pictures(data):
    return load(data, ("easy", "medium"), "train")


@pytest.fixture(scope="session")
def network():
    torch.manual_seed(0)
    return networks.build().eval()


@pytest.fixture(scope="session")
def plan(data):
    """A course of a few steps."""
    short = Schedule(steps=3, minutes=0.0, rate=3e-3, batch=4)
    return recipes.Recipe(data, vision=short, language=short)


@pytest.fixture(scope="session")
def made(plan, tmp_path_factory):
    output = tmp_path_factory.mktemp("made")
    torch.set_num_threads(1)
    recipes.train(plan, output, lambda *_: None)
    return output
