"""One line on a terminal while a whole video is at work: what is done, how far, how long still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from streamseg.cli import terminal
from streamseg.video.time_left import Progress

if TYPE_CHECKING:
    from rich.console import Console

_BAR_WIDTH = 24


@contextmanager
def video_progress(console: Console, *, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """A bar that comes with the first step and goes at the end; nothing where there is no terminal
    or nothing is to be said."""
    if quiet or not terminal.interactive(console):
        yield lambda progress: None
        return
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(_BAR_WIDTH),
        TextColumn("{task.fields[told]}"),
    )
    bars = Bars(*columns, console=console, transient=True)
    task = bars.add_task("reading", total=None, told="")

    def show(progress: Progress) -> None:
        bars.update(
            task,
            description=progress.step.value,
            completed=progress.done,
            total=progress.total,
            told=in_words(progress),
        )

    with suppress(OSError):  # the terminal may have gone
        bars.start()
    try:
        yield show
    finally:
        with suppress(OSError):
            bars.stop()


def in_words(progress: Progress) -> str:
    """Frames done, and the time left where it is known."""
    of_total = "" if progress.total is None else f"/{progress.total}"
    told = f"frame {progress.done}{of_total}"
    return told if progress.left_s is None else f"{told}  {_clock(progress.left_s)} left"


def _clock(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
