"""A slow reasoner on a live stream: does the cadence hold, how soon is the mask on the live frame,
and is it the mask that an instant answer would have given?

    python -m streamseg.benchmarks.catchup --delay 1.5

The scene plays in real time. The same scene is run once on the virtual clock with no delay: the
mask at the same frame is what the late one is held against.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from streamseg import StreamSegmenter
from streamseg.benchmarks import machine
from streamseg.types import Event, Mask


def undelayed(config: str, spec: str, query: str, sets: list[str]) -> dict[int, Mask]:
    """Masks by frame index when the answer takes no time."""
    segmenter = StreamSegmenter.from_config(config, sets)
    return {r.frame.index: r.masks.labels > 0 for r in segmenter.run(spec, query)}


def delayed(config: str, spec: str, query: str, delay_s: float, sets: list[str]) -> dict[str, Any]:
    """Run live with a late answer; note when each result came and when the mask appeared."""
    segmenter = StreamSegmenter.from_config(config, [f"reasoning.delay_s={delay_s}", *sets])
    heard: list[tuple[str, float]] = []

    def listen(event: Event) -> None:
        heard.append((event.kind, time.monotonic()))

    came: list[float] = []
    masks: dict[int, Mask] = {}
    first = None
    for result in segmenter.run(f"{spec}&live=1", query, on_event=listen):
        came.append(time.monotonic())
        if result.masks.labels.any():
            masks[result.frame.index] = result.masks.labels > 0
            first = first or came[-1]
    summary = segmenter.summary()
    answered = next((at for kind, at in heard if kind == "grounded"), None)
    return {
        "gaps_s": np.diff(came),
        "masks": masks,
        "answer_to_mask_s": None if first is None or answered is None else first - answered,
        "dropped": summary["dropped"],
        "frames": summary["frames"],
        "replay": summary["latency"].get("replay"),
        "segment": summary["latency"].get("segment"),
    }


def overlap(late: dict[int, Mask], instant: dict[int, Mask], count: int) -> float:
    """Mean IoU over the first `count` frames that show a late mask."""
    values = []
    for index in sorted(late)[:count]:
        a, b = late[index], instant[index]
        values.append(float((a & b).sum() / max(1, (a | b).sum())))
    return float(np.mean(values)) if values else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="classical")
    parser.add_argument("--source", default="synthetic:easy?seed=1&frames=150")
    parser.add_argument("--query", default="the orange thing")
    parser.add_argument("--delay", type=float, default=1.5)
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--set", action="append", default=[], help="a.b=value")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    instant = undelayed(options.config, options.source, options.query, options.set)
    run = delayed(options.config, options.source, options.query, options.delay, options.set)
    interval_s = 1.0 / options.fps
    gaps_s = run.pop("gaps_s")
    masks = run.pop("masks")
    figures = {
        "delay_s": options.delay,
        "answer_to_mask_s": run["answer_to_mask_s"],
        "iou_first_10": overlap(masks, instant, 10),
        "iou_all": overlap(masks, instant, len(masks)),
        "gap_p50_intervals": float(np.percentile(gaps_s, 50) / interval_s),
        "gap_p99_intervals": float(np.percentile(gaps_s, 99) / interval_s),
        "gap_max_intervals": float(gaps_s.max() / interval_s),
        **run,
    }
    table = Table("figure", "value")
    for name, value in figures.items():
        table.add_row(name, f"{value:.3f}" if isinstance(value, float) else str(value))
    Console().print(table)
    machine.report("catchup", figures, options.json)


if __name__ == "__main__":
    main()
