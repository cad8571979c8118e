"""Training: it learns, goes on as if never broken off, and leaves a model that is judged."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from streamseg.errors import CheckpointError, OutputError, UsageError
from streamseg.reasoning.models import folder as folders
from streamseg.training import scores
from streamseg.training.groundings.reasons import Length
from streamseg.training.nano import course as courses
from streamseg.training.nano import folder, lessons, report, vision
from streamseg.training.nano import recipe as recipes
from streamseg.training.nano.course import Course, Schedule
from streamseg.training.nano.network import Grid, build, look
from streamseg.training.nano.optimisers import Both


def quiet(*_):
    pass


def test_the_command_leaves_checkpoints_a_log_curves_and_a_model(made):
    assert {path.name for path in made.iterdir()} == {
        *("vision.pt", "language.pt", "metrics.jsonl", "curves.png", "model"),
    }
    assert not folders.missing(made / "model")
    rows = [json.loads(line) for line in (made / "metrics.jsonl").read_text().splitlines()]
    told = {(row["stage"], row["what"]) for row in rows}
    assert told == {(s, w) for s in ("vision", "language") for w in ("train", "held out")}
    assert (made / "curves.png").read_bytes()[:4] == b"\x89PNG"


def test_a_course_that_was_broken_off_ends_where_the_whole_one_does(plan, made, tmp_path):
    class KilledError(Exception):
        pass

    def kill(stage, step, *_):
        if stage == "language" and step == 2:
            raise KilledError

    with pytest.raises(KilledError):
        recipes.train(plan, tmp_path, kill)
    assert not (tmp_path / "model").exists()
    log = tmp_path / "metrics.jsonl"
    with log.open("a") as file:  # logged after the checkpoint, and half a line
        file.write('{"stage": "language", "step": 2, "what": "train", "loss": 1.0}\n{"stage')
    recipes.train(plan, tmp_path, quiet)
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    steps = [row["step"] for row in rows if row["stage"] == "language"]
    assert steps == [3, 3]
    whole, parts = (
        torch.load(folder / "language.pt", weights_only=True) for folder in (made, tmp_path)
    )
    for name, tensor in whole["language"].items():
        torch.testing.assert_close(parts["language"][name], tensor, rtol=0, atol=1e-6)


@pytest.mark.parametrize("length", [None, Length.FULL])
def test_a_model_is_gone_on_from_and_its_vision_stays(plan, made, tmp_path, monkeypatch, length):
    """With `length`, reasons of that length alone are shown."""
    shown = []
    lesson = lessons.lesson

    def heard(view, sentence, length, marked=True):
        shown.append((length, marked))
        return lesson(view, sentence, length, marked)

    monkeypatch.setattr(lessons, "lesson", heard)
    after = recipes.go_on(plan, made / "model", tmp_path, quiet, length)
    one, other = (folder.load(each).state_dict() for each in (made / "model", after))
    changed = {name for name in one if not torch.equal(one[name], other[name])}
    assert "lm_head.weight" in changed
    assert not any(name.startswith("model.visual") for name in changed)
    assert {each for each, _ in shown} == ({length} if length else set(Length))
    assert length is None or all(marked for _, marked in shown)


def test_a_full_disk_leaves_the_last_good_checkpoint(made, tmp_path, monkeypatch):
    shutil.copy(made / "vision.pt", tmp_path)
    good = (tmp_path / "vision.pt").read_bytes()
    network, heads = build(), vision.Heads()
    named = [*network.model.visual.named_parameters(), *heads.named_parameters()]
    kept = {"visual": network.model.visual, "heads": heads, "optimisers": Both(named, 1e-3)}
    course = Course("vision", Schedule(9, 0.0, 1e-3, 2), tmp_path, 0, kept)
    assert course.resume()
    assert course.step == 3

    def full(state, file):
        file.write(b"some")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(courses.torch, "save", full)
    with pytest.raises(OutputError, match=r"No space left.*last good one stays"):
        course.save()
    assert (tmp_path / "vision.pt").read_bytes() == good
    assert [path.name for path in tmp_path.iterdir()] == ["vision.pt"]


def test_what_cannot_be_gone_on_with_is_refused(plan, made, tmp_path):
    shutil.copy(made / "vision.pt", tmp_path)
    with pytest.raises(CheckpointError, match="of seed 0: expected 5"):
        recipes.train(replace(plan, seed=5), tmp_path, quiet)
    (tmp_path / "vision.pt").write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError, match="no checkpoint of this network"):
        recipes.train(plan, tmp_path, quiet)
    with pytest.raises(UsageError, match="streamseg train render"):
        recipes.train(replace(plan, data=tmp_path), tmp_path / "other", quiet)


def test_vision_learns(pictures):
    torch.manual_seed(0)
    network, heads = build(), vision.Heads()
    grid, chosen = Grid.of(network), list(range(6))
    named = [*network.model.visual.named_parameters(), *heads.named_parameters()]
    both = Both(named, 3e-3)
    images = np.stack([pictures.picture(at) for at in chosen])
    wanted = vision.Wanted.of(pictures, chosen)
    totals = []
    for _ in range(25):
        parts = vision.losses(heads, look(network, grid, images), wanted)
        both.step(torch.stack(list(parts.values())).sum(), 1.0)
        totals.append(float(parts["colour"].detach()))
    assert totals[-1] < totals[0] / 3


def test_cells_know_the_things_they_show(pictures):
    """By the labels themselves, mirrored too."""
    for at, view in enumerate(pictures.views):
        owners = set(pictures.owners[at].tolist()) - {-1}
        assert owners <= set(range(len(view.things)))
        assert len(owners) >= len(view.things) - 1
        for number, thing in enumerate(view.things):
            across = 160 / view.size[0]
            assert pictures.places[at, number, 0] == pytest.approx(thing.box[0] * across, abs=1e-3)


def test_words_start_as_what_they_look_like(pictures):
    """A colour's word is nearest to the tokens of that colour."""
    torch.manual_seed(0)
    network, heads = build(), vision.Heads()
    vision.hand_over(network, heads, pictures)
    cells, wanted = vision._looked_at(network, pictures)
    assert float(cells.std()) == pytest.approx(0.5, rel=0.05)
    table = network.model.language_model.embed_tokens.weight
    centred = cells - cells.mean(0)
    names = list(vision.COLOURS)
    near = centred @ table[[vision.words.IDS[f" {name}"] for name in names]].T
    right = (near.argmax(1) == wanted.looks[:, 0]).float().mean()
    assert right > 2 / len(names)


