"""`streamseg segment`: a whole video, looked at from its first to its last frame."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamseg.cli import fetching, terminal
from streamseg.cli.bar import video_progress
from streamseg.cli.options import (
    MOST_FRAMES,
    ConfigName,
    Debug,
    MaxFrames,
    Output,
    Overrides,
    Overwrite,
    Query,
    Quiet,
)
from streamseg.cli.run import event_printer, follow, report_run
from streamseg.errors import OutputError, UsageError
from streamseg.signals import SIGNALS

if TYPE_CHECKING:
    from streamseg.config import SinksConfig
    from streamseg.sinks import Sink

Video = Annotated[
    str,
    typer.Argument(
        metavar="VIDEO",
        help="A video file, a folder or glob of images, a film on the web, synthetic:NAME?seed=1.",
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on with the unfinished run in DIR; begin one if none is."),
]
TargetFrame = Annotated[
    int | None,
    typer.Option(
        "--target-frame",
        metavar="N",
        min=0,
        max=MOST_FRAMES,
        help="Point on this frame instead of one that the sampler chooses.",
    ),
]


def segment(
    video: Video,
    query: Query,
    config: ConfigName = "auto",
    overrides: Overrides = None,
    output: Output = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    target_frame: TargetFrame = None,
    max_frames: MaxFrames = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Segment a whole video: the frame that shows best what the query describes is found first,
    and masks are carried from there to both ends.

    \b
    Examples:
      streamseg segment talk.mp4 --query "the blue mug" --output out
      streamseg segment talk.mp4 --query "the blue mug" --output out --resume
      streamseg segment frames/ --query "the largest red thing" --target-frame 120 --output out

    The video is read several times and never held: memory stays the same however long it is.
    --output gets the same files as `streamseg run`, in time order. The first of them comes once
    masks have been carried back to the beginning; until all is done what there is lies in
    segment.resume beside them.

    Ctrl-C, SIGTERM and SIGHUP end it at any moment and finish the files that there are: exit code
    0. The same command with --resume goes on from there, also after a crash or a second Ctrl-C: it
    reads the video through once, asks nothing again, and carries masks on from the last ones; just
    behind that seam they may differ a little from those of a run without one.
    """
    from streamseg import config as configs
    from streamseg.offline import VideoSegmenter

    settings = configs.load(config, overrides or [])
    unfinished, outputs = _outputs(settings.sinks, output, overwrite, resume)
    console = terminal.stderr_console()
    fetching.tell_of(settings, quiet)
    segmenter = VideoSegmenter.from_config(settings)
    with SIGNALS.heard_by(segmenter.stop), video_progress(console, quiet=quiet) as show:
        results = segmenter.segment(
            video,
            query,
            target_frame=target_frame,
            max_frames=max_frames,
            sinks=outputs,
            unfinished=unfinished,
            resume=resume,
            overwrite=overwrite,
            on_event=event_printer(console, quiet),
            on_progress=show,
        )
        if SIGNALS.received:  # before there was a run that it could end
            segmenter.stop()
        masked, failure = follow(results)
    _report(segmenter.summary(), masked, output, quiet, failure)


def _outputs(
    config: SinksConfig, output: Path | None, overwrite: bool, resume: bool
) -> tuple[Path | None, list[Sink]]:
    """Where unfinished work is kept, and the sinks; neither without a folder."""
    from streamseg import sinks
    from streamseg.video.spool import NAME

    if output is None:
        if overwrite or resume:
            flag = "--overwrite" if overwrite else "--resume"
            raise UsageError(f"{flag} needs --output DIR: nothing would be written")
        return None, []
    unfinished = output / NAME
    goes_on = resume and unfinished.exists()
    return unfinished, sinks.build(config, output, overwrite or goes_on)


def _report(
    summary: dict[str, Any],
    masked: int,
    output: Path | None,
    quiet: bool,
    failure: OutputError | None,
) -> None:
    report_run(summary, masked, output, quiet, failure)
    told = summary.get("offline", {})
    if quiet or told.get("complete", False):
        return
    for missing in told.get("missing", ()):
        terminal.say(f"not all of the video was there: {missing}")
    if told.get("unfinished"):
        terminal.say("unfinished: the same command with --resume goes on from here")
