"""What a finished run says to a person, from its summary; knows nothing of how it was run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from streamseg.sinks.output.files import as_text
from streamseg.sinks.output.results import OF_SINK
from streamseg.sinks.status import printable
from streamseg.types import ReasonerState

_GROUNDINGS_SHOWN = 8


def report(summary: Mapping[str, Any], masked: int, output: Path | None) -> str:
    """A few lines on speed, groundings and files.

    Args:
        summary: As `StreamSegmenter.summary` gives it.
        masked: Frames that had a mask.
        output: The folder that was written to, None when nothing was.
    """
    if not summary["frames"]:
        files = [] if output is None else _files(summary, output)
        return "\n".join(["stopped before the first frame", *files])
    lines = [_frames(summary, masked), *_latency(summary), *_groundings(summary)]
    lines += _reasoner(summary.get("reasoner", {}))
    lines += _files(summary, output)
    return "\n".join(lines)


def _frames(summary: Mapping[str, Any], masked: int) -> str:
    frames = summary["frames"]
    line = f"{frames} frame{'' if frames == 1 else 's'}"
    if summary["fps"]:  # of one frame there is no rate
        line += f" at {summary['fps']:.1f} fps"
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
        if summary.get("reasoner", {}).get("state") == ReasonerState.STARTING:
            yield "the reasoner was still being loaded at the end"
        else:
            yield "the reasoner was not asked, or did not answer before the end"
        return
    yield f"the reasoner answered {total} time{'' if total == 1 else 's'}:"
    for grounding in groundings[:_GROUNDINGS_SHOWN]:
        yield f"  frame {grounding['frame']}, {grounding['reason']}: {_answer(grounding)}"
    if total > _GROUNDINGS_SHOWN:
        yield f"  and {total - _GROUNDINGS_SHOWN} more"


def _reasoner(reasoner: Mapping[str, Any]) -> Iterator[str]:
    """A word on a reasoner that failed: what it did not say is not "nothing matches"."""
    failures, last = reasoner.get("failures", 0), printable(str(reasoner.get("last_failure")))
    if not failures:
        return
    times = f"{failures} time{'' if failures == 1 else 's'}"
    if reasoner["state"] == ReasonerState.READY:
        yield f"the reasoner failed {times} and was started again: {last}"
    else:
        yield (
            f"the reasoner failed {times} and was {reasoner['state']} at the end, so that frames "
            f"without masks need not mean that nothing matches: {last}"
        )


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


def _files(summary: Mapping[str, Any], output: Path | None) -> Iterator[str]:
    """What this run wrote, and nothing else that lies there; then what it could not."""
    if output is None:
        yield "nothing was kept: give --output DIR for masks.jsonl, overlay.mp4 and summary.json"
        return
    sinks = {name: summary["sinks"][name] for name in OF_SINK if name in summary.get("sinks", {})}
    whole = [name for name, told in sinks.items() if _wrote(name, told)]
    where = [as_text(output / OF_SINK[name]) + _end(sinks[name]) for name in whole]
    nothing = "nothing was written" + ("" if summary["frames"] else ": no frame came")
    yield f"wrote {', '.join(where)}" if where else nothing
    for name, told in sinks.items():
        if told["error"] is None and told["dropped"]:
            why = "they came too fast for it, or were refused"
            yield f"{OF_SINK[name]} lacks {told['dropped']} of the frames: {why}"


def _wrote(name: str, told: Mapping[str, Any]) -> bool:
    if told["error"] is None:
        return bool(told["written"])
    return told.get("last_frame") is not None


def _end(told: Mapping[str, Any]) -> str:
    return "" if told["error"] is None else f" (up to frame {told['last_frame']})"
