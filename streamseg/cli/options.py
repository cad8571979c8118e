"""The options that several commands share, with what `--help` says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamseg.borders.paths import trouble_with_path
from streamseg.errors import UsageError

MOST_FRAMES = 10**12


def folder(text: str) -> Path:
    if trouble := trouble_with_path(text):
        raise UsageError(f"--output: {trouble}")
    return Path(text)


ModelName = Annotated[
    str, typer.Argument(metavar="NAME", help="Of `streamseg models`, a hub id, or a path.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")]
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
    str,
    typer.Option(
        "--config",
        "-c",
        metavar="NAME|FILE",
        help="See `streamseg configs`; auto: the best that is here without a download.",
    ),
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
        parser=folder,
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
