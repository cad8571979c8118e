"""What a run says of itself at its end: counts, latencies, every grounding, config and versions."""

from __future__ import annotations

import platform
from collections import deque
from importlib import metadata
from typing import Any

from streamseg import __version__
from streamseg.config import Config
from streamseg.sources import Source
from streamseg.telemetry import Telemetry
from streamseg.types import Frame, Grounding, GroundingMode, Query, TriggerReason

MAX_GROUNDINGS = 1000
"""The newest that are kept word for word, so that an endless stream keeps constant memory."""

_PACKAGES = ("numpy", "opencv-python-headless", "av", "torch", "transformers", "onnxruntime")


class GroundingLog:
    """The groundings of a run: the newest in full, all of them counted."""

    def __init__(self) -> None:
        self._newest: deque[dict[str, Any]] = deque(maxlen=MAX_GROUNDINGS)
        self._total = 0
        self._tokens = 0

    def add(
        self,
        frame: Frame,
        reason: TriggerReason,
        mode: GroundingMode,
        difficulty: float,
        waited_s: float,
        grounding: Grounding | None,
        error: str | None,
    ) -> None:
        """Note one answer, or the lack of one.

        Args:
            waited_s: From the request to the answer.
            grounding: None when the reasoner failed, with `error` saying how.
        """
        self._total += 1
        entry: dict[str, Any] = {
            "frame": frame.index,
            "pts_s": round(frame.pts_s, 3),
            "reason": str(reason),
            "mode": str(mode),
            "difficulty": round(difficulty, 2),
            "waited_s": round(waited_s, 4),
        }
        if grounding is None:
            entry["error"] = error
        else:
            self._tokens += grounding.tokens
            entry |= {
                "seconds": round(grounding.seconds, 4),
                "tokens": grounding.tokens,
                "reasoning": grounding.reasoning,
                "targets": [
                    {
                        "label": target.label,
                        "score": round(target.score, 3),
                        "box": [round(v, 1) for v in target.box],
                    }
                    for target in grounding.targets
                ],
            }
        self._newest.append(entry)

    def summary(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "groundings": list(self._newest),
            "groundings_total": self._total,
            "tokens_total": self._tokens,
        }


def describe_run(
    config: Config,
    source: Source,
    telemetry: Telemetry,
    groundings: GroundingLog,
    query: Query | None,
) -> dict[str, Any]:
    """The content of summary.json, in plain values."""
    told = telemetry.summary()
    info = source.info
    return {
        "source": {
            "name": info.name,
            "live": info.live,
            "fps": info.fps,
            "width": info.width,
            "height": info.height,
        },
        "query": None if query is None else query.text,
        "frames": told["frames"],
        "fps": told["fps"],
        "dropped": dict(source.dropped),
        "answers_dropped": told["dropped"],
        "counters": told["counters"],
        "latency": told["latency"],
        **groundings.summary(),
        "config": config.model_dump(mode="json"),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Of streamseg, Python, the system, and the libraries that are installed."""
    found = {"streamseg": __version__, "python": platform.python_version()}
    found["platform"] = platform.platform()
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
