"""The small reasoner's recipe, from rendered pictures to a folder that loads: vision, language."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from streamseg.errors import OutputError
from streamseg.masking import legible
from streamseg.training import curves
from streamseg.training.nano import folder as folders
from streamseg.training.nano import language, vision
from streamseg.training.nano.course import Schedule, Told
from streamseg.training.nano.evaluating import Exam
from streamseg.training.nano.network import build
from streamseg.training.nano.pictures import load

VISION = Schedule(steps=1300, minutes=0.0, rate=3e-3, batch=32)
LANGUAGE = Schedule(steps=1300, minutes=0.0, rate=3e-3, batch=8)
_HELD_OUT_SHARDS = 2
_ASKED = 128
"""Sentences of each judgement on the way."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is trained on what, and for how long.

    Attributes:
        data: Folder of rendered pictures, splits train and val.
        levels: Of them.
        vision, language: The stages.
        seed: Of weights and all lots.
        shards: Of each level; 0 for all.
    """

    data: Path
    levels: tuple[str, ...] = ("easy", "medium")
    vision: Schedule = VISION
    language: Schedule = LANGUAGE
    seed: int = 0
    shards: int = 0


def train(recipe: Recipe, output: Path, told: Told) -> Path:
    """Train, or go on with, a small reasoner.

    Args:
        output: Gets `vision.pt`, `language.pt`, `metrics.jsonl`, `curves.png` and, in `model`, the
            folder that loads.

    Returns:
        The model's folder.

    Raises:
        CheckpointError: What is to be gone on with is damaged or of other sizes.
        OutputError: Something cannot be written; the last good checkpoint stays.
        UsageError: There are no pictures.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{legible(str(output))}: {error.strerror}") from None
    told("reading pictures", 0, 0, {})
    pictures = load(recipe.data, recipe.levels, "train", recipe.shards)
    held_out = load(recipe.data, recipe.levels, "val", _HELD_OUT_SHARDS, labels=True)
    torch.manual_seed(recipe.seed)
    network: Any = build()
    heads = vision.train(network, pictures, held_out, recipe.vision, output, recipe.seed, told)
    torch.manual_seed(recipe.seed + 1)
    vision.hand_over(network, heads, pictures)
    exam = Exam.of(held_out, most=_ASKED)
    language.train(network, pictures, exam, recipe.language, output, recipe.seed, told)
    made = output / "model"
    folders.save(network, made)
    curves.draw(output / "metrics.jsonl", output / "curves.png")
    return made


def go_on(recipe: Recipe, model: Path, output: Path, told: Told) -> Path:
    """Train the language of a small reasoner that was trained before; its vision stays.

    Args:
        model: Its folder.
        output: Gets `language.pt`, `metrics.jsonl`, `curves.png` and `model`.

    Returns:
        The new model's folder.

    Raises:
        CheckpointError, OutputError, UsageError: As `train`.
    """
    network = folders.load(model)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{legible(str(output))}: {error.strerror}") from None
    told("reading pictures", 0, 0, {})
    pictures = load(recipe.data, recipe.levels, "train", recipe.shards)
    held_out = load(recipe.data, recipe.levels, "val", _HELD_OUT_SHARDS, labels=True)
    exam = Exam.of(held_out, most=_ASKED)
    language.train(
        network, pictures, exam, recipe.language, output, recipe.seed, told, trained=True
    )
    made = output / "model"
    folders.save(network, made)
    curves.draw(output / "metrics.jsonl", output / "curves.png")
    return made
