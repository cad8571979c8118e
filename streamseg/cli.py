"""The command line: words into a run, errors into one line and an exit code.

Exit codes: 0 done (Ctrl-C, SIGTERM and SIGHUP are ways to be done), 1 failed, 2 wrong usage or
config, 128 and the signal's number aborted: 130 by a second Ctrl-C, 143 by SIGTERM, 129 by SIGHUP.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamseg.cli_complaint import Complaint
from streamseg.errors import OutputError, StreamSegError, UsageError
from streamseg.masking import mask
from streamseg.paths import trouble_with_path
from streamseg.signals import SIGNALS, Aborted
from streamseg.version import __version__

if TYPE_CHECKING:
    from rich.console import Console

    from streamseg.sinks import Sink
    from streamseg.types import Event, FrameResult

MOST_FRAMES = 10**12
_ABORTED = "aborted: what was written so far stays readable"
PROGRESS_EVENTS = ("grounded", "track_", "decoder")
"""Kinds of event that all goes well with: worth a line on a terminal only."""

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
models = typer.Typer(help="List, fetch and verify model weights.", rich_markup_mode=None)
app.add_typer(models, name="models", invoke_without_command=True)

ModelName = Annotated[
    str, typer.Argument(metavar="NAME", help="Of `streamseg models`, a hub id, or a path.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")]


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
    if aborted.first and next((word for word in words if word[:1] != "-"), "") == "run":
        return say("stopped before the first frame", 0)
    return say(_ABORTED, aborted.exit_code)


def _usage_error() -> type[Exception]:
    """Click's UsageError, which typer takes from the click package or, later, brings itself."""
    bases = typer.BadParameter.__mro__
    return next(base for base in bases if base.__name__ == "UsageError")


def _folder(text: str) -> Path:
    if trouble := trouble_with_path(text):
        raise UsageError(f"--output: {trouble}")
    return Path(text)


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


Source = Annotated[
    str,
    typer.Option(
        "--source",
        "-s",
        metavar="SRC",
        help="A video file, a folder or glob of images, 0 or /dev/video0, rtsp://..., "
        "gst:PIPELINE, synthetic:NAME?seed=1.",
    ),
]
Query = Annotated[
    str, typer.Option("--query", "-q", metavar="TEXT", help="What to find, in words.")
]
ConfigName = Annotated[
    str, typer.Option("--config", "-c", metavar="NAME|FILE", help="See `streamseg configs`.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one config value; repeatable."),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        parser=_folder,
        help="Write masks, overlay and summary there; made if missing, refused if another run's.",
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace the results of the run that DIR holds, as a whole."),
]
MaxFrames = Annotated[
    int | None,
    typer.Option("--max-frames", metavar="N", min=1, max=MOST_FRAMES, help="Stop after N frames."),
]
Realtime = Annotated[
    bool, typer.Option("--realtime", help="Play a file at its own pace, as if it were a camera.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing unless it fails.")]


