"""A live stream on the clock: how late its masks are, and how soon the first object shows.

Knows what is measured of one run; `latency` chooses the runs and prints them.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from streamseg import StreamSegmenter, sinks, synthetic
from streamseg.clock import RealClock
from streamseg.config import ReasoningConfig
from streamseg.reasoning.worker.client import ReasoningWorker
from streamseg.types import Event

PATIENCE_S = 60.0
"""How long to wait for the first mask."""


def watch(config: str, seconds: float, size: str, fps: float, *, written: bool) -> dict[str, Any]:
    """Follow one object by its words for `seconds` from its first mask on.

    Args:
        size: As "640x360".
        written: Whether every sink writes.

    Returns:
        Seconds from the start to the first frame, answer and mask, and from that answer to that
        mask; milliseconds of latency from the first mask on, and their p99 in medians.
    """
    segmenter = StreamSegmenter.from_config(config)
    frames = round((PATIENCE_S + seconds + 1) * fps)
    spec = f"synthetic:easy?seed=1&live=1&size={size}&fps={fps}&frames={frames}"
    words = synthetic.scene("easy", 1, frames=1).expressions[0].text
    answered: list[float] = []
    latencies: list[float] = []
    shown: float | None = None
    first: float | None = None
    started = time.monotonic()

    def listen(event: Event) -> None:
        if event.kind == "grounded" and "found" in event.message:
            answered.append(time.monotonic() - started)

    with tempfile.TemporaryDirectory() as folder:
        outputs = sinks.build(segmenter.config.sinks, Path(folder) / "out") if written else ()
        for result in segmenter.run(spec, words, sinks=outputs, on_event=listen):
            now = time.monotonic() - started
            first = now if first is None else first
            if shown is None and any(view.box is not None for view in result.masks.objects):
                shown = now
            if shown is not None:
                latencies.append(result.timings_ms["latency"])
            if now > (PATIENCE_S if shown is None else shown + seconds):
                segmenter.stop()
    summary = segmenter.summary()
    return {
        "sinks": written,
        "frames": summary["frames"],
        "overtaken": summary["dropped"].get("overtaken", 0),
        "first_frame_s": first,
        "first_answer_s": answered[0] if answered else None,
        "first_mask_s": shown,
        "answer_to_mask_s": None if shown is None else shown - _last_before(answered, shown),
        "latency": _percentiles(latencies),
    }


def start_reasoner() -> dict[str, float | None]:
    """Start the reasoner's process once: seconds until it is ready, and its processor's seconds."""
    started = time.monotonic()
    with ReasoningWorker(ReasoningConfig(), RealClock()) as worker:
        worker.wait_ready(PATIENCE_S)
        ready_s = time.monotonic() - started
        return {"ready_s": ready_s, "ready_cpu_s": _processor_s(worker.pid)}


def _last_before(times: list[float], limit: float) -> float:
    return max((at for at in times if at <= limit), default=limit)


def _percentiles(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    p50, p95, p99 = (float(value) for value in np.percentile(values, (50, 95, 99)))
    return {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "ratio": p99 / p50}


def _processor_s(pid: int | None) -> float | None:
    """What a process has used so far; None where the system keeps no such file."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
