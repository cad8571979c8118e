"""The reasoner we ship: unchanged since it was trained, and its answers mean something."""

from __future__ import annotations

import numpy as np
import pytest

import streamseg
from streamseg import config, synthetic, weights
from streamseg.errors import CheckpointError
from streamseg.reasoning.models import folder as folders
from streamseg.training import scores
from streamseg.training.groundings import Recipe, render
from streamseg.training.groundings.reasons import Length
from streamseg.training.nano import folder
from streamseg.training.nano.evaluating import Exam, answers
from streamseg.training.nano.pictures import load

NAME = "reasoner-nano"


@pytest.fixture(scope="module")
def network():
    return folder.load(folders.find(NAME))


def test_the_files_are_those_that_were_written():
    assert "model.safetensors" in weights.verify(NAME)
    info = next(model for model in weights.list_models() if model.name == NAME)
    assert info.present
    assert info.nbytes <= 12_000_000
    assert config.load(NAME).reasoning.deep.backend == "vlm"


def test_a_changed_file_is_refused(tmp_path, monkeypatch):
    copied = tmp_path / NAME
    copied.mkdir()
    for file in folders.find(NAME).iterdir():
        (copied / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(weights.places, "own_folder", lambda model: copied)
    weights.verify(NAME)
    weighty = copied / "config.json"
    weighty.write_bytes(weighty.read_bytes() + b" ")
    with pytest.raises(CheckpointError, match="expected SHA-256"):
        weights.verify(NAME)


@pytest.mark.parametrize(("level", "least"), [("easy", 0.6), ("medium", 0.4)])
def test_it_answers_sentences_about_scenes_it_has_not_seen(network, level, least, tmp_path):
    """Far below what its card says of many: these are few."""
    render(Recipe((level,), "test", 10, (15,)), tmp_path)
    exam = Exam.of(load(tmp_path, (level,), "test", labels=True), length=Length.BRIEF)
    told = scores.summary(score for score, _ in answers(network, exam))
    assert told["format"] > 0.95
    assert told["found"] > least
    assert told["pointed"] > least


def test_it_runs_live_as_the_deep_speed():
    segmenter = streamseg.StreamSegmenter.from_config(NAME, ["reasoning.fast.backend=none"])
    source, query = "synthetic:medium?seed=7", "the rightmost object"
    last = list(segmenter.run(source, query=query, max_frames=8))[-1]
    _, truth = synthetic.scene("medium", 7).frame(7)
    columns = {int(id_): np.nonzero(truth == id_)[1].mean() for id_ in np.unique(truth)[1:]}
    meant = truth == max(columns, key=columns.__getitem__)
    shown = last.masks.labels > 0
    assert (shown & meant).sum() / (shown | meant).sum() > 0.7
