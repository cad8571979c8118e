"""A large model's way through trl: a tiny random Qwen-VL takes real steps, and goes on."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
import vlm_layouts

from streamseg.errors import OutputError, UsageError
from streamseg.reasoning.language.coordinates import FAMILIES
from streamseg.reasoning.models import folder as folders
from streamseg.training.grpo import command, examples, large
from streamseg.training.grpo.command import Asked
from streamseg.training.grpo.tasks import Penalty
from streamseg.training.rewards import Truth


def quiet(*_):
    pass


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return vlm_layouts.write(tmp_path_factory.mktemp("tiny"), "qwen2_5_vl")


@pytest.fixture(scope="module")
def asked(model, data, tmp_path_factory):
    output = tmp_path_factory.mktemp("large")
    return Asked(
        *(str(model), data, ("easy",), output, 0, 1, 0.0, 1, 2, 1e-3, 0.01),
        *(1.0, True, (16.0, 128.0), "own", 2),
    )


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    monkeypatch.setattr(large, "PIXELS", 4 * 28 * 28)
    torch.set_num_threads(1)


def test_a_step_through_trl_leaves_what_vlm_loads(asked, model, monkeypatch):
    """With LoRA. Rewards that differ, so that the step is one."""
    paid = examples.paid

    def differing(*given):
        def total(completions, number, **_):
            return [float(at) for at in range(len(completions))]

        return [total, *paid(*given)[1:]]

    monkeypatch.setattr(examples, "paid", differing)
    made = large.train(asked, model, quiet, longest=8)
    assert not folders.missing(made)
    rows = [json.loads(line) for line in (asked.output / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1]
    assert rows[0]["grad_norm"] > 0
    assert rows[0]["kl"] == pytest.approx(0.0, abs=1e-4)
    assert {"rewards/accuracy/mean", "rewards/thinking_format/mean"} <= set(rows[0])
    assert large.last_whole(asked.output) == asked.output / "checkpoint-1"
    before, after = (vlm_weights(folder) for folder in (model, made))
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)


def vlm_weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def test_half_a_checkpoint_is_passed_over(tmp_path):
    for step, files in ((2, large._WHOLE), (10, large._WHOLE[1:]), (4, large._WHOLE)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        for name in files:
            (tmp_path / f"checkpoint-{step}" / name).touch()
    assert large.last_whole(tmp_path) == tmp_path / "checkpoint-4"
    shutil.rmtree(tmp_path / "checkpoint-4")
    shutil.rmtree(tmp_path / "checkpoint-2")
    assert large.last_whole(tmp_path) is None


def test_a_full_disk_is_a_clear_line(tmp_path):
    class Trainer:
        def train(self, resume_from_checkpoint):
            raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"No space left.*last whole one stays"):
        large._run(Trainer(), tmp_path)


def test_what_it_cannot_train_is_refused(asked, tmp_path):
    llava = vlm_layouts.write_llava(tmp_path / "llava")
    with pytest.raises(UsageError, match=r"expected one of .*qwen2_5_vl.*got 'llava'"):
        command.run(replace(asked, model=str(llava)), quiet)
    with pytest.raises(UsageError, match="small reasoner's"):
        command.run(replace(asked, minutes=1.0), quiet)
    with pytest.raises(UsageError, match="no pictures"):
        command.run(replace(asked, data=tmp_path), quiet)


def test_rewards_are_of_the_examples_own_truth():
    """In the model's coordinates; three terms of accuracy that add up to 3."""
    mask = np.zeros((100, 200), bool)
    mask[20:60, 40:100] = True
    truth = Truth.of_masks([mask], (200, 100))
    known = [
        examples.Example([], truth, (2.0, 1.0), 4.0),
        examples.Example([], Truth((), ()), (2.0, 1.0), 4.0),
    ]
    total, accuracy, form, tokens = examples.paid(known, Penalty(beta=0.1), lambda text: len(text))
    text = (
        '<think>blue</think><answer>[{"bbox_2d": [20, 20, 50, 60], "point_2d": [35, 40], '
        '"negative_point_2d": [18, 40]}]</answer>'
    )
    chats = [[{"role": "assistant", "content": text}]] * 2
    assert accuracy(chats, number=[0, 1]) == [3.0, 0.0]
    assert form(chats, number=[0, 1]) == [1.0, 1.0]
    assert tokens(chats, number=[0, 1]) == [4.0, 4.0]
    assert total(chats, number=[0, 1])[0] == pytest.approx(8.0)
    longer = text.replace("blue", "blue sq")
    assert total([longer], number=[0])[0] == pytest.approx(8.0 * 0.7)


def test_examples_show_the_picture_and_ask_the_sentence(data):
    known = examples.examples(data, ("easy",), FAMILIES["qwen3_vl"], 32 * 32 * 8, Penalty(), 0, 6)
    assert len(known) == 6
    for each in known:
        parts = each.messages[1]["content"]
        assert sum(part["type"] == "image" for part in parts) == 1
        assert any("Find every object" in part.get("text", "") for part in parts)
        assert 16 <= each.budget <= 128
