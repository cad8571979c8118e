"""Twenty thousand frames with objects coming and going: does resident memory stand still?

python -m streamseg.benchmarks.soak --frames 20000
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import track

from streamseg import StreamSegmenter
from streamseg.benchmarks import machine


def resident_mib() -> float:
    """Resident memory of this process."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("this benchmark reads /proc/self/status: run it on Linux")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="classical")
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--warm", type=int, default=1_000)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--query", default="all red things")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    spec = f"synthetic:endless?seed=1&frames={options.frames}&size={options.size}"
    segmenter = StreamSegmenter.from_config(options.config)
    samples: list[tuple[int, float]] = []
    shown, ids = 0, set()
    results = segmenter.run(spec, options.query)
    for result in track(results, description="soak", total=options.frames):
        index = result.frame.index
        seen = [view.id for view in result.masks.objects if view.box is not None]
        shown += bool(seen)
        ids.update(seen)
        if index >= options.warm and index % 500 == 0:
            samples.append((index, resident_mib()))
    summary = segmenter.summary()
    figures = {
        "config": options.config,
        "frames": summary["frames"],
        "fps": summary["fps"],
        "frames_with_masks": shown,
        "ids": len(ids),
        "groundings": summary["groundings_total"],
        "start_mib": round(samples[0][1], 1),
        "end_mib": round(samples[-1][1], 1),
        "growth_mib": round(samples[-1][1] - samples[0][1], 1),
        "peak_growth_mib": round(max(mib for _, mib in samples) - samples[0][1], 1),
        "samples": [[index, round(mib, 1)] for index, mib in samples],
    }
    Console().print({key: value for key, value in figures.items() if key != "samples"})
    machine.report("soak", figures, options.json)


if __name__ == "__main__":
    main()
