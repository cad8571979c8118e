"""A stage's course: its schedule, its log, and a checkpoint that outlives a kill or a full disk.

What a step draws by lot depends on the seed and the step alone: a stage that is gone on with is the
stage that was never broken off.
"""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

import numpy as np
import torch

from streamseg.errors import CheckpointError, OutputError
from streamseg.masking import legible
from streamseg.training import curves

_FAR = 2**40
"""Past every step: the lots of the epochs' orders."""

Figures = Mapping[str, float]
Told = Callable[[str, int, int, Figures], None]
"""Told stage, step, steps and the newest figures."""
Heard = Callable[[Mapping[str, Any]], None]
"""Told every row of the log, once it is written."""


class Stateful(Protocol):
    """What a checkpoint keeps."""

    def state_dict(self) -> Any:
        """Tensors and numbers."""

    def load_state_dict(self, state: Any) -> Any:
        """The reverse."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long a stage is.

    Attributes:
        steps: Of the optimiser.
        minutes: The most that it may take: on a machine too slow for all steps the rate falls with
            time instead, and the stage ends in time. 0: as long as it takes.
        rate: Highest learning rate, after `warm_up` steps; falls as a cosine.
        batch: Pictures a step.
    """

    steps: int
    minutes: float
    rate: float
    batch: int
    warm_up: int = 60

    def done(self, step: int, seconds: float) -> float:
        """Share of the stage that is over, 0 to 1."""
        by_time = seconds / (60 * self.minutes) if self.minutes else 0.0
        return min(1.0, max(step / self.steps, by_time))

    def factor(self, step: int, seconds: float) -> float:
        """The share of the highest rate for a step."""
        falling = 0.5 * (1 + math.cos(math.pi * self.done(step, seconds)))
        return min(1.0, (step + 1) / self.warm_up) * (0.01 + 0.99 * falling)


