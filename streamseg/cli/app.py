"""The command line: words into a run, errors into one line and an exit code.

Exit codes: 0 done (Ctrl-C, SIGTERM and SIGHUP are ways to be done), 1 failed, 2 wrong usage or
config, 128 and the signal's number aborted: 130 by a second Ctrl-C, 143 by SIGTERM, 129 by SIGHUP.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from streamseg.cli.complaint import Complaint
from streamseg.cli.export import export_parts
from streamseg.cli.inspect import doctor, list_configs
from streamseg.cli.models import models
from streamseg.cli.run import run
from streamseg.cli.segment import segment
from streamseg.cli.train import train
from streamseg.errors import StreamSegError, UsageError
from streamseg.signals import SIGNALS, Aborted
from streamseg.version import __version__

_RUNS = {"run", "segment"}
_ABORTED = "aborted: what was written so far stays readable"

_HELP = """A live picture and a sentence in, a mask per frame out, in real time.

\b
Try it, without weights, camera or download:
  streamseg run --source "synthetic:reentry?seed=1" --query "the green oval" --output out
"""

app = typer.Typer(
    name="streamseg",
    help=_HELP,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command()(segment)
app.command("configs")(list_configs)
app.command("export")(export_parts)
app.command()(doctor)
app.add_typer(models, name="models", invoke_without_command=True)
app.add_typer(train, name="train")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit the process.

    Args:
        argv: The words after the program's name; the process's own when None.
    """
    if argv is None:
        from streamseg.__main__ import main as main_process

        main_process()
    with SIGNALS.installed():
        code = exit_code(argv)
    sys.exit(code)


def exit_code(argv: Sequence[str]) -> int:
    """Run the command line and say with which code the process is to exit."""
    words = list(argv)
    say = Complaint(words)
    try:
        return _try(words, say)
    except Aborted as aborted:
        return _say_aborted(aborted, words, say)
    except (KeyboardInterrupt, typer.Abort):
        return say(_ABORTED, 128 + signal.SIGINT)


def _try(words: list[str], say: Complaint) -> int:
    usage_error = _usage_error()
    if not words:
        app(["--help"], prog_name="streamseg", standalone_mode=False)
        return UsageError.exit_code
    try:
        code = app(words, prog_name="streamseg", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except typer.Exit as done:
        return done.exit_code
    except usage_error as error:
        return say.usage(error)
    except StreamSegError as error:
        return say(str(error), error.exit_code)
    except BrokenPipeError:
        return 1  # who reads our output has gone
    except Exception as error:  # noqa: BLE001  (the last resort: a fault of ours, told as one line)
        if SIGNALS.aborted is not None:  # a library made an error of its own of it
            raise SIGNALS.aborted from None
        fault = f"internal error, {type(error).__name__}: {error}"
        return say(f"{fault} (add --debug to see where, and please report it)", 1)


def _say_aborted(aborted: Aborted, words: list[str], say: Complaint) -> int:
    """A run that was stopped before it began is done as it was asked; anything else is not."""
    if aborted.first and next((word for word in words if word[:1] != "-"), "") in _RUNS:
        return say("stopped before the first frame", 0)
    return say(_ABORTED, aborted.exit_code)


def _usage_error() -> type[Exception]:
    """Click's UsageError, which typer takes from the click package or, later, brings itself."""
    bases = typer.BadParameter.__mro__
    return next(base for base in bases if base.__name__ == "UsageError")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"streamseg {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass
