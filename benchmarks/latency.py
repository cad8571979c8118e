"""End to end over a file: frames per second with every sink writing, by number of objects.

python -m streamseg.benchmarks.latency --config classical --objects 1 4
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from streamseg import StreamSegmenter, sinks, synthetic
from streamseg.benchmarks import clips, machine


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="classical")
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--runs", type=int, default=3, help="the median run is reported")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    width, height = (int(part) for part in options.size.split("x"))
    rows = []
    for objects in options.objects:
        runs = [
            measure(options.config, objects, options.frames, (width, height))
            for _ in range(options.runs)
        ]
        rows.append(sorted(runs, key=lambda run: float(run["fps"]))[len(runs) // 2])
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
    machine.report("latency", {"size": options.size, "rows": rows}, options.json)


if __name__ == "__main__":
    main()