@dataclass(slots=True)
class Course:
    """One stage on its way.

    Attributes:
        name: "vision" or "language".
        folder: Where checkpoint and log go.
        kept: By name, what a checkpoint holds.
        step: Steps taken.
        seconds: That they took, pauses between two runs left out.
        heard: Told every row of the log.
        clock: By which steps are timed.
    """

    name: str
    schedule: Schedule
    folder: Path
    seed: int
    kept: Mapping[str, Stateful]
    step: int = 0
    seconds: float = 0.0
    heard: Heard | None = None
    clock: Callable[[], float] = time.monotonic
    _recent: list[Figures] = field(default_factory=list)

    @property
    def checkpoint(self) -> Path:
        """`STAGE.pt` in the folder."""
        return self.folder / f"{self.name}.pt"

    @property
    def over(self) -> bool:
        """All steps were taken, or all time is used."""
        return self.schedule.done(self.step, self.seconds) >= 1.0

    def random(self, step: int | None = None) -> np.random.Generator:
        """The lots of a step, the present one by default."""
        stage = zlib.crc32(self.name.encode())
        return np.random.default_rng([self.seed, stage, self.step if step is None else step])

    def chosen(self, count: int, batch: int = 0) -> list[int]:
        """Which of so many samples the present step takes: all in turn, in an order of lots.

        Args:
            batch: How many; 0: as the schedule says.
        """
        batch = batch or self.schedule.batch
        picked = []
        for place in range(self.step * batch, (self.step + 1) * batch):
            epoch, at = divmod(place, count)
            picked.append(int(self._order(epoch, count)[at]))
        return picked

    def _order(self, epoch: int, count: int) -> Any:
        known = _ORDERS.get((self.seed, self.name, epoch, count))
        if known is None:
            known = self.random(_FAR + epoch).permutation(count)
            _ORDERS.clear()
            _ORDERS[self.seed, self.name, epoch, count] = known
        return known

    def run(
        self,
        one: Callable[[float], Figures],
        judged: Callable[[], Figures],
        told: Told,
        every: tuple[int, int] = (20, 300),
        save_s: float = 60.0,
    ) -> None:
        """Take the steps that are left.

        Args:
            one: Takes a step at a share of the highest rate; its figures.
            judged: Figures on pictures that are not learned from.
            every: Steps between two lines of the log, and between two judgements.
            save_s: Seconds between two checkpoints.

        Raises:
            OutputError: Log or checkpoint cannot be written; the last good one stays.
        """
        saved_s = time.monotonic()
        while not self.over:
            begun_s = self.clock()
            figures = one(self.schedule.factor(self.step, self.seconds))
            self._recent.append(figures)
            self.step += 1
            self.seconds += min(self.clock() - begun_s, 60.0)
            if self.step % every[0] == 0 or self.over:
                self._log("train", self._mean())
            if self.step % every[1] == 0 or self.over:
                self._log("held out", judged())
            if time.monotonic() - saved_s > save_s or self.over:
                self.save()
                saved_s = time.monotonic()
            told(self.name, self.step, self.schedule.steps, figures)

    def _mean(self) -> Figures:
        mean = {key: fmean(row[key] for row in self._recent) for key in self._recent[0]}
        self._recent.clear()
        return mean

    def _log(self, what: str, figures: Figures) -> None:
        row: dict[str, Any] = {"stage": self.name, "step": self.step, "what": what}
        row["minutes"] = round(self.seconds / 60, 3)
        row |= {key: round(float(value), 5) for key, value in figures.items()}
        try:
            with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(row) + "\n")
        except OSError as error:
            raise OutputError(f"{legible(str(self.folder))}: {error.strerror}") from None
        if self.heard is not None:
            self.heard(row)

    def save(self) -> None:
        """Write the checkpoint, whole or not at all.

        Raises:
            OutputError: It cannot be written; the one before stays.
        """
        state = {name: each.state_dict() for name, each in self.kept.items()}
        state |= {"step": self.step, "seconds": self.seconds, "seed": self.seed}
        part = self.checkpoint.with_suffix(".part")
        try:
            try:
                with part.open("wb") as file:
                    torch.save(state, file)
                part.replace(self.checkpoint)
            finally:
                part.unlink(missing_ok=True)
        except (OSError, RuntimeError) as error:
            raise OutputError(
                f"{legible(str(self.checkpoint))} cannot be written ("
                f"{' '.join(str(error).split())[:200]}); the last good one stays: make room and "
                "give the same command to go on from it"
            ) from None

    def resume(self) -> bool:
        """Go on from the folder's checkpoint, where there is one.

        Raises:
            CheckpointError: It is damaged, of other sizes, or of another seed.
            OutputError: The log cannot be written.
        """
        if not self.checkpoint.is_file():
            self._forget()
            return False
        path = legible(str(self.checkpoint))
        try:
            state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
            seed = state["seed"]
            for name, each in self.kept.items():
                each.load_state_dict(state[name])
            self.step, self.seconds = int(state["step"]), float(state["seconds"])
        except Exception as error:  # noqa: BLE001 - what is damaged fails in any way at all
            raise CheckpointError(
                f"{path} is no checkpoint of this network ({' '.join(str(error).split())[:200]}): "
                "give another --output, or delete it to begin anew"
            ) from None
        if seed != self.seed:
            raise CheckpointError(
                f"{path} is of seed {seed}: expected {self.seed}, or another --output"
            )
        self._forget()
        return True

    def _forget(self) -> None:
        """Take out of the log what was logged after the checkpoint: it comes again."""
        log = self.folder / "metrics.jsonl"
        if not log.is_file():
            return
        kept = [
            row
            for row in curves.rows_of(log)
            if row.get("stage") != self.name or row.get("step", 0) <= self.step
        ]
        part = log.with_suffix(".part")
        try:
            try:
                part.write_text("".join(json.dumps(row) + "\n" for row in kept), "utf-8")
                part.replace(log)
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{legible(str(self.folder))}: {error.strerror}") from None


_ORDERS: dict[tuple[int, str, int, int], Any] = {}
"""The order of the present epoch: one is at work at a time."""
