"""What a run says of itself at its end: counts, latencies, every grounding, config and versions."""

from __future__ import annotations

import platform
from collections import Counter, deque
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from typing import Any

from streamseg import __version__
from streamseg.config import Config
from streamseg.loop.telemetry import Telemetry
from streamseg.masking import mask
from streamseg.reasoning.dialogue import Answer, Question
from streamseg.types import Grounding, Query, ReasonerState, SourceInfo, Spared, Speed

MAX_GROUNDINGS = 1000
"""The newest that are kept word for word, so that an endless stream keeps constant memory."""

NOT_STARTED = {"state": str(ReasonerState.STARTING), "failures": 0, "last_failure": None}

_PACKAGES = ("numpy", "opencv-python-headless", "av", "torch", "transformers", "onnxruntime")


class SpeedCalls:
    """What one reasoner was asked, why, and what it took."""

    def __init__(self) -> None:
        self._why: Counter[str] = Counter()
        self._spared: Counter[str] = Counter()
        self._answered = self._errors = 0
        self._seconds = self._waited_s = 0.0

    def ask(self, question: Question) -> None:
        """Count one question."""
        self._why[question.why] += 1

    def add(self, answer: Answer, spared: Spared | None) -> None:
        """Count one answer, or the lack of one."""
        self._answered += answer.grounding is not None
        self._waited_s += answer.waited_s
        if spared is not None:
            self._spared[str(spared)] += 1
        if answer.grounding is None:
            self._errors += 1
        else:
            self._seconds += answer.grounding.seconds

    def summary(self) -> dict[str, Any]:
        """Questions by reason, answers not passed on to the deep one by reason, and seconds."""
        return {
            "asked": self._why.total(),
            "why": dict(self._why),
            "answered": self._answered,
            "not_considered": dict(self._spared),
            "errors": self._errors,
            "seconds": round(self._seconds, 4),
            "waited_s": round(self._waited_s, 4),
        }


class GroundingLog:
    """The groundings of a run: the newest in full, all of them counted."""

    def __init__(self) -> None:
        self._newest: deque[dict[str, Any]] = deque(maxlen=MAX_GROUNDINGS)
        self._total = 0
        self._tokens = 0
        self._calls: dict[Speed, SpeedCalls] = {}

    def ask(self, question: Question) -> None:
        """Note one question."""
        self._calls.setdefault(question.speed, SpeedCalls()).ask(question)

    def add(self, answer: Answer, spared: Spared | None = None) -> None:
        """Note one answer, or the lack of one.

        Args:
            spared: Why the deep reasoner was not asked after it, where there is one.
        """
        asked, grounding = answer.question, answer.grounding
        self._total += 1
        entry: dict[str, Any] = {
            "frame": asked.frame.index,
            "pts_s": round(asked.frame.pts_s, 3),
            "speed": str(asked.speed),
            "reason": asked.why,
            "mode": str(asked.mode),
            "difficulty": round(asked.difficulty, 2),
            "waited_s": round(answer.waited_s, 4),
        }
        if grounding is None:
            entry["error"] = answer.error
        else:
            self._tokens += grounding.tokens
            entry |= _told(grounding)
        if spared is not None:
            entry["not_considered"] = str(spared)
        self._newest.append(entry)
        self._calls.setdefault(asked.speed, SpeedCalls()).add(answer, spared)

    def summary(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "groundings": list(self._newest),
            "groundings_total": self._total,
            "tokens_total": self._tokens,
            "calls": {speed.value: calls.summary() for speed, calls in self._calls.items()},
        }


def _told(grounding: Grounding) -> dict[str, Any]:
    return {
        "seconds": round(grounding.seconds, 4),
        "tokens": grounding.tokens,
        "reasoning": grounding.reasoning,
        "understood": round(grounding.understood, 3),
        "cannot_tell": grounding.cannot_tell,
        "words": [
            {
                "text": word.text,
                "use": word.use.value,
                "taken_as": word.taken_as,
                "known_to": word.known_to,
            }
            for word in grounding.words
        ],
        "targets": [
            {
                "label": target.label,
                "score": round(target.score, 3),
                "box": [round(v, 1) for v in target.box],
            }
            for target in grounding.targets
        ],
    }


def describe_setting(config: Config) -> dict[str, Any]:
    """What does not change during a run: config and versions. Taken at its beginning, for packages
    cannot be looked up any more while the interpreter ends."""
    return {"config": _masked(config.model_dump(mode="json")), "versions": versions()}


def describe_run(
    setting: Mapping[str, Any],
    info: SourceInfo,
    dropped: Mapping[str, int],
    telemetry: Telemetry,
    groundings: GroundingLog,
    query: Query | None,
    engines: Mapping[str, Any],
    sinks: Mapping[str, Any],
    reasoner: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of summary.json, in plain values.

    Args:
        setting: Of `describe_setting`.
    """
    told = telemetry.summary()
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
        "dropped": dict(dropped),
        "answers_dropped": told["dropped"],
        "counters": told["counters"],
        "latency": told["latency"],
        "reasoner": dict(reasoner),
        **groundings.summary(),
        "engines": dict(engines),
        "sinks": dict(sinks),
        **setting,
    }


def nothing_done(config: Config, name: str, query: str | None) -> dict[str, Any]:
    """The summary of a run that has no first frame yet."""
    asked = None if query is None else Query(query)
    info = SourceInfo(name, live=False)
    return describe_run(
        describe_setting(config), info, {}, Telemetry(), GroundingLog(), asked, {}, {}, NOT_STARTED
    )


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _masked(inner) for key, inner in value.items()}
    return mask(value) if isinstance(value, str) else value


def versions() -> dict[str, str]:
    """Of streamseg, Python, the system, and the libraries that are installed."""
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    found = {"streamseg": __version__, "python": platform.python_version()}
    found["platform"] = platform.platform()
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
