"""Groundings: true, mirrored truly, rendered once, gone on with, and the same twice."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg import synthetic
from streamseg.errors import CheckpointError, OutputError, UsageError
from streamseg.reasoning.language.coordinates import Scale
from streamseg.training.groundings import Recipe, read_shards, render
from streamseg.training.groundings.reasons import Length, Phrase, answer, read, thinking
from streamseg.training.rewards import Completion, Truth, accuracy, negative_point

RECIPE = Recipe(scenes=6, frames=(0, 28))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("groundings")
    render(RECIPE, made)
    return made


@pytest.fixture(scope="module")
def shards(folder):
    return list(read_shards(folder, ("easy", "medium"), "train"))


def pairs(shards):
    """Labels and view, of pictures and of their mirror images."""
    for shard in shards:
        for labels, view, mirrored in zip(shard.labels, shard.views, shard.mirrored, strict=True):
            yield labels, view
            yield labels[:, ::-1], mirrored


def test_a_shard_holds_what_the_scenes_show(shards):
    assert [shard.views[0].level for shard in shards] == ["easy", "medium"]
    shard = shards[1]
    view = shard.views[3]
    image, labels = synthetic.scene("medium", view.seed, "train", RECIPE.size).frame(view.frame)
    np.testing.assert_array_equal(shard.pictures[3], image)
    np.testing.assert_array_equal(shard.labels[3], labels)


def test_the_truth_of_every_thing_is_its_mask(shards):
    for labels, view in pairs(shards):
        assert {thing.id for thing in view.things} == set(np.unique(labels)[1:].tolist())
        for thing in view.things:
            mask = labels == thing.id
            rows, columns = np.nonzero(mask)
            box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert thing.box == box
            (x, y), (nx, ny) = thing.point, thing.negative
            assert mask[int(y), int(x)]
            assert not mask[int(ny), int(nx)]


def test_true_points_and_boxes_earn_the_rewards_in_full(shards):
    """Also in whole numbers of a picture that is shown smaller."""
    near = told = 0
    for labels, view in pairs(shards):
        scale = Scale(view.size, (160, 100), (160, 100))
        back = (view.size[0] / 160, view.size[1] / 100)
        for thing in view.things:
            truth = Truth.of_masks([labels == thing.id], view.size)
            text = f"<think>so</think><answer>{answer([thing], scale)}</answer>"
            read_back = Completion.of(text, back)
            assert accuracy(read_back, truth) >= 2.0  # a point on a ring is not in its middle
            told += 1
            near += negative_point(read_back, truth) == 1.0
    assert near / told > 0.95


def test_sentences_keep_their_meaning_in_the_mirror(shards):
    for shard in shards:
        for view, mirrored in zip(shard.views, shard.mirrored, strict=True):
            for sentence, turned in zip(view.sentences, mirrored.sentences, strict=True):
                assert sentence.ids == turned.ids
                if "leftmost" in sentence.text:
                    assert "rightmost" in turned.text
                    assert "leftmost" not in turned.text


def test_reasons_name_those_who_might_be_meant(shards):
    scale = Scale(RECIPE.size, (160, 100), (160, 100))
    kinds = set()
    for _, view in pairs(shards):
        for sentence in view.sentences:
            about, anchor = read(sentence)
            meant = view.meant(sentence)
            assert len(meant) == len(sentence.ids)
            assert all(about.fits(thing) for thing in meant)
            if anchor is not None:
                assert sum(anchor.fits(thing) for thing in view.things) == 1
            brief, middle, full = (
                thinking(view, sentence, length, scale)
                for length in (Length.BRIEF, Length.MIDDLE, Length.FULL)
            )
            assert full.endswith(middle)
            assert middle.endswith(brief)
            assert brief.startswith("so ")
            assert ("none." in brief) == (not meant)
            kinds.add(sentence.kind)
    assert kinds >= {
        "plain",
        "superlative",
        "position",
        "plural",
        "negation",
        "relational",
        "absent",
    }
    assert "temporal" not in kinds  # one picture does not show it


def test_reasons_are_as_written_down():
    assert Phrase.of("red balls") == Phrase("red", "disc")
    assert Phrase.of("largest thing") == Phrase()
    with pytest.raises(ValueError, match="expected a noun"):
        Phrase.of("the red")


def test_rendering_goes_on_where_it_ended(folder, tmp_path):
    few, more = (Recipe(("easy",), scenes=count, frames=(0,)) for count in (2, 3))
    render(few, tmp_path)
    (shard,) = tmp_path.glob("*.npz")
    before = shard.stat().st_mtime_ns
    steps = []
    render(few, tmp_path, step=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 1)]
    assert shard.stat().st_mtime_ns == before
    with pytest.raises(OutputError, match="another recipe"):
        render(more, tmp_path)
    shard.unlink()
    render(few, tmp_path)
    assert shard.is_file()
    assert not list(tmp_path.glob("*.part"))


def test_a_damaged_shard_is_named(tmp_path):
    render(Recipe(("easy",), scenes=1, frames=(0,)), tmp_path)
    (shard,) = tmp_path.glob("*.npz")
    shard.write_bytes(shard.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="damaged"):
        list(read_shards(tmp_path, ("easy",), "train"))
    with pytest.raises(UsageError, match="streamseg train render"):
        list(read_shards(tmp_path, ("easy",), "val"))


@pytest.mark.parametrize(
    "recipe",
    [Recipe(("odd",)), Recipe(()), Recipe(split="x"), Recipe(scenes=0), Recipe(frames=(40,))],
)
def test_what_cannot_be_rendered_is_refused(recipe, tmp_path):
    with pytest.raises(UsageError, match="expected"):
        render(recipe, tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_the_splits_show_other_scenes():
    pictures = [synthetic.scene("easy", 3, split).frame(0)[0] for split in synthetic.SPLITS]
    assert not np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[1], pictures[2])


def test_more_sentences_leave_the_pictures_as_they_are():
    few, many = (synthetic.scene("hard", 5, "train", (256, 144), per_kind=n) for n in (2, 8))
    np.testing.assert_array_equal(few.frame(3)[0], many.frame(3)[0])
    assert {each.text for each in few.expressions} < {each.text for each in many.expressions}
