"""The small network on held-out pictures: it answers sentences, and every answer is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from streamseg.training import scores
from streamseg.training.groundings import Sentence
from streamseg.training.groundings.reasons import Length
from streamseg.training.nano import words
from streamseg.training.nano.network import SIZE, Grid, look
from streamseg.training.nano.pictures import Pictures
from streamseg.training.nano.writing import write

_TOGETHER = 64


@dataclass(frozen=True, slots=True)
class Question:
    """A sentence about one of the pictures."""

    picture: int
    sentence: Sentence


@dataclass(frozen=True, slots=True, eq=False)
class Exam:
    """Pictures, with labels, and what is asked about them.

    Attributes:
        length: To think for; None: as the model chooses.
    """

    pictures: Pictures
    questions: tuple[Question, ...]
    length: Length | None = None

    @classmethod
    def of(
        cls,
        pictures: Pictures,
        seed: int = 0,
        per_picture: int = 2,
        most: int = 0,
        length: Length | None = None,
    ) -> Exam:
        """So many sentences about each picture, of different kinds, drawn by lot."""
        random = np.random.default_rng(seed)
        questions = []
        for at in range(len(pictures.shown)):
            by_kind: dict[str, list[Sentence]] = {}
            for sentence in pictures.views[at].sentences:
                by_kind.setdefault(sentence.kind, []).append(sentence)
            kinds = random.permutation(sorted(by_kind))[:per_picture]
            for kind in kinds:
                those = by_kind[str(kind)]
                questions.append(Question(at, those[random.integers(len(those))]))
        return cls(pictures, tuple(questions[:most] if most else questions), length)


def sit(
    network: Any,
    exam: Exam,
    temperature: float = 0.0,
    seed: int = 0,
    step: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """`scores.summary` of the network's answers; greedy unless there is a temperature.

    Args:
        step: Told how many sentences are answered.
    """
    return scores.summary(score for score, _ in answers(network, exam, temperature, seed, step))


def answers(
    network: Any,
    exam: Exam,
    temperature: float = 0.0,
    seed: int = 0,
    step: Callable[[int], None] | None = None,
) -> list[tuple[scores.Score, str]]:
    """Each answer's score, and the answer itself."""
    grid = Grid.of(network)
    generator = torch.Generator().manual_seed(seed)
    network.eval()
    found = []
    for begin in range(0, len(exam.questions), _TOGETHER):
        asked = exam.questions[begin : begin + _TOGETHER]
        images = np.stack([exam.pictures.picture(each.picture) for each in asked])
        with torch.no_grad():
            features = look(network, grid, images)
        prompts = [_prompt(each, exam.length) for each in asked]
        wrote = write(network, features, prompts, 160, temperature, generator)
        found += [_judged(exam, each, ids) for each, ids in zip(asked, wrote, strict=True)]
        if step is not None:
            step(len(found))
    network.train()
    return found


def _prompt(question: Question, length: Length | None) -> list[int]:
    told = words.prompt(question.sentence.text, length)
    return words.encode(f"{told}<answer>" if length is Length.NONE else told)


def _judged(exam: Exam, question: Question, ids: list[int]) -> tuple[scores.Score, str]:
    labels = exam.pictures.labels
    assert labels is not None
    shown = labels[question.picture]
    text = words.decode(ids)
    if exam.length is Length.NONE:
        text = f"<answer>{text}"
    end = words.IDS["</think>"]
    thought = ids.index(end) if end in ids else 0
    masks = [shown == id_ for id_ in question.sentence.ids]
    size = (shown.shape[1], shown.shape[0])
    return scores.score(text, question.sentence.kind, masks, size, SIZE, thought), text
