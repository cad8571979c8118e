"""Sentences a user would type, on real clips, held against true boxes and masks.

    python -m streamseg.benchmarks.real --clips FOLDER --output out/real --jobs 2

Every sentence of queries.json runs through the public API. Each annotated frame is right, partly,
wrong or none, or clean or invented where the thing is not to be seen; once by whatever is shown
and once by what is shown as tracking. Tables for people, then one JSON line for machines; under
--output the rows, a contact sheet of each clip and a reliability diagram. Tune to kinds, never to
clips.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console

from streamseg import config as configs
from streamseg.benchmarks import machine
from streamseg.benchmarks.real import report, runs, sheets
from streamseg.benchmarks.real.reliability import Plot, diagram
from streamseg.benchmarks.real.trial import Task
from streamseg.errors import StreamSegError, UsageError
from streamseg.evaluation import calibration, queries, totals, truths
from streamseg.evaluation.queries import Sentence
from streamseg.evaluation.real import SentenceScore, Way

_WIDTH = 110


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="streamseg.benchmarks.real", description=__doc__)
    parser.add_argument("--clips", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--queries", type=Path, help="default: FOLDER/queries.json")
    parser.add_argument("--config", default="classical", metavar="NAME")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=VALUE")
    parser.add_argument("--only", nargs="+", metavar="CLIP", help="these clips alone")
    parser.add_argument("--kinds", nargs="+", metavar="KIND", help="these kinds alone")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    parser.add_argument("--output", type=Path, metavar="DIR", help="rows, sheets, diagram")
    parser.add_argument("--resume", action="store_true", help="go on with the run in DIR")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the JSON line")
    options = parser.parse_args(words)
    if options.jobs < 1:
        parser.error("--jobs: expected 1 or more")
    if options.resume and options.output is None:
        parser.error("--resume: expected --output DIR, the folder of the run to go on with")
    options.queries = options.queries or options.clips / "queries.json"
    return options


def tasks(options: argparse.Namespace) -> list[Task]:
    """The sentences asked for, each with its clip and the clip's files of true masks.

    Raises:
        UsageError: A bad list, a clip that is missing, or nothing is left to run.
    """
    sentences = list(enumerate(queries.read(options.queries)))
    for name, wanted in (("clip", options.only), ("kind", options.kinds)):
        _check_known(name, wanted, {getattr(each, name) for _, each in sentences})
    chosen = [
        (position, each)
        for position, each in sentences
        if each.clip in (options.only or [each.clip])
        and each.kind in (options.kinds or [each.kind])
    ]
    if not chosen:
        raise UsageError("no sentence is of both these clips and these kinds")
    clips = {each.clip: queries.find_clip(options.clips, each.clip) for _, each in sentences}
    return [_task(position, each, clips, options.output) for position, each in chosen]


def _check_known(name: str, wanted: Sequence[str] | None, known: set[str]) -> None:
    for each in wanted or ():
        if each not in known:
            raise UsageError(f"no sentence of {name} {each}; there are: {', '.join(sorted(known))}")


def _task(position: int, sentence: Sentence, clips: dict[str, Path], output: Path | None) -> Task:
    clip = clips[sentence.clip]
    stems = [path.stem for path in clips.values()]
    masks = truths.of_clip(clip.parent.glob("*.npz"), clip.stem, stems)
    strip = None if output is None else output / "strips" / f"{position:04d}.png"
    return Task(position, sentence, clip, tuple(masks), strip)


def draw(rows: Sequence[SentenceScore], title: str, output: Path) -> None:
    """Write each clip's contact sheet and the reliability diagram."""
    for clip in dict.fromkeys(row.clip for row in rows):
        of_clip = [row for row in rows if row.clip == clip and row.error is None]
        strips = [output / "strips" / f"{row.position:04d}.png" for row in of_clip]
        name = clip.replace("/", "_")
        sheets.write(output / f"{name}.png", sheets.sheet(f"{clip}  ·  {title}", strips))
    plots = [
        Plot(
            "Right, of whatever is shown", "share right", _bins(totals.right_pairs(rows, Way.SHOWN))
        ),
        Plot(
            "Right, of tracking alone", "share right", _bins(totals.right_pairs(rows, Way.TRACKING))
        ),
        Plot("IoU, of whatever is shown", "mean IoU", _bins(totals.iou_pairs(rows))),
    ]
    sheets.write(output / "reliability.png", diagram(plots))


def _bins(pairs: Sequence[tuple[float, float]]) -> list[calibration.Bin]:
    return calibration.bins(pairs)


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "config": options.config,
        "set": options.set,
        "queries": hashlib.sha256(options.queries.read_bytes()).hexdigest(),
    }


def measure(options: argparse.Namespace, console: Console, progress: Console) -> int:
    """Run, tell, keep; what is finished is told also where the run is broken off.

    Returns:
        Exit code: 1 where a sentence failed or the run was broken off.
    """
    todo = tasks(options)
    config = configs.load(options.config, options.set)
    kept = runs.Kept(options.output, _settings(options), options.resume)
    left = [task for task in todo if task.position not in kept.rows]
    broken: str | None = None
    try:
        for row in runs.run(left, config, options.jobs):
            kept.add(row)
            progress.print(report.progress(row, len(kept.rows), len(todo)), soft_wrap=True)
    except KeyboardInterrupt:
        broken = "aborted"
    except StreamSegError as error:
        broken = str(error)
    asked = {task.position for task in todo}
    rows = [row for row in kept.in_order() if row.position in asked]
    if rows:
        _tell(rows, options, console)
    if broken is not None:
        print(f"{broken}: {len(rows)} of {len(todo)} sentences are done", file=sys.stderr)
    return 1 if broken is not None or any(row.error is not None for row in rows) else 0


def _tell(rows: Sequence[SentenceScore], options: argparse.Namespace, console: Console) -> None:
    figures = report.tell(rows, console)
    asked = {key: getattr(options, key) for key in ("config", "set", "only", "kinds", "jobs")}
    asked["clips"] = len({row.clip for row in rows})
    if options.output is not None:
        draw(rows, options.config, options.output)
        report.keep(options.output / "real.json", {**asked, "figures": figures}, rows)
    sentences = [report.compact(row) for row in rows]
    machine.report("real", {**asked, "figures": figures, "sentences": sentences}, options.json)


def _console(file: TextIO) -> Console:
    """As wide as the terminal; elsewhere wide enough for the table."""
    return Console(file=file, width=None if file.isatty() else _WIDTH)


def main(words: Sequence[str] | None = None) -> int:
    """
    Returns:
        Exit code: 0 done, 1 failed, 2 wrong usage or config.
    """
    options = _options(words)
    try:
        return measure(options, _console(sys.stdout), _console(sys.stderr))
    except StreamSegError as error:
        print(f"streamseg.benchmarks.real: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
