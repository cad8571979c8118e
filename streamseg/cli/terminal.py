"""The terminal: whether there is one, lines on it, and a bar for each file on its way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from streamseg.signals import SIGNALS

if TYPE_CHECKING:
    from rich.console import Console


def stderr_console() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False)


def interactive(console: Console) -> bool:
    return console.is_terminal and not console.is_dumb_terminal


def say(text: str) -> None:
    """To standard output, where there still is one: after a SIGHUP the terminal has gone."""
    try:
        typer.echo(text)
    except BrokenPipeError:
        raise
    except OSError:
        if not SIGNALS.received:
            raise


@contextmanager
def file_progress(console: Console) -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar per file on a terminal, nothing elsewhere."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console, disable=not interactive(console)) as bars:
        tasks: dict[str, TaskID] = {}

        def advance(file: str, done: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(file, total=total)
            bars.update(tasks[file], completed=done, total=total)

        yield advance
