"""The small reasoner's recipe, from rendered pictures to a folder that loads: vision, language."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from streamseg.errors import OutputError
from streamseg.masking import legible
from streamseg.training import curves
from streamseg.training.groundings.reasons import Length
from streamseg.training.nano import folder as folders
from streamseg.training.nano import language, vision
from streamseg.training.nano.course import Schedule, Told
from streamseg.training.nano.evaluating import Exam
from streamseg.training.nano.network import build
from streamseg.training.nano.pictures import Pictures, load

VISION = Schedule(steps=1300, minutes=0.0, rate=3e-3, batch=32)
LANGUAGE = Schedule(steps=1300, minutes=0.0, rate=3e-3, batch=8)
_HELD_OUT_SHARDS = 2
ASKED = 128
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
    pictures, held_out = begin(recipe.data, recipe.levels, recipe.shards, output, told)
    torch.manual_seed(recipe.seed)
    network: Any = build()
    heads = vision.train(network, pictures, held_out, recipe.vision, output, recipe.seed, told)
    torch.manual_seed(recipe.seed + 1)
    vision.hand_over(network, heads, pictures)
    exam = Exam.of(held_out, most=ASKED)
    language.train(network, pictures, exam, recipe.language, output, recipe.seed, told)
    return leave(network, output, "streamseg train sft")


def go_on(
    recipe: Recipe, model: Path, output: Path, told: Told, length: Length | None = None
) -> Path:
    """Train the language of a small reasoner that was trained before; its vision stays.

    Args:
        model: Its folder.
        length: Of all reasons shown, and of those judged on the way; None: of all lengths.
        output: Gets `language.pt`, `metrics.jsonl`, `curves.png` and `model`.

    Returns:
        The new model's folder.

    Raises:
        CheckpointError, OutputError, UsageError: As `train`.
    """
    network = folders.load(model)
    pictures, held_out = begin(recipe.data, recipe.levels, recipe.shards, output, told)
    exam = Exam.of(held_out, most=ASKED, length=length)
    language.train(
        *(network, pictures, exam, recipe.language, output, recipe.seed, told),
        trained=True,
        only=length,
    )
    return leave(network, output, "streamseg train sft")


def begin(
    data: Path,
    levels: tuple[str, ...],
    shards: int,
    output: Path,
    told: Told,
    labels: bool = False,
) -> tuple[Pictures, Pictures]:
    """Make the output folder, and read what is trained on and what is held out.

    Args:
        labels: Of what is trained on too.

    Raises:
        OutputError: The folder cannot be made.
        UsageError: There are no pictures.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{legible(str(output))}: {error.strerror}") from None
    told("reading pictures", 0, 0, {})
    pictures = load(data, levels, "train", shards, labels=labels)
    return pictures, load(data, levels, "val", _HELD_OUT_SHARDS, labels=True)


def leave(network: Any, output: Path, source: str) -> Path:
    """Write the folder that loads, and draw the curves; the folder.

    Args:
        source: By what the checksums say it was made.
    """
    made = output / "model"
    folders.save(network, made, source=source)
    curves.draw(output / "metrics.jsonl", output / "curves.png")
    return made
