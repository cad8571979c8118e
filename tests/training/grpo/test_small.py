"""The small reasoner paid for its answers: it learns, goes on, and refuses what it cannot use."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from streamseg.errors import CheckpointError, OutputError, UsageError
from streamseg.reasoning.models import folder as folders
from streamseg.training.groundings.reasons import Length
from streamseg.training.grpo import board, command, small, tasks
from streamseg.training.grpo.command import Asked
from streamseg.training.nano import course as courses
from streamseg.training.nano.course import Schedule
from streamseg.training.nano.language import Memory


def quiet(*_):
    pass


@pytest.fixture(scope="session")
def asked(data, random_model, tmp_path_factory):
    output = tmp_path_factory.mktemp("paid")
    return Asked(
        *(str(random_model), data, ("easy",), output, 0, 2, 0.0, 4, 2, 1e-4, 0.005),
        *(1.0, True, (16.0, 128.0), "own", 0),
    )


@pytest.fixture(scope="session")
def made(asked):
    torch.set_num_threads(1)
    command.run(asked, quiet)
    return asked.output


def share_of_even(rollout):
    """Of the numbers that an answer writes."""
    values = [
        token - first
        for token in rollout.tokens
        for first in tasks.words.FIRST_NUMBERS
        if 0 <= token - first <= tasks.words.MOST
    ]
    return sum(value % 2 == 0 for value in values) / max(1, len(values))


def test_what_earns_more_becomes_likelier(shipped, pictures):
    """Paid for even numbers, it writes more of them: the sign of the whole chain."""
    plan = small.Plan(Schedule(9, 0.0, 1e-3, 4), length=Length.BRIEF)
    learner = small.Learner(shipped, 1e-3, plan.kl, plan.temperature)
    memory = Memory(shipped, pictures)
    asked = tasks.drawn(pictures, [0, 1], 2, plan.length, np.random.default_rng(0))

    def pay(task, rollout):
        return tasks.Paid(8.0 * share_of_even(rollout), 0.0, 0)

    told = [
        small.one_step(
            learner, memory, asked, plan, 1.0, torch.Generator().manual_seed(at), pay=pay
        )
        for at in range(4)
    ]
    assert told[0]["ratio"] == pytest.approx(1.0, abs=1e-3)
    assert told[0]["kl"] == pytest.approx(0.0, abs=1e-6)
    assert np.mean([row["reward"] for row in told[-2:]]) > told[0]["reward"] + 0.2


def test_the_command_leaves_a_checkpoint_a_log_curves_and_a_model(made):
    there = {path.name for path in made.iterdir()} - {"tensorboard"}
    assert there == {"grpo.pt", "metrics.jsonl", "curves.png", "model"}
    assert not folders.missing(made / "model")
    rows = [json.loads(line) for line in (made / "metrics.jsonl").read_text().splitlines()]
    assert [(row["what"], row["step"]) for row in rows] == [("train", 2), ("held out", 2)]
    assert {"reward", "accuracy", "thinking", "kl", "torn"} <= set(rows[0])


def test_broken_off_it_ends_where_the_whole_one_does(asked, made, tmp_path, monkeypatch):
    class KilledError(Exception):
        pass

    def kill(stage, step, *_):
        if step == 1:
            raise KilledError

    save_always = courses.Course.run

    def run(self, one, judged, told, every=(20, 300), save_s=60.0):
        save_always(self, one, judged, told, every, save_s=-1.0)

    monkeypatch.setattr(courses.Course, "run", run)
    again = replace(asked, output=tmp_path)
    with pytest.raises(KilledError):
        command.run(again, kill)
    assert not (tmp_path / "model").exists()
    command.run(again, quiet)
    whole, parts = (torch.load(f / "grpo.pt", weights_only=True) for f in (made, tmp_path))
    assert parts["step"] == 2
    for name, tensor in whole["language"].items():
        torch.testing.assert_close(parts["language"][name], tensor, rtol=0, atol=1e-5)


def test_a_full_disk_leaves_the_last_good_checkpoint(asked, made, tmp_path, monkeypatch):
    shutil.copy(made / "grpo.pt", tmp_path)
    good = (tmp_path / "grpo.pt").read_bytes()

    def full(state, file):
        file.write(b"some")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(courses.torch, "save", full)
    with pytest.raises(OutputError, match=r"No space left.*last good one stays"):
        command.run(replace(asked, output=tmp_path, steps=3), quiet)
    assert (tmp_path / "grpo.pt").read_bytes() == good


def test_what_cannot_be_gone_on_with_is_refused(asked, made, tmp_path):
    shutil.copy(made / "grpo.pt", tmp_path)
    with pytest.raises(CheckpointError, match="began with another --model"):
        command.run(replace(asked, output=tmp_path, model="reasoner-nano"), quiet)
    with pytest.raises(CheckpointError, match="of seed 0: expected 5"):
        command.run(replace(asked, output=tmp_path, seed=5), quiet)
    (tmp_path / "grpo.pt").write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError, match="no checkpoint of this network"):
        command.run(replace(asked, output=tmp_path), quiet)


def test_bad_input_is_a_clear_line(asked, tmp_path):
    with pytest.raises(UsageError, match=r"no pictures of level easy.*streamseg train render"):
        command.run(replace(asked, data=tmp_path, output=tmp_path / "out"), quiet)
    for wrong, told in (
        ({"length": "long"}, "--length own, brief, middle, full"),
        ({"lora": 4}, "--lora"),
        ({"prompts": 6}, "multiple of 4"),
    ):
        with pytest.raises(UsageError, match=told):
            command.run(replace(asked, **wrong), quiet)


def test_a_checkpoint_of_another_size_is_refused(asked, random_model, tmp_path):
    """Its config says one thing, its weights another."""
    for file in random_model.iterdir():
        shutil.copy(file, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["text_config"]["hidden_size"] = 96
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"not a checkpoint of this network|does not load"):
        command.run(replace(asked, model=str(tmp_path), output=tmp_path / "out"), quiet)


def test_tensorboard_gets_the_log_where_it_is_installed(tmp_path, monkeypatch):
    import sys
    import types

    got = []

    class Writer:
        def __init__(self, folder):
            got.append(folder)

        def add_scalar(self, name, value, step):
            got.append((name, value, step))

        def close(self):
            got.append("closed")

    monkeypatch.setitem(
        sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer)
    )
    with board.beside(tmp_path) as heard:
        heard({"stage": "grpo", "what": "held out", "step": 3, "found": 0.5})
    assert got == [tmp_path / "tensorboard", ("held_out/found", 0.5, 3), "closed"]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with board.beside(tmp_path) as heard:
        assert heard is None
