"""A small reasoner's figures on held-out scenes, by level, ready for a card."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from streamseg.errors import OutputError
from streamseg.masking import legible
from streamseg.reasoning.models import folder as folders
from streamseg.training import scores
from streamseg.training.groundings.reasons import OWN, Length
from streamseg.training.nano import folder
from streamseg.training.nano.evaluating import Exam, answers
from streamseg.training.nano.pictures import load


def judge(
    model: str,
    data: Path,
    levels: Sequence[str],
    split: str,
    length: str = OWN,
    per_picture: int = 2,
    told: Callable[[str, int, int, Mapping[str, float]], None] | None = None,
) -> dict[str, Any]:
    """Ask a model about every held-out picture and judge its greedy answers.

    Args:
        model: A name of `streamseg models`, or a folder.
        length: A `Length`, or "own".

    Returns:
        `scores.summary` by level, and failures to look at.

    Raises:
        CheckpointError: The model is damaged or of another kind, or the pictures are.
        UsageError: No such model, length or pictures.
    """
    chosen = Length.told(length)
    network = folder.load(folders.find(model))
    found: dict[str, Any] = {"model": Path(model).name, "split": split, "length": length}
    found |= {"levels": {}, "failures": {}}
    for level in levels:
        pictures = load(data, [level], split, labels=True)
        exam = Exam.of(pictures, per_picture=per_picture, length=chosen)

        def step(done: int, what: str = level, total: int = len(exam.questions)) -> None:
            if told is not None:
                told(what, done, total, {})

        judged = answers(network, exam, step=step)
        found["levels"][level] = scores.summary(score for score, _ in judged)
        found["failures"][level] = [
            {
                "seed": pictures.views[question.picture].seed,
                "sentence": question.sentence.text,
                "kind": question.sentence.kind,
                "answer": text,
                "found": score.found,
            }
            for question, (score, text) in zip(exam.questions, judged, strict=True)
            if score.found < 1.0
        ]
    return found


def write(told: Mapping[str, Any], path: Path) -> None:
    """As a JSON file.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        path.write_text(scores.as_json(told) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{legible(str(path))}: {error.strerror}") from None
