"""The small reasoner learns by its own answers: draws groups of them, is paid, and is moved.

Vision is frozen and what it sees is kept, as in the stage before. Groups whose answers earned much
the same teach little and are left out of the step.
"""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from streamseg.training.groundings.reasons import Length
from streamseg.training.grpo import tasks as asking
from streamseg.training.grpo.objective import advantages, objective
from streamseg.training.grpo.rollouts import Rollout, log_chances, roll
from streamseg.training.grpo.tasks import Payer, Penalty, Task
from streamseg.training.nano.course import Course, Figures, Heard, Schedule, Told
from streamseg.training.nano.evaluating import Exam, sit
from streamseg.training.nano.language import Memory
from streamseg.training.nano.packing import Packed, hidden
from streamseg.training.nano.pictures import Pictures

GROUP = 8
SENTENCES = 4
"""About each picture of a step: a picture is looked at and read once for all of them."""
MOST = 112
"""Tokens of an answer, after which it is broken off: the longest reasons about six things fit."""
TORN = 1.0
"""Of a group that is learned from, the best answer earned more than the worst by more than this:
more than a negative point, or a box a pixel too far, which lots alone make."""
TEMPERATURE = 0.7
_DECAY = 0.01
_WARM_UP = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """How it is trained.

    Attributes:
        schedule: `batch` is prompts a step.
        group: Answers to each.
        kl: Weight of the divergence to the start.
        temperature: Of the lots, and of the policy that is trained: below 1, what is drawn, and
            paid, is nearer to the greedy answer, by which a model is used.
        length: That prompts ask to think for; None: as the model likes.
    """

    schedule: Schedule
    group: int = GROUP
    kl: float = 0.005
    penalty: Penalty = field(default_factory=Penalty)
    temperature: float = TEMPERATURE
    length: Length | None = None
    seed: int = 0

    @property
    def pictures(self) -> int:
        """A step."""
        return max(1, self.schedule.batch // SENTENCES)


class Start:
    """By what a checkpoint knows the model that it began with."""

    def __init__(self, network: Any) -> None:
        told = hashlib.sha256()
        for name, tensor in sorted(network.state_dict().items()):
            told.update(name.encode())
            told.update(tensor.detach().float().contiguous().numpy().tobytes())
        self._sum = told.hexdigest()

    def state_dict(self) -> str:
        """Its sum."""
        return self._sum

    def load_state_dict(self, state: str) -> None:
        """Raises ValueError for another model's."""
        if state != self._sum:
            raise ValueError("it began with another --model")


@dataclass(frozen=True, slots=True, eq=False)
class Lot:
    """The answers of a step that teach something.

    Attributes:
        pictures: Whose they are, one for each group.
        texts: Prompt and answer, by group.
        begins: Tokens of prompt of each group.
        advantage: Of each answer.
        drawn: Log-probabilities of the answers' tokens, one after another.
    """

    pictures: list[int]
    texts: list[list[tuple[int, ...]]]
    begins: list[int]
    advantage: list[float]
    drawn: Tensor

    @classmethod
    def of(cls, tasks: Sequence[Task], groups: Sequence[Sequence[Rollout]], rewards: Tensor) -> Lot:
        """Of all groups, those whose answers' rewards (P, G) differ by more than `TORN`."""
        torn = rewards.amax(1) - rewards.amin(1) > TORN
        advantage = advantages(rewards)
        chosen = [at for at in range(len(tasks)) if bool(torn[at])]
        texts = [[(*tasks[at].prompt, *each.tokens) for each in groups[at]] for at in chosen]
        drawn = [chance for at in chosen for each in groups[at] for chance in each.chances]
        return cls(
            [tasks[at].picture for at in chosen],
            texts,
            [len(tasks[at].prompt) for at in chosen],
            advantage[torn].flatten().tolist(),
            torch.tensor(drawn),
        )


def chances(network: Any, features: Tensor, lot: Lot, temperature: float) -> tuple[Tensor, Tensor]:
    """Log-probability of each token of the answers (N,), and whose answer it is (N,).

    Args:
        features: (groups, 40, hidden).
        temperature: At which they were drawn.
    """
    packed = Packed.of(lot.texts)
    states = hidden(network, features, packed)
    flat = [
        (begin, len(text)) for row, begin in zip(lot.texts, lot.begins, strict=True) for text in row
    ]
    spans = [
        np.arange(at + begin, at + length)
        for at, (begin, length) in zip(packed.begins.tolist(), flat, strict=True)
    ]
    places = torch.from_numpy(np.concatenate(spans))
    told = log_chances(network.lm_head(states.index_select(0, places - 1)), temperature)
    told = told.gather(1, packed.ids[places][:, None])[:, 0]
    owners = torch.from_numpy(np.repeat(np.arange(len(spans)), [len(span) for span in spans]))
    return told, owners


class Learner:
    """The network, what it began as, and its optimiser.

    Args:
        network: Its language is trained; its vision stays, and so do the vectors of its tokens:
            one that no lesson ever showed is 0, and a normalisation of 0 turns the first answer
            with it into a gradient a thousand times that of all others.
        kl: Weight of the divergence; at 0 the start is not kept.
        temperature: At which the answers are drawn.
    """

    def __init__(self, network: Any, rate: float, kl: float, temperature: float) -> None:
        network.model.visual.requires_grad_(False)
        language = network.model.language_model
        self.network = network
        language.requires_grad_(True)
        language.embed_tokens.requires_grad_(False)
        network.lm_head.requires_grad_(True)
        trained = (each for each in language.parameters() if each.requires_grad)
        self.parameters = [*trained, network.lm_head.weight]
        self.optimiser = torch.optim.AdamW(
            self.parameters, rate, betas=(0.9, 0.98), weight_decay=_DECAY
        )
        self._rate, self._kl, self._temperature = rate, kl, temperature
        self._start = copy.deepcopy(network).requires_grad_(False) if kl > 0 else None

    def step(self, features: Tensor, lot: Lot, factor: float) -> Figures:
        """One step along the objective, at a share of the highest rate; gradients are clipped to
        a norm of 1.

        Args:
            features: (groups, 40, hidden).
        """
        now, owners = chances(self.network, features, lot, self._temperature)
        start = now.detach()
        if self._start is not None:
            with torch.no_grad():
                start, _ = chances(self._start, features, lot, self._temperature)
        advantage = torch.tensor(lot.advantage)[owners]
        loss, figures = objective(now, lot.drawn, start, advantage, self._kl)
        self.optimiser.zero_grad()
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate * factor
        torch.autograd.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        return {"loss": float(loss.detach()), "gradient": float(norm), **figures}


def one_step(
    learner: Learner,
    memory: Memory,
    tasks: Sequence[Task],
    plan: Plan,
    factor: float,
    generator: torch.Generator,
    pay: Payer | None = None,
) -> Figures:
    """Draw answers to tasks, pay them, and take a step.

    Args:
        pay: Judges an answer; None: as the plan's penalty says.
    """
    told = pay or (lambda task, rollout: asking.pay(task, rollout, plan.penalty))
    features = memory.of([task.picture for task in tasks])
    prompts = [task.prompt for task in tasks]
    groups = roll(learner.network, features, prompts, plan.group, MOST, generator, plan.temperature)
    paid = [[told(task, each) for each in group] for task, group in zip(tasks, groups, strict=True)]
    lot = Lot.of(tasks, groups, torch.tensor([[each.total for each in group] for group in paid]))
    figures: dict[str, float] = {"loss": 0.0, "gradient": 0.0, "ratio": 1.0, "clipped": 0.0}
    figures |= {"kl": 0.0}
    if lot.texts:
        figures |= learner.step(memory.of(lot.pictures), lot, factor)
    flat = [each for group in paid for each in group]
    return figures | {
        "reward": fmean(each.total for each in flat),
        "accuracy": fmean(each.accuracy for each in flat),
        "thinking": fmean(each.thinking for each in flat),
        "torn": len(lot.texts) / len(tasks),
    }


def train(
    network: Any,
    pictures: Pictures,
    exam: Exam,
    plan: Plan,
    folder: Path,
    told: Told,
    heard: Heard | None = None,
) -> None:
    """Train, from the folder's checkpoint where there is one.

    Args:
        pictures: With labels.
        exam: Sat on the way, greedily.
        heard: Told every row of the log.

    Raises:
        CheckpointError, OutputError: As `Course`.
    """
    begun = Start(network)
    learner = Learner(network, plan.schedule.rate, plan.kl, plan.temperature)
    kept = {
        "start": begun,
        "language": network.model.language_model,
        "head": network.lm_head,
        "optimiser": learner.optimiser,
    }
    course = Course(
        "grpo", plan.schedule, folder, plan.seed, kept, heard=heard, clock=time.process_time
    )
    course.resume()
    memory = Memory(network, pictures)

    def one(factor: float) -> Figures:
        random = course.random()
        chosen = course.chosen(len(pictures), plan.pictures)
        tasks = asking.drawn(pictures, chosen, SENTENCES, plan.length, random)
        generator = torch.Generator().manual_seed(int(random.integers(2**62)))
        return one_step(learner, memory, tasks, plan, factor, generator)

    def judged() -> Figures:
        told = sit(network, exam)
        return {name: value for name, value in told.items() if isinstance(value, float)}

    course.run(one, judged, told, every=(10, 50))
