"""What small reasoners learned since one start: each against the first, on the same questions.

    python -m streamseg.benchmarks.learned --data pictures --length full \\
        --model start=reasoner-nano --model grpo=paid/model --model control=control/model

`streamseg train render` makes the pictures. Level hard is out of domain for what was trained on
easy and medium: landscapes behind, checks, six to eight objects, colours that are alike. Answers
are greedy; intervals are of 95 %, by drawing pictures anew with all that is asked about each. A
table for people, then one JSON line for machines.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from streamseg.benchmarks import machine
from streamseg.errors import StreamSegError
from streamseg.evaluation import intervals
from streamseg.reasoning.models import folder as folders
from streamseg.training.groundings.reasons import Length
from streamseg.training.nano import folder as nano
from streamseg.training.nano.evaluating import Exam, answers
from streamseg.training.nano.pictures import load
from streamseg.training.scores import Score

LENGTHS = ("own", *(str(each) for each in Length))


def figures(
    judged: Sequence[Score], first: Sequence[Score], groups: Sequence[int]
) -> dict[str, Any]:
    """A model's means with intervals, and how much more accuracy it earns than the first.

    Args:
        judged, first: One for each question, of this model and of the first.
        groups: Whose picture each question is about.
    """
    accuracy = [each.accuracy for each in judged]
    base = [each.accuracy for each in first]
    told: dict[str, Any] = {
        "sentences": len(judged),
        "accuracy": _with_interval(accuracy, groups),
        "thinking_tokens": round(fmean(each.tokens for each in judged), 2),
        "format": round(fmean(each.format for each in judged), 4),
    }
    if any(base):  # of nothing there is no gain
        gain = (fmean(accuracy) / fmean(base) - 1, *intervals.of_gain(accuracy, base, groups))
        told["gain"] = [round(each, 4) for each in gain]
    for name, meant in (("found", True), ("absent", False)):
        those = [
            (each.found, group)
            for each, group in zip(judged, groups, strict=True)
            if bool(each.meant) is meant
        ]
        if those:
            told[name] = _with_interval([one for one, _ in those], [group for _, group in those])
    return told


def _with_interval(values: Sequence[float], groups: Sequence[int]) -> list[float]:
    found = (fmean(values), *intervals.of_mean(values, groups))
    return [round(each, 4) for each in found]


def run(
    models: Sequence[tuple[str, str]],
    data: Path,
    levels: Sequence[str],
    split: str,
    lengths: Sequence[str],
    per_picture: int,
    bars: Progress,
) -> dict[str, Any]:
    """By length of thinking and level, each model's `figures`."""
    networks = [(name, nano.load(folders.find(where))) for name, where in models]
    told: dict[str, Any] = {}
    for level in levels:
        pictures = load(data, [level], split, labels=True)
        for length in lengths:
            exam = Exam.of(pictures, per_picture=per_picture, length=Length.told(length))
            groups = [each.picture for each in exam.questions]
            judged = []
            for name, network in networks:
                judged.append(_asked(network, exam, f"{level}, {length}: {name}", bars))
            told.setdefault(length, {})[level] = {
                name: figures(scores, judged[0], groups)
                for (name, _), scores in zip(networks, judged, strict=True)
            }
    return told


def _asked(network: Any, exam: Exam, what: str, bars: Progress) -> list[Score]:
    bar = bars.add_task(what, total=len(exam.questions))
    found = answers(network, exam, step=lambda done: bars.update(bar, completed=done))
    bars.remove_task(bar)
    return [score for score, _ in found]


_FORMS = {"accuracy": ".3f", "gain": "+.1%", "found": ".3f", "absent": ".3f"}
"""How the means are told."""


def table(told: dict[str, Any]) -> Table:
    """A line for each length, level and model."""
    made = Table("thinking", "level", "model", *_FORMS, "tokens", box=None)
    for length, levels in told.items():
        for level, models in levels.items():
            for name, each in models.items():
                cells = (_cell(each.get(key), form) for key, form in _FORMS.items())
                made.add_row(length, level, name, *cells, f"{each['thinking_tokens']:.1f}")
    return made


def _cell(value: Sequence[float] | None, form: str) -> str:
    if value is None:
        return ""
    mean, low, high = (format(each, form) for each in value)
    return f"{mean} ({low} to {high})"


def _model(told: str) -> tuple[str, str]:
    name, _, where = told.partition("=")
    if not name or not where:
        raise argparse.ArgumentTypeError(f"expected NAME=DIR, got {told[:60]!r}")
    return name, where


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m streamseg.benchmarks.learned",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="rendered pictures")
    parser.add_argument(
        *("--model", "-m"),
        type=_model,
        action="append",
        required=True,
        help="NAME=DIR, or NAME=reasoner-nano; the first is what the others are held against",
    )
    parser.add_argument("--levels", default="easy,medium,hard")
    parser.add_argument("--split", default="test", choices=("val", "test"))
    parser.add_argument(
        "--length", default="own", help=f"to think for, by commas: {', '.join(LENGTHS)}"
    )
    parser.add_argument("--per-picture", type=int, default=2, help="sentences (2)")
    parser.add_argument("--json", type=Path, help="keep the JSON line")
    parser.add_argument("--threads", type=int, default=1, help="of torch (1)")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    console = Console()
    try:
        with Progress(console=Console(stderr=True), transient=True) as bars:
            told = run(
                *(asked.model, asked.data, asked.levels.split(","), asked.split),
                *(asked.length.split(","), asked.per_picture, bars),
            )
    except StreamSegError as error:
        parser.error(str(error))
    console.print(table(told))
    machine.report("learned", {"split": asked.split, "lengths": told}, asked.json)


if __name__ == "__main__":
    main()
