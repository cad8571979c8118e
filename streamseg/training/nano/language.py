"""Stage two: the language network learns to write reasons and answers, through eyes that stay.

Vision is frozen, so that a picture is looked at once and kept; several sentences stand behind it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from streamseg.training.groundings.reasons import Length
from streamseg.training.nano import words
from streamseg.training.nano.course import Course, Figures, Schedule, Told
from streamseg.training.nano.evaluating import Exam, sit
from streamseg.training.nano.lessons import Lesson, lessons
from streamseg.training.nano.network import CELLS, HIDDEN, Grid, look
from streamseg.training.nano.optimisers import Both
from streamseg.training.nano.packing import Packed, hidden
from streamseg.training.nano.pictures import Pictures

SENTENCES = 8
"""Behind each picture."""
_REACH, _SPREAD = 2, 0.8
"""A number's target is spread over its neighbours, so far, with so much deviation, in pixels."""


class Memory:
    """Picture tokens, computed when a picture is first drawn, kept in half precision."""

    def __init__(self, network: Any, pictures: Pictures) -> None:
        self._network = network
        self._pictures = pictures
        self._grid = Grid.of(network)
        self._kept = torch.empty(len(pictures), CELLS, HIDDEN, dtype=torch.float16)
        self._there = np.zeros(len(pictures), bool)

    @torch.no_grad()
    def of(self, chosen: list[int]) -> Tensor:
        """(B, 40, hidden) float32."""
        new = sorted({at for at in chosen if not self._there[at]})
        for begin in range(0, len(new), 64):
            those = new[begin : begin + 64]
            images = np.stack([self._pictures.picture(at) for at in those])
            self._kept[those] = look(self._network, self._grid, images).half()
        self._there[new] = True
        return self._kept[chosen].float()


def loss_of(network: Any, features: Tensor, rows: list[list[Lesson]]) -> tuple[Tensor, Figures]:
    """Cross-entropy of what is to be written; numbers may be near misses.

    Args:
        features: (B, 40, hidden).
        rows: Lessons behind each picture.
    """
    flat = [each for row in rows for each in row]
    packed = Packed.of([[each.tokens for each in row] for row in rows])
    states = hidden(network, features, packed)
    places = np.concatenate(
        [
            np.arange(begin + each.begin, begin + len(each.tokens))
            for begin, each in zip(packed.begins, flat, strict=True)
        ]
    )
    written = torch.from_numpy(places)
    wanted = packed.ids[written]
    logits = network.lm_head(states.index_select(0, written - 1))
    chances = F.log_softmax(logits.float(), -1)
    plain = -chances.gather(1, wanted[:, None])[:, 0]
    number = torch.zeros_like(wanted, dtype=torch.bool)
    losses = plain
    for first in words.FIRST_NUMBERS:
        value = wanted - first
        here = (value >= 0) & (value <= words.MOST)
        number |= here
        losses = torch.where(here, _near(chances, value, first), losses)
    right = (logits.argmax(-1) == wanted).float()
    figures = {
        "loss": losses.mean(),
        "number_loss": plain[number].mean(),
        "word_loss": plain[~number].mean(),
        "number_right": right[number].mean(),
        "word_right": right[~number].mean(),
    }
    return losses.mean(), {name: float(figure.detach()) for name, figure in figures.items()}


def _near(chances: Tensor, value: Tensor, first: int) -> Tensor:
    """Cross-entropy against a number and its neighbours; any value for what is no number."""
    away = torch.arange(-_REACH, _REACH + 1)
    near = value[:, None] + away
    weights = torch.exp(-0.5 * (away / _SPREAD) ** 2) * ((near >= 0) & (near <= words.MOST))
    weights = weights / weights.sum(1, keepdim=True).clamp(min=1e-6)
    found = chances.gather(1, first + near.clamp(0, words.MOST))
    return -(weights * found).sum(1)


def train(
    network: Any,
    pictures: Pictures,
    exam: Exam,
    schedule: Schedule,
    folder: Path,
    seed: int,
    told: Told,
    trained: bool = False,
    only: Length | None = None,
) -> None:
    """Train the network's language, from the folder's checkpoint where there is one.

    Args:
        trained: The network has been through this stage before: time is the processor's, so that
            it can be set against another way to go on from the same network.
        only: Reasons of this length alone are shown.

    Raises:
        CheckpointError, OutputError: As `Course`.
    """
    language = network.model.language_model
    network.model.visual.requires_grad_(False)
    language.requires_grad_(True)
    network.lm_head.requires_grad_(True)
    named = [*language.named_parameters(), ("lm_head", network.lm_head.weight)]
    both = Both(named, schedule.rate)
    kept = {"language": language, "head": network.lm_head, "optimisers": both}
    clock = time.process_time if trained else time.monotonic
    course = Course("language", schedule, folder, seed, kept, clock=clock)
    course.resume()
    memory = Memory(network, pictures)

    def one(factor: float) -> Figures:
        chosen, random = course.chosen(len(pictures)), course.random()
        rows = [lessons(pictures.views[at], SENTENCES, random, only) for at in chosen]
        loss, figures = loss_of(network, memory.of(chosen), rows)
        both.step(loss, factor)
        return figures

    def judged() -> Figures:
        told = sit(network, exam)
        return {name: value for name, value in told.items() if isinstance(value, float)}

    course.run(one, judged, told)
