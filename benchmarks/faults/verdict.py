"""What a run under faults must hold to, and whether it did; the bounds stand here alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import av

from streamseg.benchmarks.faults.stage import BRITTLE, Outcome
from streamseg.sinks.masks import read_masks


@dataclass(frozen=True)
class Bounds:
    """Attributes:
    picture_s, mask_s: From a source's return to the first picture, and to right masks.
    gap_s: Longest silence while the source delivers.
    growth_mib: Of resident memory, from a minute after the begin to the end.
    right: Least share of whole pictures with tracked masks in which they are the sentence's.
    """

    picture_s: float = 3.0
    mask_s: float = 3.0
    gap_s: float = 1.0
    growth_mib: float = 60.0
    right: float = 0.9


class Finding(NamedTuple):
    """One bound: what it is about, what was found in words, and whether that holds."""

    about: str
    found: str
    holds: bool


def judge(outcome: Outcome, bounds: Bounds, output: Path) -> list[Finding]:
    """All bounds, in the order of how bad it is to break them."""
    crash, bad = outcome.crash.strip(), outcome.judge.bad
    examples = "; ".join(outcome.judge.examples.values())
    gap_s = outcome.judge.longest_gap_s
    files = broken_files(output)
    return [
        Finding("no crash", crash.splitlines()[-1] if crash else "none", not crash),
        Finding("no bad mask", f"{dict(bad)}: {examples}" if bad else "none", not bad),
        _right(outcome, bounds),
        Finding("longest gap", f"{gap_s:.2f} s of {bounds.gap_s:g} s", gap_s <= bounds.gap_s),
        *_returns(outcome, bounds),
        *_vitals(outcome, bounds),
        Finding("what was written", "; ".join(files) or "whole", not files),
    ]


def _right(outcome: Outcome, bounds: Bounds) -> Finding:
    tracking = outcome.judge.tracking
    share = outcome.judge.right / max(1, tracking)
    return Finding(
        "masks of what was asked for",
        f"{share:.1%} of {tracking} whole pictures with tracked masks",
        tracking > 0 and share >= bounds.right,
    )


def _returns(outcome: Outcome, bounds: Bounds) -> list[Finding]:
    found = []
    limits = {"picture": bounds.picture_s, "mask": bounds.mask_s}
    calm = [each for each in outcome.judge.returns if not each.disturbed]
    for what, limit_s in limits.items():
        times = [each.picture_s if what == "picture" else each.mask_s for each in calm]
        late = sum(seconds > limit_s for seconds in times)
        words = (
            f"{len(times)} returns, the slowest {max(times, default=0.0):.2f} s of {limit_s:g} s"
        )
        found.append(
            Finding(f"{what} after a return", words + f", {late} late" * bool(late), not late)
        )
    return found


def _vitals(outcome: Outcome, bounds: Bounds) -> list[Finding]:
    start, peak, end, settled = outcome.start, outcome.peak, outcome.end, outcome.settled
    grown = 0.0 if settled is None else end.rss_mib - settled.rss_mib
    memory = f"{_course(start.rss_mib, peak.rss_mib, end.rss_mib)} MiB, {grown:+.1f} since settled"
    threads = _course(start.threads, peak.threads, end.threads)
    files = _course(start.files, peak.files, end.files)
    left = ", ".join(f"{count} × {what}" for what, count in sorted(outcome.left.items()))
    nothing_left = end.threads <= start.threads and end.files <= start.files
    return [
        Finding("memory", memory, grown <= bounds.growth_mib),
        Finding("threads, open files", f"{threads}; {files}", nothing_left),
        Finding("left behind", left or "nothing", nothing_left),
    ]


def _course(start: float, peak: float, end: float) -> str:
    return f"{start:g} before, {peak:g} at most, {end:g} after"


def broken_files(output: Path) -> list[str]:
    """What is not as a run must leave it, in words."""
    checks = {"masks.jsonl": _masks, "overlay.mp4": _overlay, "summary.json": _summary}
    wrong = []
    for name, check in checks.items():
        try:
            check(output / name)
        except Exception as error:  # noqa: BLE001 - whatever a reader may raise, the file is broken
            wrong.append(f"{name}: {type(error).__name__}: {error}")
    return wrong


def _masks(path: Path) -> None:
    last = -1
    for record in read_masks(path):
        if record["frame"] <= last:
            raise ValueError(f"frame {record['frame']} after frame {last}")
        last = record["frame"]
    if last < 0:
        raise ValueError("no record")


def _overlay(path: Path) -> None:
    with av.open(str(path)) as container:
        if not any(True for _ in container.decode(video=0)):
            raise ValueError("no picture")


def _summary(path: Path) -> None:
    summary: dict[str, Any] = json.loads(path.read_text("utf-8"))
    if not summary["frames"]:
        raise ValueError("no frames")
    for name, sink in summary["sinks"].items():
        if sink["error"] and not name.startswith(BRITTLE):
            raise ValueError(f"the sink {name} failed: {sink['error']}")
