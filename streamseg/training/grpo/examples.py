"""What a large model is asked in training, as trl has it: rows, and rewards by a row's number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from streamseg.reasoning.language import prompt
from streamseg.reasoning.language.coordinates import Family, Scale, scale_of
from streamseg.training import rewards
from streamseg.training.groundings import View, read_shards
from streamseg.training.grpo.tasks import Penalty
from streamseg.training.rewards import Completion, Truth
from streamseg.types import Frame

Reward = Callable[..., list[float]]


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A sentence about a picture.

    Attributes:
        messages: The prompt as chat, its picture within.
        scale: From the model's numbers to pixels of the picture.
        budget: L(D) tokens of thinking.
    """

    messages: list[dict[str, Any]]
    truth: Truth
    scale: tuple[float, float]
    budget: float


def examples(
    data: Path,
    levels: Sequence[str],
    family: Family,
    pixels: int,
    penalty: Penalty,
    seed: int,
    most: int,
) -> list[Example]:
    """So many sentences about rendered pictures of split train, by lot, a picture each in turn.

    Args:
        pixels: Most that a picture is shown with.

    Raises:
        CheckpointError, UsageError: As `read_shards`.
    """
    random = np.random.default_rng(seed)
    made: list[Example] = []
    while len(made) < most:
        for shard in read_shards(data, levels, "train"):
            for at in random.permutation(len(shard.views)):
                image, labels, view = shard.pictures[at], shard.labels[at], shard.views[at]
                if len(made) < most and view.sentences:
                    made.append(_example(image, labels, view, family, pixels, penalty, random))
            if len(made) >= most:
                break
    return made


def _example(
    image: Any,
    labels: Any,
    view: View,
    family: Family,
    pixels: int,
    penalty: Penalty,
    random: np.random.Generator,
) -> Example:
    sentence = view.sentences[random.integers(len(view.sentences))]
    frame = Frame(0, 0, 0, image)
    scale: Scale = scale_of(family, frame.width, frame.height, pixels)
    budget = penalty.budget(sentence.difficulty)
    asked = prompt.grounding(
        *(sentence.text, frame, [], [], scale, family.convention, True, round(budget))
    )
    shown = Pillow.fromarray(image).resize(scale.shown, Pillow.Resampling.BICUBIC)
    content = [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "image", "image": shown}
        for part in asked.parts
    ]
    masks = [labels == id_ for id_ in sentence.ids]
    truth = Truth.of_masks(masks, (frame.width, frame.height))
    factor = (frame.width / scale.span[0], frame.height / scale.span[1])
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": [{"type": "text", "text": asked.system}]},
        {"role": "user", "content": content},
    ]
    return Example(messages, truth, factor, budget)


def paid(known: Sequence[Example], penalty: Penalty, count: Callable[[str], int]) -> list[Reward]:
    """Rewards as trl calls them, of completions and the column `number`, the example's: the total,
    which is trained by, then what it is made of.

    Args:
        count: Tokens of a text.
    """

    def read(completions: Sequence[Any], number: Sequence[int]) -> list[tuple[Completion, Example]]:
        texts = [each if isinstance(each, str) else each[0]["content"] for each in completions]
        return [
            (Completion.of(text, known[at].scale), known[at])
            for text, at in zip(texts, number, strict=True)
        ]

    def total(completions: Sequence[Any], number: Sequence[int], **_: Any) -> list[float]:
        return [
            rewards.total(each, row.truth, count(each.thinking), row.budget, penalty.beta)
            for each, row in read(completions, number)
        ]

    def accuracy(completions: Sequence[Any], number: Sequence[int], **_: Any) -> list[float]:
        return [rewards.accuracy(each, row.truth) for each, row in read(completions, number)]

    def thinking_format(completions: Sequence[Any], number: Sequence[int], **_: Any) -> list[float]:
        return [rewards.thinking_format(each) for each, _ in read(completions, number)]

    def thinking_tokens(completions: Sequence[Any], number: Sequence[int], **_: Any) -> list[float]:
        return [float(count(each.thinking)) for each, _ in read(completions, number)]

    return [total, accuracy, thinking_format, thinking_tokens]
