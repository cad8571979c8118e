"""`streamseg train`: render pictures to learn from, train a reasoner, judge a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamseg.cli import terminal
from streamseg.cli.options import Debug, Quiet, folder
from streamseg.errors import MissingDependencyError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

_HELP = """Train a reasoner on synthetic scenes, and judge it on scenes that it has not seen.

\b
From nothing to a model that runs, on one CPU core:
  streamseg train render --data pictures --split train --scenes 4000
  streamseg train render --data pictures --split val   --scenes 300
  streamseg train render --data pictures --split test  --scenes 300
  streamseg train sft --data pictures --output made
  streamseg train grpo --data pictures --output paid --model made/model
  streamseg train evaluate --data pictures --model paid/model
  streamseg run --config reasoner-nano --set reasoning.vlm.model=made/model \\
    --source "synthetic:medium?seed=7" --query "the disc left of the blue square"
"""

train = typer.Typer(help=_HELP, rich_markup_mode=None, no_args_is_help=True)

Data = Annotated[
    Path,
    typer.Option("--data", metavar="DIR", parser=folder, help="Rendered pictures and their truth."),
]
Levels = Annotated[str, typer.Option(metavar="NAMES", help="Of easy, medium, hard, by commas.")]
GoneOnFrom = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME|DIR",
        help="A small reasoner to go on from: only its language is trained, at a third of the "
        "rate, and minutes are the processor's.",
    ),
]
Began = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME|DIR",
        help="To begin with: reasoner-nano, or the folder of any checkpoint that `vlm` loads.",
    ),
]
Output = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="DIR", parser=folder, help="Checkpoints, log, curves, model."
    ),
]
Minutes = Annotated[
    float,
    typer.Option(
        min=0, help="Most of the processor's time; the rate falls to end in time. 0: any."
    ),
]
Rate = Annotated[
    float, typer.Option(min=1e-8, max=0.1, help="Highest learning rate; falls as a cosine.")
]
Penalised = Annotated[bool, typer.Option("--penalty/--no-penalty", help="The soft length penalty.")]
Temperature = Annotated[
    float,
    typer.Option(
        min=0.05, max=2.0, help="Of the lots; the lower, the nearer to the greedy answer."
    ),
]
Budget = Annotated[
    str, typer.Option(metavar="A,B", help="Tokens L(D) of thinking at difficulty 1 and 10.")
]
Length = Annotated[str, typer.Option(help="To think for: brief, middle, full; own: as it likes.")]
Lora = Annotated[
    int, typer.Option(min=0, max=1024, help="Rank of LoRA, for a large model; 0: all weights.")
]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of everything.")]
Threads = Annotated[int, typer.Option(min=1, max=256, help="Of torch.")]


@train.command("render")
def render_pictures(
    data: Data,
    split: Annotated[str, typer.Option(help="train, val or test: other scenes in each.")] = "train",
    scenes: Annotated[int, typer.Option(min=1, max=10**6, help="Of each level.")] = 1000,
    levels: Levels = "easy,medium",
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes.")] = 1,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Render synthetic scenes once, with sentences and their true answers.

    What is there already stays: given again, the command goes on where it ended. Two pictures a
    scene for training, one to be judged by.
    """
    from streamseg.training import groundings

    frames = (0, 28) if split == "train" else (15,)
    recipe = groundings.Recipe(_named(levels), split, scenes, frames)
    with _bar(terminal.stderr_console(), quiet) as show:
        groundings.render(
            recipe, data, workers, lambda done, total: show("rendering", done, total, {})
        )
    if not quiet:
        typer.echo(f"{data} holds {scenes} scenes of each of {', '.join(recipe.levels)}, {split}")


