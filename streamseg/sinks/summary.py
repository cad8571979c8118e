"""summary.json: what the run was, written once at its end."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamseg.sinks import folder
from streamseg.types import FrameResult, SourceInfo

FILE_NAME = "summary.json"


class SummarySink:
    """Writes the summary that `close` gets, under its own name only once it is complete."""

    name = "summary"

    def __init__(self, output: Path) -> None:
        self._folder = output

    def open(self, info: SourceInfo, query: str) -> None:
        folder.prepare(self._folder)
        (self._folder / FILE_NAME).unlink(missing_ok=True)

    def write(self, result: FrameResult) -> None:
        """A summary is of the whole run: single results add nothing to it."""

    def close(self, summary: Mapping[str, Any]) -> None:
        target = self._folder / FILE_NAME
        draft = target.with_suffix(".json.part")
        text = json.dumps(summary, indent=2, ensure_ascii=False, default=str)
        draft.write_text(text + "\n", encoding="utf-8")
        os.replace(draft, target)
