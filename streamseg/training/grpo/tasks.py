"""What is asked in training: a sentence about a picture, and what its answers are paid by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from streamseg.training import rewards
from streamseg.training.groundings.reasons import Length
from streamseg.training.groundings.samples import Sentence
from streamseg.training.grpo.rollouts import Rollout
from streamseg.training.nano import words
from streamseg.training.nano.lessons import KINDS
from streamseg.training.nano.network import SIZE
from streamseg.training.nano.pictures import Pictures
from streamseg.training.rewards import Completion, Truth

BUDGET = (16.0, 128.0)
"""Tokens L(D) at D = 1 and D = 10, as while running (`keyframes.difficulty`); linear between."""
_LAST = 10.0


@dataclass(frozen=True, slots=True)
class Penalty:
    """The soft length penalty (VideoSeg-R1).

    Attributes:
        at_1, at_10: Tokens of thinking that are free at difficulty 1 and 10; linear between.
        beta: Share of the reward that a token beyond costs; 0: no penalty.
    """

    at_1: float = BUDGET[0]
    at_10: float = BUDGET[1]
    beta: float = rewards.LENGTH_BETA

    def budget(self, difficulty: float) -> float:
        """L(D)."""
        return self.at_1 + (self.at_10 - self.at_1) * (difficulty - 1) / (_LAST - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One prompt of a step.

    Attributes:
        picture: Which one, of `Pictures`.
        prompt: Tokens after the picture.
        truth: In pixels as rendered.
        scale: From the network's numbers to these, x and y.
    """

    picture: int
    sentence: Sentence
    prompt: tuple[int, ...]
    truth: Truth
    scale: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Paid:
    """What a rollout earned: the total, and what of it was accuracy; tokens of its thinking."""

    total: float
    accuracy: float
    thinking: int


def task(pictures: Pictures, picture: int, sentence: Sentence, length: Length | None) -> Task:
    """A sentence about a picture, whose labels are known.

    Args:
        length: That the prompt asks to think for; None: as the model likes.

    Raises:
        ValueError: The pictures have no labels.
    """
    if pictures.labels is None:
        raise ValueError("expected pictures with labels")
    half, at = divmod(picture, len(pictures.shown))
    labels = pictures.labels[at, :, ::-1] if half else pictures.labels[at]
    masks = [np.ascontiguousarray(labels == id_) for id_ in sentence.ids]
    height, width = labels.shape
    prompt = tuple(words.encode(words.prompt(sentence.text, length)))
    truth = Truth.of_masks(masks, (width, height))
    return Task(picture, sentence, prompt, truth, (width / SIZE[0], height / SIZE[1]))


def drawn(
    pictures: Pictures,
    chosen: list[int],
    each: int,
    length: Length | None,
    random: np.random.Generator,
) -> list[Task]:
    """So many sentences about each picture, of kinds by lot as in the stage before."""
    tasks = []
    for at in chosen:
        by_kind: dict[str, list[Sentence]] = {}
        for sentence in pictures.views[at].sentences:
            by_kind.setdefault(sentence.kind, []).append(sentence)
        kinds = list(by_kind)
        weights = np.asarray([KINDS.get(kind, 0.0) for kind in kinds])
        weights /= weights.sum()
        for kind in random.choice(len(kinds), each, p=weights):
            those = by_kind[kinds[kind]]
            tasks.append(task(pictures, at, those[random.integers(len(those))], length))
    return tasks


def pay(task: Task, rollout: Rollout, penalty: Penalty) -> Paid:
    """Judge one answer to a task."""
    ids = rollout.tokens
    completion = Completion.of(words.decode(ids), task.scale)
    end = words.IDS["</think>"]
    thinking = ids.index(end) if end in ids else len(ids)
    budget = penalty.budget(task.sentence.difficulty)
    total = rewards.total(completion, task.truth, thinking, budget, penalty.beta)
    return Paid(total, rewards.accuracy(completion, task.truth), thinking)


Payer = Callable[[Task, Rollout], Paid]