def test_the_rate_falls_with_the_steps_or_with_time():
    schedule = Schedule(steps=100, minutes=10.0, rate=1.0, batch=1, warm_up=5)
    assert schedule.factor(0, 0.0) == pytest.approx(0.2)
    assert schedule.factor(50, 0.0) == pytest.approx(0.505)
    assert schedule.factor(5, 300.0) == pytest.approx(0.505)
    assert schedule.done(100, 0.0) == schedule.done(0, 600.0) == 1.0


def test_every_picture_is_taken_once_an_epoch():
    course = Course("vision", Schedule(9, 0.0, 1.0, 4), None, 3, {})
    taken = []
    for course.step in range(5):
        taken += course.chosen(10)
    assert sorted(taken[:10]) == sorted(taken[10:]) == list(range(10))
    assert taken[:10] != taken[10:]


def test_a_checkpoint_is_judged_by_level_and_kind(made, data, tmp_path):
    told = report.judge(str(made / "model"), data, ("easy",), "val", "brief")
    easy = told["levels"]["easy"]
    assert easy["sentences"] == sum(kind["sentences"] for kind in easy["kinds"].values())
    assert 0 <= easy["found"] <= 1
    report.write(told, tmp_path / "figures.json")
    assert json.loads((tmp_path / "figures.json").read_text())["levels"]["easy"] == easy
    with pytest.raises(UsageError, match="expected --length"):
        report.judge(str(made / "model"), data, ("easy",), "val", "long")


class TestScores:
    SIZE = (40, 20)

    def mask(self, x0, y0, x1, y1):
        mask = np.zeros((20, 40), bool)
        mask[y0:y1, x0:x1] = True
        return mask

    def score(self, answer, *masks, thinks=True):
        think = "<think> so none.</think>" if thinks else ""
        text = f"{think}<answer>{answer}</answer>"
        return scores.score(text, "plain", masks, self.SIZE, (20, 10), 2)

    def item(self, box, point):
        return f'{{"bbox_2d": {box}, "point_2d": {point}, "negative_point_2d": [0, 0]}}'

    def test_in_the_models_own_numbers(self):
        made = self.score(f"[{self.item([2, 1, 6, 5], [4, 3])}]", self.mask(4, 2, 12, 10))
        assert (made.found, made.pointed, made.format, made.accuracy) == (1, 1, 1, 3)

    def test_one_of_two_is_a_half_and_one_too_many_as_well(self):
        first, second = self.mask(4, 2, 12, 10), self.mask(20, 2, 28, 10)
        one = self.item([2, 1, 6, 5], [4, 3])
        assert self.score(f"[{one}]", first, second).found == 0.5
        assert self.score(f"[{one}, {one}]", first).pointed == 0.5

    def test_two_boxes_are_paired_as_well_as_they_can_be(self):
        table = [[True, True], [True, False]]
        assert scores._most_pairs(table) == 2

    def test_none_of_none_is_right_and_none_of_some_wrong(self):
        assert self.score("[]").found == 1
        assert self.score("[]", thinks=False).format == 1
        assert self.score("[]", self.mask(1, 1, 3, 3)).found == 0
        assert self.score(f"[{self.item([2, 1, 6, 5], [4, 3])}]").found == 0

    def test_what_cannot_be_read_earns_nothing(self):
        made = self.score("[1", self.mask(1, 1, 3, 3))
        assert (made.found, made.format, made.answered) == (0, 0, -1)

    def test_means_are_told_by_kind(self):
        told = scores.summary([self.score("[]"), self.score("[]", self.mask(1, 1, 3, 3))])
        assert (told["absent"], told["found"], told["sentences"]) == (1, 0, 2)
        assert told["kinds"]["plain"]["found"] == 0.5
