"""End to end: frames per second over a file, or live how late masks are and how soon they show.

    python -m streamseg.benchmarks.latency --config classical --objects 1 4
    python -m streamseg.benchmarks.latency --live --busy 4

Over a file every sink writes. Live, runs without sinks and with all of them take turns; the figure
is the latency's 99th percentile in medians. `--busy` adds programs that compute without a pause.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from streamseg import StreamSegmenter, sinks, synthetic
from streamseg.benchmarks import clips, live, machine, neighbours

_SECONDS = ("ready_s", "ready_cpu_s", "first_answer_s", "first_mask_s", "answer_to_mask_s")
_STAGES = ("p50_ms", "p95_ms", "p99_ms")


def measure(config: str, objects: int, frames: int, size: tuple[int, int]) -> dict[str, Any]:
    """Run a clip of one scene with `objects` targets given by their true boxes."""
    scene = _scene(objects, frames, size)
    boxes = list(clips.boxes(scene).values())[:objects]
    segmenter = StreamSegmenter.from_config(config)
    with tempfile.TemporaryDirectory() as folder:
        path = clips.encode(scene, Path(folder) / "clip.mp4")
        outputs = sinks.build(segmenter.config.sinks, Path(folder) / "out")
        shown = 0
        for number, result in enumerate(segmenter.run(str(path), sinks=outputs)):
            if number == 0:
                for box in boxes:
                    segmenter.add_target(box)
            shown += sum(view.box is not None for view in result.masks.objects)
    summary = segmenter.summary()
    return {
        "config": config,
        "objects": objects,
        "shown": round(shown / max(1, summary["frames"] - 1), 2),
        "frames": summary["frames"],
        "fps": summary["fps"],
        "latency": summary["latency"],
    }


def _scene(objects: int, frames: int, size: tuple[int, int]) -> synthetic.Scene:
    """The first test scene with enough objects in it."""
    for seed in range(1, 100):
        scene = synthetic.scene("easy", seed, size=size, frames=frames)
        if len(clips.boxes(scene)) >= objects:
            return scene
    raise SystemExit(f"no scene shows {objects} objects at once: ask for fewer")


def over_files(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The median run for each number of objects, printed."""
    width, height = (int(part) for part in options.size.split("x"))
    rows = []
    for objects in options.objects:
        runs = [
            measure(options.config, objects, options.frames, (width, height))
            for _ in range(options.runs)
        ]
        rows.append(_median(runs, "fps"))
    table = Table("objects", "shown", "fps", "propagate p50", "latency p50", "latency p99")
    for row in rows:
        stages = row["latency"]
        table.add_row(
            str(row["objects"]),
            f"{row['shown']:.2f}",
            f"{row['fps']:.1f}",
            f"{stages['propagate']['p50_ms']:.1f} ms",
            f"{stages['latency']['p50_ms']:.1f} ms",
            f"{stages['latency']['p99_ms']:.1f} ms",
        )
    Console().print(table)
    return rows


def on_the_clock(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Live: without and with sinks, each the run with the median ratio, printed."""
    rounds: list[list[dict[str, Any]]] = [[], []]
    for _ in range(options.runs):
        for written in (False, True):
            ready = live.start_reasoner()
            run = live.watch(
                options.config, options.seconds, options.size, options.fps, written=written
            )
            rounds[written].append({**run, **ready})
    start = Table(
        "sinks", "reasoner ready", "its CPU", "first answer", "first mask", "answer → mask"
    )
    late = Table("sinks", "latency p50", "p95", "p99", "p99 / p50")
    rows = []
    for runs in rounds:
        seen = [run for run in runs if run["latency"] is not None]
        if not seen:
            raise SystemExit("the object never showed: the machine is too busy to measure")
        row = _median([{**run, "ratio": run["latency"]["ratio"]} for run in seen], "ratio")
        row["ratios"] = [round(run["latency"]["ratio"], 2) for run in seen]
        rows.append(row)
        name = "all" if row["sinks"] else "none"
        start.add_row(name, *(_in_words([run[key] for run in seen], "s", 2) for key in _SECONDS))
        stages = [_in_words([run["latency"][key] for run in seen], "ms", 1) for key in _STAGES]
        late.add_row(name, *stages, f"{row['ratio']:.2f}")
    Console().print(start, late)
    return rows


def _median(runs: list[dict[str, Any]], figure: str) -> dict[str, Any]:
    return sorted(runs, key=lambda run: float(run[figure]))[len(runs) // 2]


def _in_words(values: list[float | None], unit: str, digits: int) -> str:
    """The median of what was measured at all."""
    known = sorted(value for value in values if value is not None)
    return f"{known[len(known) // 2]:.{digits}f} {unit}" if known else "?"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="classical")
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--runs", type=int, default=3, help="the median run is reported")
    parser.add_argument("--live", action="store_true", help="a live source instead of a file")
    parser.add_argument("--seconds", type=float, default=10.0, help="live, from the first mask on")
    parser.add_argument("--fps", type=float, default=30.0, help="live")
    parser.add_argument("--busy", type=int, default=0, help="programs that compute beside it")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with neighbours.busy(options.busy):
        rows = on_the_clock(options) if options.live else over_files(options)
    figures = {"size": options.size, "live": options.live, "busy": options.busy, "rows": rows}
    machine.report("latency", figures, options.json)


if __name__ == "__main__":
    main()
