"""The two speeds: does D tell what fails, how seldom is the deep one asked, and what do both cost.

    python -m streamseg.benchmarks.speeds difficulty --sentences 500
    python -m streamseg.benchmarks.speeds calls --scenes 5
    python -m streamseg.benchmarks.speeds live --questions 20

The deep reasoner is one that knows the truth and takes its time. Tune on `--split train`, report on
`test`. A table for people, then one JSON line for machines.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from streamseg import config as configs
from streamseg import synthetic
from streamseg.benchmarks import machine
from streamseg.benchmarks.speeds import live, policies, sentences


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="streamseg.benchmarks.speeds", description=__doc__)
    parser.add_argument("what", choices=["difficulty", "calls", "live"])
    parser.add_argument("--config", default="classical", metavar="NAME")
    parser.add_argument("--split", default="test", choices=synthetic.SPLITS)
    parser.add_argument("--levels", nargs="+", default=list(sentences.LEVELS))
    parser.add_argument("--sentences", type=int, default=500)
    parser.add_argument("--scenes", type=int, default=5, help="seeds 1 to N of each level")
    parser.add_argument("--size", default="640x360", metavar="WIDTHxHEIGHT")
    parser.add_argument("--questions", type=int, default=20)
    parser.add_argument("--busy", type=float, default=1.5, help="seconds of a core a deep answer")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    """Measure one of the three and print it."""
    options = _options()
    width, height = (int(part) for part in options.size.split("x"))
    console = Console(stderr=True)
    found: dict[str, Any]
    if options.what == "difficulty":
        config = configs.load(options.config)
        asked = sentences.ask_all(config, options.sentences, options.split, options.levels)
        told = list(track(asked, "sentences", total=options.sentences, console=console))
        found = sentences.figures(told)
    elif options.what == "calls":
        jobs = policies.play_all(
            options.config, options.levels, options.scenes, options.split, (width, height)
        )
        total = 2 * options.scenes * len(options.levels) * len(policies.POLICIES)
        played = list(track(jobs, "clips", total=total, console=console))
        found = {**policies.figures(played), "played": [asdict(each) for each in played]}
    else:
        found = live.watch(options.config, (width, height), options.questions, options.busy)
    for name, value in found.items():
        if name != "played":
            Console().print(f"{name}: {value}", highlight=False)
    asked_for = {key: getattr(options, key) for key in ("config", "split", "size")}
    machine.report(f"speeds/{options.what}", {**asked_for, "figures": found}, options.json)


if __name__ == "__main__":
    main()
