"""Referents that shift: is the right one shown on every frame, and how soon after a change?

    python -m streamseg.benchmarks.shifts --scenes 12

Causal J&F over the frames on which somebody is meant, each by its own truth (ORVOS, arXiv
2604.11411); frames that show a mask while nobody is meant; and hand-overs, from the moment at
which another is meant to the frame that shows it. A table for people, then one JSON line for
machines. Tune on `--split train`, and report on `test`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from streamseg import StreamSegmenter, config, synthetic
from streamseg.benchmarks import machine
from streamseg.clock import VirtualClock
from streamseg.evaluation import metrics
from streamseg.sources.synthetic import SyntheticSource
from streamseg.synthetic import Expression, Scene
from streamseg.types import Labels, Mask

SCENE = "shifts"
_SHOWN_IOU = 0.5
"""From which the new one counts as shown."""


@dataclass(frozen=True)
class Trial:
    """One sentence over one scene.

    Attributes:
        jf: Mean J&F over the frames on which somebody is meant.
        early: Frames that show a mask before anybody was ever meant, and how many there are.
        idle: The same of all frames on which nobody is meant.
        hand_overs_s: From each change to the first frame that shows who is meant since; None where
            that did not happen before the next change.
    """

    seed: int
    kind: str
    text: str
    jf: float
    early: tuple[int, int]
    idle: tuple[int, int]
    hand_overs_s: tuple[float | None, ...]


def run(scene: Scene, expression: Expression, seed: int, segmenter: StreamSegmenter) -> Trial:
    """Follow one sentence through the public door, on the virtual clock."""
    source = SyntheticSource(scene, VirtualClock())
    shown = (result.masks.labels for result in segmenter.run(source, expression.text))
    return judge(scene, expression, seed, shown)


def judge(scene: Scene, expression: Expression, seed: int, shown: Iterator[Labels]) -> Trial:
    """Hold the index maps (H, W) of every frame against who is meant on it."""
    scores: list[float] = []
    early, idle = [0, 0], [0, 0]
    overlaps: list[float] = []
    grounded = False
    for index, labels in enumerate(shown):
        ids = expression.at(index / scene.fps)
        mask: Mask = labels > 0
        truth = np.isin(scene.frame(index)[1], ids)
        grounded = grounded or bool(ids)
        if ids:
            region = metrics.region(mask, truth)
            scores.append((region + metrics.boundary(mask, truth)) / 2)
            overlaps.append(region)
            continue
        overlaps.append(0.0)
        for counts in (idle, *([] if grounded else [early])):
            counts[0] += bool(mask.any())
            counts[1] += 1
    delays = tuple(_delays(expression, overlaps, scene.fps))
    return Trial(
        seed,
        expression.kind.value,
        expression.text,
        fmean(scores) if scores else 0.0,
        (early[0], early[1]),
        (idle[0], idle[1]),
        delays,
    )


def _delays(expression: Expression, overlaps: list[float], fps: float) -> Iterator[float | None]:
    """Of every change after the beginning to somebody."""
    ends = [(len(overlaps) / fps, ())]
    for (start_s, ids), (end_s, _) in pairwise([*expression.spans, *ends]):
        if start_s == 0.0 or not ids:
            continue
        frames = range(round(start_s * fps), min(round(end_s * fps), len(overlaps)))
        first = next((k for k in frames if overlaps[k] >= _SHOWN_IOU), None)
        yield None if first is None else max(0.0, first / fps - start_s)


def figures_of(trials: list[Trial]) -> dict[str, Any]:
    """Means and medians over trials; a hand-over that did not come counts as not soon."""
    delays = [delay for trial in trials for delay in trial.hand_overs_s]
    soon = [9.9 if delay is None else delay for delay in delays]
    early = [sum(trial.early[k] for trial in trials) for k in (0, 1)]
    idle = [sum(trial.idle[k] for trial in trials) for k in (0, 1)]
    return {
        "trials": len(trials),
        "jf": fmean(trial.jf for trial in trials),
        "hand_overs": len(delays),
        "hand_over_median_s": median(soon) if soon else None,
        "hand_overs_missed": delays.count(None),
        "early_share": early[0] / early[1] if early[1] else None,
        "idle_share": idle[0] / idle[1] if idle[1] else None,
    }


def tell(trials: list[Trial], console: Console) -> dict[str, Any]:
    """Print a table by kind, and the worst; return the figures."""
    table = Table("kind", "trials", "J&F", "changes", "median", "missed", "early", "idle")
    found: dict[str, Any] = {}
    for kind in ("all", *dict.fromkeys(trial.kind for trial in trials)):
        rows = [trial for trial in trials if kind in ("all", trial.kind)]
        figures = found[kind] = figures_of(rows)
        table.add_row(kind, *(_cell(value) for value in figures.values()))
    console.print(table)
    for trial in sorted(trials, key=lambda each: each.jf)[:8]:
        console.print(f"  {trial.jf:.2f}  seed {trial.seed}: {trial.text}", highlight=False)
    return found


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="classical")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=VALUE")
    parser.add_argument("--scenes", type=int, default=12, help="seeds 1 to N")
    parser.add_argument("--split", default="test", choices=synthetic.SPLITS)
    parser.add_argument("--size", default="640x360", metavar="WIDTHxHEIGHT")
    parser.add_argument("--json", type=Path, help="keep the JSON line")
    options = parser.parse_args()
    width, height = (int(part) for part in options.size.split("x"))
    segmenter = StreamSegmenter(config.load(options.config, options.set))
    trials: list[Trial] = []
    for seed in track(range(1, options.scenes + 1), "scenes", console=Console(stderr=True)):
        scene = synthetic.scene(SCENE, seed, options.split, (width, height))
        trials += [run(scene, each, seed, segmenter) for each in scene.expressions]
    found = tell(trials, Console())
    asked = {key: getattr(options, key) for key in ("config", "split", "size", "scenes")}
    detail = [asdict(trial) for trial in trials]
    report = {**asked, "figures": found, "trials": detail}
    machine.report("shifts", report, options.json)


if __name__ == "__main__":
    main()