@train.command("sft")
def fine_tune(
    data: Data,
    output: Output,
    model: GoneOnFrom = None,
    levels: Levels = "easy,medium",
    seed: Seed = 0,
    vision_steps: Annotated[int, typer.Option(min=1, help="Of 32 pictures each.")] = 1300,
    language_steps: Annotated[
        int, typer.Option(min=1, help="Of 8 pictures each, with eight sentences behind each.")
    ] = 1300,
    vision_minutes: Annotated[
        float, typer.Option(min=0, help="Most that the stage may take; 0: as long as it takes.")
    ] = 0.0,
    language_minutes: Annotated[
        float, typer.Option(min=0, help="The same; the rate falls so that it ends in time.")
    ] = 0.0,
    length: Annotated[
        str, typer.Option(help="With --model: show reasons of one length alone; own: of all.")
    ] = "own",
    threads: Threads = 1,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train the small reasoner from nothing: first its vision, then its language.

    \b
    DIR gets
      vision.pt, language.pt  checkpoints, written every minute, whole or not at all
      metrics.jsonl           a line every 20 steps, and every 300 on held-out pictures
      curves.png              the same, drawn
      model/                  the folder that `vlm` loads, in half precision

    Broken off, by Ctrl-C, a kill or a full disk, the same command goes on from the last checkpoint.
    """
    _need_torch(threads)
    from streamseg.training.nano import recipe as recipes
    from streamseg.training.nano.course import Schedule

    plan = recipes.Recipe(
        data,
        _named(levels),
        Schedule(vision_steps, vision_minutes, rate=3e-3, batch=32),
        Schedule(language_steps, language_minutes, rate=1e-3 if model else 3e-3, batch=8),
        seed,
    )
    with _bar(terminal.stderr_console(), quiet) as show:
        if model is None:
            if length != "own":
                raise UsageError("--length: only with --model; a start needs all lengths")
            made = recipes.train(plan, output, show)
        else:
            from streamseg.reasoning.models.folder import find
            from streamseg.training.groundings.reasons import Length as Told

            made = recipes.go_on(plan, find(model), output, show, Told.told(length, Told.BRIEF))
    if not quiet:
        typer.echo(f"{made} is a model: judge it with streamseg train evaluate --model {made}")


@train.command("grpo")
def reinforce(
    model: Began,
    data: Data,
    output: Output,
    levels: Levels = "easy,medium",
    seed: Seed = 0,
    steps: Annotated[int, typer.Option(min=1, help="Of the optimiser.")] = 600,
    minutes: Minutes = 0.0,
    prompts: Annotated[int, typer.Option(min=1, max=4096, help="A step.")] = 32,
    group: Annotated[int, typer.Option(min=2, max=64, help="Answers to each.")] = 8,
    rate: Rate = 5e-5,
    kl: Annotated[float, typer.Option(min=0, help="Weight of the divergence to --model.")] = 0.005,
    temperature: Temperature = 0.7,
    penalty: Penalised = True,
    budget: Budget = "16,128",
    length: Length = "own",
    lora: Lora = 0,
    threads: Threads = 1,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Pay a reasoner for its own answers: GRPO with the paper's rewards.

    \b
    DIR gets
      grpo.pt         the checkpoint, written every minute, whole or not at all
      metrics.jsonl   a line every ten steps, and every fifty on held-out pictures
      tensorboard/    the same, where TensorBoard is installed
      curves.png      the same, drawn
      model/          the folder that `vlm` loads

    The small reasoner is trained by a loop of our own, any other checkpoint by trl, whose own
    checkpoints then stand in DIR. Broken off, the same command goes on from the last checkpoint.
    """
    _need_torch(threads)
    from streamseg.training.grpo import command

    asked = command.Asked(
        *(model, data, _named(levels), output, seed, steps, minutes, prompts, group, rate, kl),
        *(temperature, penalty, _budget(budget), length, lora),
    )
    with _bar(terminal.stderr_console(), quiet) as show:
        made = command.run(asked, show)
    if not quiet:
        typer.echo(f"{made} is a model: judge it with streamseg train evaluate --model {made}")


@train.command("evaluate")
def evaluate(
    model: Annotated[
        str, typer.Option("--model", metavar="NAME|DIR", help="reasoner-nano, or a folder.")
    ],
    data: Data,
    split: Annotated[str, typer.Option(help="val or test.")] = "test",
    levels: Levels = "easy,medium",
    length: Annotated[
        str, typer.Option(help="To think for: none, brief, middle, full; own: as it likes.")
    ] = "own",
    per_picture: Annotated[int, typer.Option(min=1, max=16, help="Sentences.")] = 2,
    output: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", parser=folder, help="Figures go there.")
    ] = None,
    threads: Threads = 1,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Judge a small reasoner on held-out scenes, greedily: by level and by kind of sentence.

    \b
    found      share of objects whose box overlaps the true one by more than 0.5
    pointed    share whose point lies on the object
    absent     share of sentences about what is not there that are answered "none"
    accuracy   VisionReasoner's reward, 0 to 3
    """
    _need_torch(threads)
    from streamseg.training.nano.report import judge

    with _bar(terminal.stderr_console(), quiet) as show:
        told = judge(model, data, _named(levels), split, length, per_picture, show)
    if output is not None:
        from streamseg.training.nano.report import write

        write(told, output)
    if not quiet or output is None:
        typer.echo(_table(told))


def _named(levels: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in levels.split(",") if name.strip())
    if not names or set(names) - {"easy", "medium", "hard"}:
        raise UsageError(f"--levels: expected some of easy, medium, hard, got {levels[:60]!r}")
    return names


def _budget(told: str) -> tuple[float, float]:
    try:
        first, last = (float(each) for each in told.split(","))
    except ValueError:
        first = last = -1.0
    if not 0 <= first <= last < 1e6:
        raise UsageError(
            f"--budget: expected two numbers of tokens that do not fall, as 16,128, got "
            f"{told[:40]!r}"
        )
    return first, last


def _need_torch(threads: int) -> None:
    try:
        import torch
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(error.name or "torch", "training") from None
    torch.set_num_threads(threads)


Show = Callable[[str, int, int, Mapping[str, float]], None]


@contextmanager
def _bar(console: Console, quiet: bool) -> Iterator[Show]:
    """Stage, how far it is and its loss; nothing where there is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Left

    columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), Left())
    silent = quiet or not terminal.interactive(console)
    told = TextColumn("{task.fields[told]}")
    with Progress(*columns, told, console=console, transient=True, disable=silent) as bars:
        task = bars.add_task("", total=None, told="")

        def show(what: str, done: int, total: int, figures: Mapping[str, float]) -> None:
            loss = f"loss {figures['loss']:.3f}" if "loss" in figures else ""
            bars.update(task, description=what, completed=done, total=total or None, told=loss)

        yield show


def _table(told: Mapping[str, Any]) -> str:
    """A line for each level, and under it one for each kind of sentence."""
    names = ("sentences", "found", "pointed", "absent", "format", "accuracy", "thinking_tokens")
    lines: list[tuple[str, ...]] = [("", *names)]
    for level, summary in told["levels"].items():
        lines.append((level, *(_cell(summary.get(name)) for name in names)))
        for kind, figures in summary["kinds"].items():
            lines.append((f"  {kind}", *(_cell(figures.get(name)) for name in names)))
    widths = [max(len(line[at]) for line in lines) for at in range(len(names) + 1)]
    return "\n".join(
        "  ".join(
            f"{cell:{width}}" if at == 0 else f"{cell:>{width}}"
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
