"""Every scene is deterministic, its masks are exact, and what it says of itself is true."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg import synthetic
from streamseg.errors import UsageError
from streamseg.synthetic import ExpressionKind, Scene

SMALL = (320, 180)


@pytest.mark.parametrize("name", synthetic.NAMES)
def test_a_frame_is_a_function_of_its_index(name: str) -> None:
    first = synthetic.scene(name, seed=4, size=SMALL)
    second = synthetic.scene(name, seed=4, size=SMALL)
    image, labels = first.frame(40)
    first.frame(3)
    for scene in (first, second):
        again_image, again_labels = scene.frame(40)
        np.testing.assert_array_equal(image, again_image)
        np.testing.assert_array_equal(labels, again_labels)
    assert (image.shape, image.dtype) == ((180, 320, 3), np.uint8)
    assert (labels.shape, labels.dtype) == ((180, 320), np.uint16)
    assert image.flags.c_contiguous


@pytest.mark.parametrize("name", synthetic.NAMES)
def test_splits_and_seeds_differ(name: str) -> None:
    pictures = {
        synthetic.scene(name, seed=seed, split=split, size=(96, 64)).frame(0)[0].tobytes()
        for seed in (1, 2)
        for split in synthetic.SPLITS
    }
    assert len(pictures) == 6


def test_the_length_does_not_change_the_content() -> None:
    short = synthetic.scene("medium", seed=2, size=SMALL, frames=30)
    long = synthetic.scene("medium", seed=2, size=SMALL, frames=90)
    np.testing.assert_array_equal(short.frame(29)[0], long.frame(29)[0])
    with pytest.raises(IndexError):
        short.frame(30)


@pytest.mark.parametrize("name", synthetic.NAMES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_everybody_is_in_full_view_in_the_first_second(name: str, seed: int) -> None:
    scene = synthetic.scene(name, seed=seed, size=SMALL)
    for index in (0, 10, 20, 30):
        areas = np.bincount(scene.frame(index)[1].ravel(), minlength=64)
        for item in scene.objects:
            full = item.sprite.area_px * item.grows.at(index / scene.fps) ** 2
            assert areas[item.id] >= 0.8 * full, (item.id, index)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nobody_is_covered_in_an_easy_scene(seed: int) -> None:
    scene = synthetic.scene("easy", seed=seed, size=SMALL)
    for index in range(0, 120, 17):
        areas = np.bincount(scene.frame(index)[1].ravel(), minlength=16)
        for item in scene.objects:
            assert areas[item.id] == pytest.approx(item.sprite.area_px, rel=0.08)


def test_the_mask_is_where_the_object_is_drawn() -> None:
    """An object's pixels differ from the picture without it on the mask, and hardly beyond."""
    from streamseg.synthetic.motion import Camera, Light, Still, Turn
    from streamseg.synthetic.sprites import Look, Sprite
    from streamseg.synthetic.stage import SceneObject, Stage

    ground = np.full((90, 160, 3), 140, np.uint8)
    stage = Stage(ground, (160, 90), Camera(), Light(), 0.0, 1)
    for shape in ("disc", "square", "triangle", "star", "ring", "ellipse", "blob"):
        look = Look(shape, "red", "plain", 22.0, 5)
        item = SceneObject(3, look, Sprite(look), "medium", "still", Still(70.3, 44.8), Turn(0.4))
        image, labels = stage.draw([item], 0.0, 0)
        # Red against grey: the blue channel falls, by more than any shadow takes.
        red = image[..., 0].astype(int) - image[..., 2] > 60
        mask = labels == 3
        assert set(np.unique(labels)) == {0, 3}
        assert np.count_nonzero(red ^ mask) <= 0.06 * np.count_nonzero(mask), shape


def test_the_disc_has_the_area_of_a_disc() -> None:
    from streamseg.synthetic.sprites import Look, Sprite

    sprite = Sprite(Look("disc", "blue", "plain", 30.0, 1))
    assert sprite.area_px == pytest.approx(np.pi * 30.0**2, rel=0.01)


def test_one_comes_back_after_one_to_three_seconds() -> None:
    for seed in (1, 2, 3, 4, 5, 6):
        scene = synthetic.scene("reentry", seed=seed, size=SMALL)
        seen = [bool((scene.frame(i)[1] == 1).any()) for i in range(0, len(scene), 3)]
        gone = seen.index(False)
        back = gone + seen[gone:].index(True)
        assert gone * 3 > 30
        assert 1.0 <= (back - gone) * 3 / scene.fps <= 3.5
        assert all(seen[back:])
        assert any(each.kind is ExpressionKind.PLAIN for each in scene.expressions)


def test_a_cut_changes_the_picture_and_brings_the_first_object_back() -> None:
    scene = synthetic.scene("cut", seed=2, size=SMALL)
    before, after = scene.frame(59)[0].astype(int), scene.frame(60)[0].astype(int)
    steady = scene.frame(58)[0].astype(int)
    assert np.abs(before - after).mean() > 5 * np.abs(before - steady).mean()
    seen = [bool((scene.frame(i)[1] == 1).any()) for i in (0, 59, 60, 119, 120, 179)]
    assert seen == [True, True, False, False, True, True]


def test_look_alikes_share_shape_and_colour() -> None:
    for seed in (1, 2, 3):
        twins = synthetic.scene("lookalikes", seed=seed, size=SMALL).objects[:3]
        assert len({(item.shape, item.colour, item.material) for item in twins}) == 1


def test_the_endless_scene_has_comings_and_goings_late_in_its_life() -> None:
    scene = synthetic.scene("endless", seed=1, size=(160, 90))
    assert len(scene) == 20_000
    late = [set(np.unique(scene.frame(i)[1])) for i in range(15_000, 15_900, 30)]
    assert len(set.union(*late)) > 8
    hero = [1 in ids for ids in late]
    assert any(hero)
    assert not all(hero)


@pytest.mark.parametrize("wrong", [{"name": "no"}, {"split": "no"}, {"size": (10, 10)}, {"fps": 0}])
def test_a_scene_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        synthetic.scene(**wrong)  # type: ignore[arg-type]


def test_grounds_from_a_users_picture(tmp_path: object) -> None:
    import cv2

    picture = f"{tmp_path}/ground.png"
    cv2.imwrite(picture, np.full((90, 200, 3), (200, 30, 40), np.uint8))
    from pathlib import Path

    scene = synthetic.scene("easy", seed=1, size=(160, 90), textures=Path(picture))
    image, labels = scene.frame(0)
    assert np.median(image[labels == 0], axis=0) == pytest.approx([40, 30, 200], abs=4)


def _scenes() -> list[Scene]:
    return [
        synthetic.scene(name, seed=seed, size=SMALL)
        for name in synthetic.NAMES
        for seed in (11, 12, 13)
    ]


def test_every_answer_is_there_and_absent_ones_are_not() -> None:
    for scene in _scenes():
        known = {item.id for item in scene.objects}
        assert any(each.kind is not ExpressionKind.ABSENT for each in scene.expressions)
        for each in scene.expressions:
            nobody = each.object_ids == () and not each.spans
            assert (each.kind is ExpressionKind.ABSENT) == nobody
            assert set(each.object_ids) <= known
            assert tuple(sorted(set(each.object_ids))) == each.object_ids
            assert 1.0 <= each.difficulty.value <= 10.0


def test_levels_grow_harder() -> None:
    means = [
        np.mean(
            [e.difficulty.value for s in (1, 2) for e in synthetic.scene(n, seed=s).expressions]
        )
        for n in ("easy", "medium", "hard")
    ]
    assert means[0] < means[1] < means[2]
