"""By what an unfinished run is known again: the same video, sentence and settings."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any

from streamseg.config import Config

_WITHOUT_EFFECT = {"name", "description", "chosen", "sinks"}
"""Parts of a config that change no mask."""


def identity(
    video: str,
    files: Sequence[str],
    query: str,
    config: Config,
    *,
    max_frames: int | None,
    target_frame: int | None,
) -> dict[str, Any]:
    """Plain values, equal where two runs would give the same masks.

    Args:
        video: Its name.
        files: Local files that it is read from; their sizes and times of change count.
    """
    looks = hashlib.sha256()
    for path in files:
        found = os.stat(path)
        looks.update(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\n".encode("utf-8", "replace"))
    settings = config.model_dump_json(exclude=_WITHOUT_EFFECT)
    return {
        "video": video,
        "video file": looks.hexdigest(),
        "query": query,
        "config": hashlib.sha256(settings.encode()).hexdigest(),
        "--max-frames": max_frames,
        "--target-frame": target_frame,
    }
