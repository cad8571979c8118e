"""Pictures and truth on disk: rendered once, a shard at a time, gone on with where it ended.

A shard is a `.npz` (pictures and labels, no pickle) and a `.json` (sentences and places); the
`.json` comes last, and what has none is rendered anew.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamseg import synthetic
from streamseg.borders.json_file import JsonFileError, read_json
from streamseg.errors import CheckpointError, OutputError, UsageError
from streamseg.masking import legible
from streamseg.training.groundings.samples import Sentence, View, as_row, from_row, seen

VERSION = 1
SCENES_A_SHARD = 50
_UNSEEN = ("temporal",)
"""Kinds of sentences that one picture cannot decide."""

_DAMAGED = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError),
    *(JsonFileError, zipfile.BadZipFile),
)

Step = Callable[[int, int], None]
"""Told how many shards of how many are there."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is rendered.

    Attributes:
        levels: Of `synthetic`: "easy", "medium", "hard".
        split: "train", "val" or "test": other scenes in each, whatever the seed.
        scenes: Of each level, seeds 0 to `scenes` - 1.
        frames: Of a scene at 30 frames a second, within its first second, for which sentences hold.
        size: Width and height.
        per_kind: Most sentences of a kind about a scene.
    """

    levels: tuple[str, ...] = ("easy", "medium")
    split: str = "train"
    scenes: int = 1000
    frames: tuple[int, ...] = (0, 28)
    size: tuple[int, int] = (256, 144)
    per_kind: int = 8

    def shards(self) -> list[tuple[str, range]]:
        """Level and seeds of each, the levels in turns: what is there first holds all of them."""
        starts = range(0, self.scenes, SCENES_A_SHARD)
        return [
            (level, range(start, min(start + SCENES_A_SHARD, self.scenes)))
            for start in starts
            for level in self.levels
        ]

    def checked(self) -> Recipe:
        """Itself.

        Raises:
            UsageError: It cannot be rendered.
        """
        unknown = sorted(set(self.levels) - {"easy", "medium", "hard"})
        if unknown or not self.levels:
            raise UsageError(f"expected levels of easy, medium, hard, got {unknown or 'none'}")
        if self.split not in synthetic.SPLITS:
            raise UsageError(f"expected a split of {', '.join(synthetic.SPLITS)}")
        if self.scenes < 1 or not self.frames or not all(0 <= at <= 30 for at in self.frames):
            raise UsageError("expected at least a scene, and frames between 0 and 30")
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """Some scenes' pictures and their truth, as rendered and mirrored.

    Attributes:
        pictures: (N, H, W, 3) uint8 RGB.
        labels: (N, H, W) uint8 ids, 0 = background.
        views: N, of the pictures as they are.
        mirrored: N, of their mirror images.
    """

    pictures: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    views: tuple[View, ...]
    mirrored: tuple[View, ...]


def render(recipe: Recipe, folder: Path, workers: int = 1, step: Step | None = None) -> None:
    """Make sure that all shards of a recipe are in a folder; those that are there stay.

    Raises:
        OutputError: The folder cannot be written, or holds what another recipe made.
        UsageError: The recipe cannot be rendered.
    """
    shards = recipe.checked().shards()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{legible(str(folder))}: {error.strerror}") from None
    waiting = [each for each in shards if not _is_there(recipe, folder, *each)]
    done = len(shards) - len(waiting)
    tell = step or (lambda done, total: None)
    tell(done, len(shards))
    jobs = [(recipe, folder, level, seeds) for level, seeds in waiting]
    if workers <= 1:
        for job in jobs:
            _render_shard(job)
            done += 1
            tell(done, len(shards))
        return
    with ProcessPoolExecutor(workers) as pool:
        for _ in pool.map(_render_shard, jobs):
            done += 1
            tell(done, len(shards))


def read_shards(folder: Path, levels: Sequence[str], split: str, most: int = 0) -> Iterator[Shard]:
    """The shards in a folder, the levels in turns.

    Args:
        most: Shards of each level; 0 for all that there are.

    Raises:
        CheckpointError: One is damaged.
        UsageError: There are none of a level.
    """
    found = [sorted(folder.glob(f"{level}-{split}-*.json")) for level in levels]
    for level, files in zip(levels, found, strict=True):
        if not files:
            raise UsageError(
                f"{legible(str(folder))} has no pictures of level {level}, split {split}: render "
                "them with streamseg train render"
            )
    count = max(map(len, found))
    for at in range(min(count, most) if most else count):
        for files in found:
            if at < len(files):
                yield _read_shard(files[at])


def _name(folder: Path, level: str, split: str, start: int) -> Path:
    return folder / f"{level}-{split}-{start:07d}.json"


def _recipe_row(recipe: Recipe, seeds: range) -> dict[str, Any]:
    return {
        "version": VERSION,
        "size": list(recipe.size),
        "frames": list(recipe.frames),
        "per_kind": recipe.per_kind,
        "seeds": [seeds.start, seeds.stop],
    }


def _is_there(recipe: Recipe, folder: Path, level: str, seeds: range) -> bool:
    path = _name(folder, level, recipe.split, seeds.start)
    if not path.is_file():
        return False
    try:
        found = read_json(path).get("recipe")
    except (JsonFileError, AttributeError):
        return False
    if found != _recipe_row(recipe, seeds):
        raise OutputError(
            f"{legible(str(path))} was rendered to another recipe: give another folder, or delete "
            "this one's files"
        )
    return path.with_suffix(".npz").is_file()


def _render_shard(job: tuple[Recipe, Path, str, range]) -> None:
    recipe, folder, level, seeds = job
    pictures, labels, scenes = [], [], []
    for seed in seeds:
        play = synthetic.scene(level, seed, recipe.split, recipe.size, per_kind=recipe.per_kind)
        looks = {each.id: (each.shape, each.colour, each.material) for each in play.objects}
        told = [
            [each.text, str(each.kind), list(each.object_ids), round(each.difficulty.value, 3)]
            for each in play.expressions
            if each.kind not in _UNSEEN
        ]
        views = []
        for frame in recipe.frames:
            image, ids = play.frame(frame)
            pictures.append(image)
            labels.append(ids.astype(np.uint8))
            both = [seen(way, looks) for way in (ids, ids[:, ::-1])]
            views.append({"frame": frame, "places": [[as_row(t) for t in way] for way in both]})
        scenes.append({"seed": seed, "looks": looks, "sentences": told, "views": views})
    path = _name(folder, level, recipe.split, seeds.start)
    row = {"recipe": _recipe_row(recipe, seeds), "level": level, "scenes": scenes}
    _write_shard(path, np.stack(pictures), np.stack(labels), row)


def _write_shard(
    path: Path, pictures: NDArray[np.uint8], labels: NDArray[np.uint8], row: dict[str, Any]
) -> None:
    arrays, part = path.with_suffix(".npz"), path.with_suffix(f".{os.getpid()}.part")
    try:
        try:
            with part.open("wb") as file:
                np.savez(file, pictures=pictures, labels=labels)
            part.replace(arrays)
            part.write_text(json.dumps(row), encoding="utf-8")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{legible(str(path.parent))}: {error.strerror}; what was rendered so far is kept"
        ) from None


def _read_shard(path: Path) -> Shard:
    try:
        row = read_json(path)
        with path.with_suffix(".npz").open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            pictures, labels = arrays["pictures"], arrays["labels"]
        both = [_views(row, mirrored) for mirrored in (False, True)]
        if not len(both[0]) == len(pictures) == len(labels):
            raise ValueError(f"{len(both[0])} views of {len(pictures)} pictures")
    except _DAMAGED as error:
        raise CheckpointError(
            f"{legible(str(path))} is damaged ({' '.join(str(error).split())[:200]}): delete it "
            "and render it again"
        ) from None
    return Shard(pictures, labels, *both)


def _views(row: dict[str, Any], mirrored: bool) -> tuple[View, ...]:
    size = (int(row["recipe"]["size"][0]), int(row["recipe"]["size"][1]))
    views = []
    for scene in row["scenes"]:
        looks = {int(id_): tuple(look) for id_, look in scene["looks"].items()}
        told = tuple(
            Sentence(text, kind, tuple(ids), float(difficulty))
            for text, kind, ids, difficulty in scene["sentences"]
        )
        told = tuple(each.mirrored() for each in told) if mirrored else told
        for view in scene["views"]:
            things = tuple(from_row(place, looks) for place in view["places"][int(mirrored)])
            frame, seed = int(view["frame"]), int(scene["seed"])
            views.append(View(row["level"], seed, frame, mirrored, size, things, told))
    return tuple(views)