@app.command()
def run(
    source: Source,
    query: Query,
    config: ConfigName = "classical",
    overrides: Overrides = None,
    output: Output = None,
    overwrite: Overwrite = False,
    max_frames: MaxFrames = None,
    realtime: Realtime = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Segment a stream: one mask per frame of whatever the query describes.

    \b
    Examples:
      streamseg run --source talk.mp4 --query "the blue mug" --output out
      streamseg run --source rtsp://camera/1 --query "the person at the door" --output out
      streamseg run --source 0 --query "the largest red thing" --max-frames 300
      streamseg run --source "synthetic:reentry?seed=1" --query "the green oval" --output out
      streamseg run -s talk.mp4 -q "the cup" --set trigger.refresh_s=4 --set sinks.images=true

    Ctrl-C, SIGTERM and SIGHUP end a run at any moment within 2 s and finish its files: exit code 0.
    A second one aborts: 130, 143 or 129; what was written so far stays readable.

    --output gets masks.jsonl (COCO RLE, a line a frame), overlay.mp4 and summary.json, from the
    first frame on; a killed run leaves files that can be read. A folder with another run's results
    is refused. With --overwrite they go once the first frame is there: until then, as when the
    camera cannot be reached, they stay whole, and whatever else is in the folder always stays.

    Exit code 1 also where a file could not be written to its end, as on a full disk: the last line
    says which, why, and up to which frame it is whole.
    """
    from streamseg import config as configs
    from streamseg import sinks
    from streamseg.inbox import check_query
    from streamseg.segmenter import StreamSegmenter

    changes = [*(overrides or []), *(["source.realtime=true"] if realtime else [])]
    settings = configs.load(config, changes)
    check_query(query, settings.reasoning.max_query_chars)
    if overwrite and output is None:
        raise UsageError("--overwrite needs --output DIR: nothing would be written")
    outputs = [] if output is None else sinks.build(settings.sinks, output, overwrite)
    console = _console()
    if _interactive(console) and not quiet:
        outputs.append(_status_sink(console, max_frames))
    segmenter = StreamSegmenter.from_config(settings)
    tell = _event_printer(console, quiet)
    with SIGNALS.heard_by(segmenter.stop):
        results = segmenter.run(source, query, max_frames=max_frames, sinks=outputs, on_event=tell)
        if SIGNALS.received:  # before there was a run that it could end
            segmenter.stop()
        masked, failure = _follow(results)
        _report(segmenter.summary(), masked, output, quiet, failure)


def _report(
    summary: Mapping[str, Any],
    masked: int,
    output: Path | None,
    quiet: bool,
    failure: OutputError | None,
) -> None:
    """What there is, and last what could not be written."""
    from streamseg.cli_report import report

    if not quiet and (failure is None or summary["frames"]):
        _print(report(summary, masked, output))
    if failure is not None:
        raise failure


def _follow(results: Iterator[FrameResult]) -> tuple[int, OutputError | None]:
    """Frames with a mask, and what could not be written: told last, below what there is."""
    masked = 0
    try:
        for result in results:
            masked += any(track.box is not None for track in result.masks.objects)
    except OutputError as error:
        return masked, error
    return masked, None


@app.command("configs")
def list_configs(debug: Debug = False) -> None:
    """List the configs that --config knows by name."""
    from streamseg import config as configs

    loaded = [configs.load(name) for name in configs.available()]
    width = max(len(settings.name) for settings in loaded)
    for settings in loaded:
        typer.echo(f"{settings.name.ljust(width)}  {settings.description.strip()}")


@app.command("export")
def export_parts(
    config: ConfigName,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            parser=_folder,
            help="Where files and manifest go.",
        ),
    ],
    parts: Annotated[
        list[str] | None,
        typer.Option("--parts", metavar="NAME", help="Only these, by name or beginning."),
    ] = None,
    file_format: Annotated[
        str, typer.Option("--format", help="onnx, tensorrt or tensorrt-rtx.")
    ] = "onnx",
    precision: Annotated[str, typer.Option(help="fp32, fp16 or bf16.")] = "fp32",
    target: Annotated[
        str, typer.Option(help="Card that TensorRT builds for: sm75 ... sm121, or current.")
    ] = "current",
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
      streamseg run ... --set propagation.xmem.engine.family=onnxruntime \\
        --set propagation.xmem.engine.folder=engines

    Exit code 1 when a part differs from PyTorch by more than is allowed; it is not written.
    """
    from streamseg import cli_engines
    from streamseg import config as configs

    settings = configs.load(config, overrides or [])
    options = cli_engines.wanted(parts or (), file_format, precision, target, clip_frames)
    if not cli_engines.export(settings, options, output, _console(), quiet):
        raise typer.Exit(1)


@app.command()
def doctor(
    config: Annotated[
        str | None, typer.Option("--config", "-c", metavar="NAME|FILE", help="Its engines too.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
    overrides: Overrides = None,
    debug: Debug = False,
) -> None:
    """Say what this machine can run, and what would mend what it cannot.

    \b
    Examples:
      streamseg doctor
      streamseg doctor --config rtx
      streamseg doctor --config jetson-orin --json

    Exit code 1 when something that the config needs is missing.
    """
    from streamseg import config as configs
    from streamseg import doctor as examine

    settings = None if config is None else configs.load(config, overrides or [])
    found = examine.examine(settings)
    typer.echo(examine.to_json(found) if as_json else examine.to_text(found))
    if not examine.can_run(found):
        raise typer.Exit(1)


@models.callback()
def _models(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_models()


@models.command("list")
def list_models(debug: Debug = False) -> None:
    """List the models that configs name, where they are, and whether they are here."""
    from streamseg import weights

    for model in weights.list_models():
        size = f"{model.nbytes / 1e6:.0f} MB" if model.nbytes else ""
        state = "here" if model.present else "to fetch"
        typer.echo(f"{model.name:24} {state:9} {size:>7}  {model.where}  ({model.licence})")


@models.command("fetch")
def fetch_model(name: ModelName, debug: Debug = False) -> None:
    """Fetch a model's files, resuming where an earlier try broke off; all of a config's, by its
    name ("everyday")."""
    from streamseg import weights

    for member in weights.members(name):
        with _fetch_progress(_console()) as progress:
            folder = weights.fetch(member, progress)
        here = str(folder) == member
        typer.echo(f"{member} is here" if here else f"{member} is in {folder}")


@models.command("verify")
def verify_model(name: ModelName, debug: Debug = False) -> None:
    """Check a model's files: checksums where known, and the shape of every tensor."""
    from streamseg import weights

    for member in weights.members(name):
        for file, checksum in weights.verify(member).items():
            typer.echo(f"{checksum}  {file}")
        typer.echo(f"{member} is whole")


def _print(text: str) -> None:
    """To standard output, where there still is one: after a SIGHUP the terminal has gone."""
    try:
        typer.echo(text)
    except BrokenPipeError:
        raise
    except OSError:
        if not SIGNALS.received:
            raise


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False)


def _interactive(console: Console) -> bool:
    return console.is_terminal and not console.is_dumb_terminal


def _status_sink(console: Console, max_frames: int | None) -> Sink:
    from streamseg.sinks.status import StatusSink

    return StatusSink(console, max_frames)


def _event_printer(console: Console, quiet: bool) -> Callable[[Event], None]:
    from streamseg.sinks.status import printable

    def tell(event: Event) -> None:
        progress = event.kind.startswith(PROGRESS_EVENTS)
        if quiet or (progress and not _interactive(console)):
            return
        with contextlib.suppress(OSError):  # the terminal may have gone
            console.print(f"streamseg: {printable(mask(event.message))}", soft_wrap=True)

    return tell


@contextmanager
def _fetch_progress(console: Console) -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar per file on a terminal, nothing elsewhere."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console, disable=not _interactive(console)) as bars:
        tasks: dict[str, TaskID] = {}

        def advance(file: str, done: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(file, total=total)
            bars.update(tasks[file], completed=done, total=total)

        yield advance


if __name__ == "__main__":
    main()
