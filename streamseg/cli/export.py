"""`streamseg export`: a bar while it works, a table when it is done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamseg.cli import terminal
from streamseg.cli.options import ConfigName, Debug, Overrides, Quiet, folder
from streamseg.config import Config
from streamseg.errors import ConfigError, MissingDependencyError

if TYPE_CHECKING:
    from rich.console import Console

_CHOICES = {
    "format": ("onnx", "tensorrt", "tensorrt-rtx"),
    "precision": ("fp32", "fp16", "bf16", "int8", "int4"),
}


def export_parts(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            parser=folder,
            help="Where files and manifest go.",
        ),
    ],
    config: ConfigName = "auto",
    parts: Annotated[
        list[str] | None,
        typer.Option("--parts", metavar="NAME", help="Only these, by name or beginning."),
    ] = None,
    file_format: Annotated[
        str, typer.Option("--format", help="onnx, tensorrt or tensorrt-rtx.")
    ] = "onnx",
    precision: Annotated[
        str, typer.Option(help="fp32, fp16 or bf16; of the reasoner fp32, int8 or int4.")
    ] = "fp32",
    target: Annotated[
        str, typer.Option(help="Card that TensorRT builds for: sm75 ... sm121, or current.")
    ] = "current",
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME|FOLDER",
            help="Of --parts reasoner: a hub id or a folder; else reasoning.vlm.model.",
        ),
    ] = "",
    clip_frames: Annotated[
        int,
        typer.Option(min=0, max=100_000, help="Frames to compare whole pipelines on; 0: do not."),
    ] = 60,
    overrides: Overrides = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Export a config's networks, part by part, each checked against PyTorch.

    \b
    Examples:
      streamseg export --config sam2.1-tiny --output engines
      streamseg export -c selftest -o engines --parts xmem_key --precision fp16
      streamseg export -c rtx -o engines --format tensorrt-rtx --target sm89
      streamseg export -o engines --parts reasoner --model Qwen/Qwen2.5-VL-3B-Instruct \\
        --precision int8
      streamseg run ... --set propagation.xmem.engine.family=onnxruntime \\
        --set propagation.xmem.engine.folder=engines

    Exit code 1 when a part differs from PyTorch by more than is allowed; it is not written.
    """
    from streamseg import config as configs

    settings = configs.load(config, overrides or [])
    options = _wanted(parts or (), file_format, precision, target, clip_frames, model)
    if not _export(settings, options, output, terminal.stderr_console(), quiet):
        raise typer.Exit(1)


def _wanted(
    parts: Sequence[str],
    file_format: str,
    precision: str,
    target: str,
    clip_frames: int,
    model: str,
) -> Any:
    """The command's options, checked; parts may also come joined by commas.

    Raises:
        ConfigError: No such format or precision.
        MissingDependencyError: torch is not installed.
    """
    for name, value in (("format", file_format), ("precision", precision)):
        if value not in _CHOICES[name]:
            raise ConfigError(f"expected --{name} {', '.join(_CHOICES[name])}, got {value!r}")
    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingDependencyError("torch", "neural") from None
    from streamseg.export.command import Wanted

    names = tuple(name.strip() for part in parts for name in part.split(",") if name.strip())
    checked: tuple[Any, Any] = file_format, precision
    return Wanted(names, *checked, target, clip_frames, model)


def _export(config: Config, options: Any, output: Path, console: Console, quiet: bool) -> bool:
    """Export, show how far it is, print the table.

    Returns:
        Whether everything passed.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from streamseg.export import command

    if config.chosen and not quiet:
        console.print(f"streamseg: {config.chosen}", soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    silent = quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=silent) as bars:
        task = bars.add_task("reading weights", total=None)

        def step(what: str, done: int, total: int) -> None:
            bars.update(task, description=what, completed=done, total=total)

        rows = command.export(config, options, output, step)
    if not quiet:
        print(_table(rows))
    failed = [row for row in rows if row.verdict.startswith("FAILED")]
    if quiet:
        for row in failed:
            console.print(f"streamseg: {row.part}: {row.verdict}", soft_wrap=True)
    return not failed


def _table(rows: Sequence[Any]) -> str:
    """Part, size, build time, largest difference, verdict; a line each."""
    head = ("part", "size", "built in", "difference", "verdict")
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    left, *right = widths
    rows_of_text = []
    for name, *figures, verdict in lines:
        columns = [f"{text:>{width}}" for text, width in zip(figures, right, strict=True)]
        rows_of_text.append("  ".join([f"{name:{left}}", *columns, verdict]))
    return "\n".join(rows_of_text)


def _cells(row: Any) -> tuple[str, str, str, str, str]:
    size = f"{row.nbytes / 2**20:.1f} MiB" if row.nbytes else ""
    built = f"{row.build_s:.1f} s" if row.build_s else ""
    difference = "" if row.difference is None else f"{row.difference:.1e}"
    return row.part, size, built, difference, row.verdict
