"""A few rendered scenes, a small reasoner of random weights in a folder, and the one that ships."""

from __future__ import annotations

import pytest
import torch

from streamseg.reasoning.models import folder as folders
from streamseg.training.groundings import Recipe, render
from streamseg.training.nano import folder
from streamseg.training.nano import network as networks
from streamseg.training.nano.pictures import load


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    made = tmp_path_factory.mktemp("pictures")
    render(Recipe(("easy",), scenes=3, frames=(0,)), made)
    render(Recipe(("easy",), split="val", scenes=1, frames=(15,)), made)
    return made


@pytest.fixture(scope="session")
def pictures(data):
    return load(data, ("easy",), "train", labels=True)


@pytest.fixture(scope="session")
def random_model(tmp_path_factory):
    torch.manual_seed(0)
    made = tmp_path_factory.mktemp("models") / "random"
    folder.save(networks.build(), made)
    return made


@pytest.fixture
def shipped():
    torch.set_num_threads(1)
    return folder.load(folders.find("reasoner-nano"))
