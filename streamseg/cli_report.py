"""What a finished run says to a person, from its summary; knows nothing of how it was run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from streamseg.sinks.status import printable

_GROUNDINGS_SHOWN = 8


def report(summary: Mapping[str, Any], masked: int, output: Path | None) -> str:
    """A few lines on speed, groundings and files.

    Args:
        summary: As `StreamSegmenter.summary` gives it.
        masked: Frames that had a mask.
        output: The folder that was written to, None when nothing was.
    """
    lines = [_frames(summary, masked), *_latency(summary), *_groundings(summary)]
    lines.append(_files(output))
    return "\n".join(lines)


def _frames(summary: Mapping[str, Any], masked: int) -> str:
    frames = summary["frames"]
    line = f"{frames} frame{'' if frames == 1 else 's'} at {summary['fps']:.1f} fps"
    line += f", masks on {masked}"
    dropped = {cause: count for cause, count in summary.get("dropped", {}).items() if count}
    if dropped:
        causes = ", ".join(f"{count} {cause}" for cause, count in dropped.items())
        line += f", dropped {sum(dropped.values())} ({causes})"
    return line


def _latency(summary: Mapping[str, Any]) -> Iterator[str]:
    latency = summary.get("latency", {}).get("latency")
    if latency and latency["count"]:
        yield (
            f"latency: p50 {latency['p50_ms']:.1f} ms, p95 {latency['p95_ms']:.1f} ms, "
            f"p99 {latency['p99_ms']:.1f} ms"
        )


def _groundings(summary: Mapping[str, Any]) -> Iterator[str]:
    groundings: Sequence[Mapping[str, Any]] = summary.get("groundings", [])
    total = summary.get("groundings_total", len(groundings))
    if not total:
        yield "the reasoner was not asked, or did not answer before the end"
        return
    yield f"the reasoner answered {total} time{'' if total == 1 else 's'}:"
    for grounding in groundings[:_GROUNDINGS_SHOWN]:
        yield f"  frame {grounding['frame']}, {grounding['reason']}: {_answer(grounding)}"
    if total > _GROUNDINGS_SHOWN:
        yield f"  and {total - _GROUNDINGS_SHOWN} more"


def _answer(grounding: Mapping[str, Any]) -> str:
    if grounding.get("error"):
        return f"no answer ({printable(str(grounding['error']))})"
    targets = grounding.get("targets", [])
    nothing = "cannot tell" if grounding.get("cannot_tell") else "nothing matches"
    found = f"{len(targets)} found" if targets else nothing
    labels = sorted({printable(target["label"]) for target in targets if target.get("label")})
    if labels:
        found += f" ({', '.join(labels)})"
    return f"{found}, {grounding.get('seconds', 0.0):.2f} s"


def _files(output: Path | None) -> str:
    if output is None:
        return "nothing was kept: give --output DIR for masks.jsonl, overlay.mp4 and summary.json"
    names = ("masks.jsonl", "overlay.mp4", "masks", "summary.json")
    written = [str(output / name) for name in names if (output / name).exists()]
    return f"wrote {', '.join(written)}"
