"""What `streamseg train grpo` was asked for, and by which of the two ways it is done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from streamseg.errors import UsageError
from streamseg.reasoning.models import folder as folders
from streamseg.training.groundings.reasons import Length
from streamseg.training.grpo import recipe, small
from streamseg.training.grpo.tasks import Penalty
from streamseg.training.nano import folder as nano
from streamseg.training.nano.course import Schedule, Told
from streamseg.training.rewards import LENGTH_BETA


@dataclass(frozen=True, slots=True)
class Asked:
    """The command's options, in its order.

    Attributes:
        model: A name of `streamseg models`, or a folder.
        minutes: Of the processor; 0: as long as the steps take.
        budget: Tokens L(D) at D = 1 and 10.
        length: A `Length` but none, or "own".
        lora: Rank; 0: all weights are trained.
    """

    model: str
    data: Path
    levels: tuple[str, ...]
    output: Path
    seed: int
    steps: int
    minutes: float
    prompts: int
    group: int
    rate: float
    kl: float
    temperature: float
    penalised: bool
    budget: tuple[float, float]
    length: str
    lora: int

    def penalty(self) -> Penalty:
        """The soft length penalty that is meant; of weight 0 where there is to be none."""
        return Penalty(*self.budget, LENGTH_BETA if self.penalised else 0.0)


def run(asked: Asked, told: Told) -> Path:
    """Train as asked; the new model's folder.

    Raises:
        CheckpointError: The model is damaged, or what is to be gone on with fits it not.
        MissingDependencyError: A large model, and trl or peft is not installed.
        OutputError: Something cannot be written; the last good checkpoint stays.
        UsageError: No such model, pictures or length.
    """
    found = folders.find(asked.model)
    if not nano.is_small(found):
        from streamseg.training.grpo import large

        return large.train(asked, found, told)
    length = Length.told(asked.length, least=Length.BRIEF)
    if asked.lora:
        raise UsageError("--lora: the small reasoner is trained whole; leave it out")
    if asked.prompts % small.SENTENCES:
        raise UsageError(
            f"--prompts: expected a multiple of {small.SENTENCES}, got {asked.prompts}"
        )
    schedule = Schedule(asked.steps, asked.minutes, asked.rate, asked.prompts, warm_up=10)
    plan = small.Plan(
        *(schedule, asked.group, asked.kl, asked.penalty(), asked.temperature, length),
        seed=asked.seed,
    )
    return recipe.train(found, asked.data, asked.levels, plan, asked.output, told)
