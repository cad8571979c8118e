"""Random faults on a live source, and whether the stream outlives them.

    python -m streamseg.benchmarks.faults --minutes 10 --seed 1
    python -m streamseg.benchmarks.faults --reconnects 20 --busy 4 --outage 60

A camera of our own shows a scene whose truth is known, through a proxy that fails on purpose; the
product runs on it in this process, by its public API, and every result is judged. With
--reconnects there is one kind of fault alone, and the table has a line for each return. A table for
people, then one JSON line for machines; exit code 1 when a bound is broken. Needs the extra `dev`.
"""

from __future__ import annotations

import argparse
import faulthandler
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from streamseg.benchmarks import machine, neighbours
from streamseg.benchmarks.faults import stage, verdict
from streamseg.benchmarks.faults.mischief import Bench, make_mischief
from streamseg.benchmarks.faults.stage import Outcome, Script
from streamseg.benchmarks.faults.verdict import Bounds, Finding

_PATIENCE_S = 30.0
_HANG_S = 300.0  # beyond all that the script may take: then it says where it stands, and ends


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    bounds = Bounds()
    parser = argparse.ArgumentParser(prog="streamseg.benchmarks.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, metavar="M")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="the order of the faults")
    parser.add_argument("--pace", type=float, default=3.0, metavar="S", help="rest between faults")
    parser.add_argument("--reconnects", type=int, metavar="N", help="N outages in place of faults")
    parser.add_argument("--outage", type=float, default=5.0, metavar="S", help="how long each is")
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="busy processes beside")
    parser.add_argument("--config", default="classical", metavar="NAME")
    parser.add_argument("--output", type=Path, metavar="DIR", help="keep what the run writes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the JSON line")
    for name, words_of in (("picture_s", "picture"), ("mask_s", "masks"), ("gap_s", "gap")):
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=float,
            default=getattr(bounds, name),
            metavar="S",
            help=f"bound on the {words_of}: {getattr(bounds, name):g}",
        )
    return parser.parse_args(words)


def reconnects(bench: Bench, times: int, outage_s: float) -> dict[str, int]:
    """Take the camera away so many times: its service ended, its machine without power, in turns.

    Returns:
        How often each was done.
    """
    ways = {"refused": bench.proxy.refuse, "silent": bench.proxy.fall_silent}
    done = dict.fromkeys(ways, 0)
    for turn in range(times):
        kind = tuple(ways)[turn % len(ways)]
        with bench.judge.trouble(kind, new_showing=True):
            ways[kind]()
            bench.rest(outage_s, outage_s)
            bench.proxy.come_back()
        done[kind] += 1
        bench.judge.wait_until_back(_PATIENCE_S)
        bench.rest(1.0, 2.0)
        if bench.stopping.is_set():
            break
    return done


def _script(options: argparse.Namespace) -> tuple[Script, float]:
    """What is done to the run, and the seconds that it may take."""
    if options.reconnects is not None:
        return (
            lambda bench: reconnects(bench, options.reconnects, options.outage),
            options.reconnects * (options.outage + 2 + _PATIENCE_S),
        )
    seconds = options.minutes * 60
    return lambda bench: make_mischief(bench, seconds, options.pace, _PATIENCE_S), seconds


def _table(outcome: Outcome, each: bool) -> Table:
    """The returns, one a line or by kind."""
    table = Table("trouble", "times", "picture, median", "slowest", "masks, median", "slowest")
    kinds: dict[str, list[tuple[float, float]]] = {name: [] for name in outcome.done}
    for number, back in enumerate(outcome.judge.returns):
        if not back.disturbed:
            name = f"{number + 1} {back.kind}" if each else back.kind
            kinds.setdefault(name, []).append((back.picture_s, back.mask_s))
    for name, times in kinds.items():
        cells = [_seconds(column) for column in zip(*times, strict=True)] or [("", "")] * 2
        count = outcome.done.get(name, len(times))
        if count and not (each and name in outcome.done):
            table.add_row(name, str(count), *cells[0], *cells[1])
    return table


def _seconds(values: Sequence[float]) -> tuple[str, str]:
    return f"{statistics.median(values):.2f} s", f"{max(values):.2f} s"


def _findings(findings: Sequence[Finding]) -> Table:
    table = Table("bound", "found", "")
    for finding in findings:
        mark = "[green]holds[/]" if finding.holds else "[red]broken[/]"
        table.add_row(finding.about, finding.found, mark)
    return table


def _figures(outcome: Outcome, findings: Sequence[Finding]) -> dict[str, Any]:
    seen = outcome.judge
    return {
        "seconds": round(outcome.seconds, 1),
        "results": seen.results,
        "damaged": seen.damaged,
        "tracking": seen.tracking,
        "right": seen.right,
        "bad": dict(seen.bad),
        "longest_gap_s": round(seen.longest_gap_s, 3),
        "faults": outcome.done,
        "events": dict(outcome.events),
        "returns": [
            [back.kind, _or_none(back.picture_s), _or_none(back.mask_s), back.disturbed]
            for back in seen.returns
        ],
        "start": outcome.start._asdict(),
        "peak": outcome.peak._asdict(),
        "end": outcome.end._asdict(),
        "rss_mib_every_10_s": [each.rss_mib for each in outcome.course],
        "dropped": outcome.summary.get("dropped"),
        "counters": outcome.summary.get("counters"),
        "latency": outcome.summary.get("latency"),
        "broken": [finding.about for finding in findings if not finding.holds],
    }


def _or_none(seconds: float) -> float | None:
    return None if seconds == float("inf") else round(seconds, 3)


def main(words: Sequence[str] | None = None) -> int:
    """Run it; the exit code."""
    options = _options(words)
    script, seconds = _script(options)
    faulthandler.dump_traceback_later(seconds + _HANG_S, exit=True)
    with tempfile.TemporaryDirectory() as folder, neighbours.busy(options.busy):
        output = options.output or Path(folder) / "out"
        outcome = stage.perform(options.config, options.seed, output, script)
        bounds = Bounds(options.picture_s, options.mask_s, options.gap_s)
        findings = verdict.judge(outcome, bounds, output)
    faulthandler.cancel_dump_traceback_later()
    console = Console(width=110)
    console.print(_table(outcome, each=options.reconnects is not None))
    console.print(_findings(findings))
    if outcome.crash:
        console.print(outcome.crash, markup=False)
    asked = {"seed": options.seed, "busy": options.busy, "config": options.config}
    machine.report("faults", asked | _figures(outcome, findings), options.json)
    return 0 if all(finding.holds for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
