"""From a small reasoner that was shown right answers to one that was paid for its own."""

from __future__ import annotations

from pathlib import Path

from streamseg.training.grpo import board, small
from streamseg.training.grpo.small import Plan
from streamseg.training.nano import folder as folders
from streamseg.training.nano.course import Told
from streamseg.training.nano.evaluating import Exam
from streamseg.training.nano.recipe import ASKED, begin, leave


def train(
    model: Path,
    data: Path,
    levels: tuple[str, ...],
    plan: Plan,
    output: Path,
    told: Told,
    shards: int = 0,
) -> Path:
    """Train, or go on with.

    Args:
        model: Folder of the small reasoner to begin with.
        data: Folder of rendered pictures, splits train and val.
        output: Gets `grpo.pt`, `metrics.jsonl`, `curves.png` and, in `model`, the folder that
            loads; in `tensorboard` the log again, where that package is installed.
        shards: Of pictures, of each level; 0 for all.

    Returns:
        The new model's folder.

    Raises:
        CheckpointError: The model is another than the small reasoner, or what is to be gone on
            with is damaged, of another seed, or began with another model.
        OutputError: Something cannot be written; the last good checkpoint stays.
        UsageError: There are no pictures.
    """
    network = folders.load(model)
    pictures, held_out = begin(data, levels, shards, output, told, labels=True)
    exam = Exam.of(held_out, most=ASKED, length=plan.length)
    with board.beside(output) as heard:
        small.train(network, pictures, exam, plan, output, told, heard)
    return leave(network, output, "streamseg train grpo")
