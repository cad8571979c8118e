"""`streamseg run`: a stream followed to its end, and what is said of it meanwhile and after."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamseg.cli import fetching, terminal
from streamseg.cli.options import (
    ConfigName,
    Debug,
    MaxFrames,
    Output,
    Overrides,
    Overwrite,
    Query,
    Quiet,
    Realtime,
    Source,
)
from streamseg.errors import OutputError, UsageError
from streamseg.masking import mask
from streamseg.signals import SIGNALS

if TYPE_CHECKING:
    from rich.console import Console

    from streamseg.sinks import Sink
    from streamseg.types import Event, FrameResult

PROGRESS_EVENTS = ("grounded", "track_", "decoder")
"""Kinds of event that all goes well with: worth a line on a terminal only."""


def run(
    source: Source,
    query: Query,
    config: ConfigName = "auto",
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
    from streamseg.loop.inbox import check_query
    from streamseg.segmenter import StreamSegmenter

    changes = [*(overrides or []), *(["source.realtime=true"] if realtime else [])]
    settings = configs.load(config, changes)
    check_query(query, settings.reasoning.max_query_chars)
    if overwrite and output is None:
        raise UsageError("--overwrite needs --output DIR: nothing would be written")
    outputs = [] if output is None else sinks.build(settings.sinks, output, overwrite)
    console = terminal.stderr_console()
    if terminal.interactive(console) and not quiet:
        outputs.append(_status_sink(console, max_frames))
    fetching.tell_of(settings, quiet)
    segmenter = StreamSegmenter.from_config(settings)
    tell = event_printer(console, quiet)
    with SIGNALS.heard_by(segmenter.stop):
        results = segmenter.run(source, query, max_frames=max_frames, sinks=outputs, on_event=tell)
        if SIGNALS.received:  # before there was a run that it could end
            segmenter.stop()
        masked, failure = follow(results)
        report_run(segmenter.summary(), masked, output, quiet, failure)


def report_run(
    summary: Mapping[str, Any],
    masked: int,
    output: Path | None,
    quiet: bool,
    failure: OutputError | None,
) -> None:
    """What there is, and last what could not be written."""
    from streamseg.cli.report import report

    if not quiet and (failure is None or summary["frames"]):
        terminal.say(report(summary, masked, output))
    if failure is not None:
        raise failure


def follow(results: Iterator[FrameResult]) -> tuple[int, OutputError | None]:
    """Frames with a mask, and what could not be written: told last, below what there is."""
    masked = 0
    try:
        for result in results:
            masked += any(track.box is not None for track in result.masks.objects)
    except OutputError as error:
        return masked, error
    return masked, None


def _status_sink(console: Console, max_frames: int | None) -> Sink:
    from streamseg.sinks.status import StatusSink

    return StatusSink(console, max_frames)


def event_printer(console: Console, quiet: bool) -> Callable[[Event], None]:
    """Prints events as lines; those that all goes well with on a terminal only."""
    from streamseg.sinks.status import printable

    def tell(event: Event) -> None:
        progress = event.kind.startswith(PROGRESS_EVENTS)
        if quiet or (progress and not terminal.interactive(console)):
            return
        with contextlib.suppress(OSError):  # the terminal may have gone
            console.print(f"streamseg: {printable(mask(event.message))}", soft_wrap=True)

    return tell
