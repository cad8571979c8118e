"""One line on a terminal while a run lasts: a bar on files, the present moment on live streams."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from streamseg.sinks import Role
from streamseg.types import FrameResult, SourceInfo, TrackState

STATE_STYLES = {
    TrackState.SEARCHING: "bright_black",
    TrackState.TRACKING: "green",
    TrackState.UNCERTAIN: "yellow",
    TrackState.LOST: "red",
}
_REFRESH_HZ = 8
_BAR_WIDTH = 24
_SMOOTHING = 0.08


class StatusSink:
    """Keeps one line up to date and takes it away at the end.

    Args:
        console: A terminal; other consoles are better left without this sink.
        max_frames: Where the run will stop if the source does not end before.
    """

    name = "status"
    role = Role.ASIDE

    def __init__(self, console: Console, max_frames: int | None = None) -> None:
        self._max_frames = max_frames
        self._total: int | None = None
        self._query = ""
        self._latest: FrameResult | None = None
        self._frames = 0
        self._skipped = 0
        self._interval_s: float | None = None
        self._last_s: float | None = None
        self._latency_ms: float | None = None
        self._live = Live(
            console=console,
            get_renderable=self.render,
            refresh_per_second=_REFRESH_HZ,
            transient=True,
        )

    def open(self, info: SourceInfo, query: str) -> None:
        limits = [limit for limit in (info.frame_count, self._max_frames) if limit]
        self._total = min(limits) if limits else None
        self._query = printable(query)
        with contextlib.suppress(OSError):  # the terminal may have gone, here and below
            self._live.start()

    def write(self, result: FrameResult) -> None:
        now_s = time.monotonic()
        if self._latest is not None and self._last_s is not None:
            self._skipped += max(0, result.frame.index - self._latest.frame.index - 1)
            self._interval_s = _smooth(self._interval_s, now_s - self._last_s)
        latency_ms = result.timings_ms.get("latency")
        if latency_ms is not None:
            self._latency_ms = _smooth(self._latency_ms, latency_ms)
        self._last_s = now_s
        self._latest = result
        self._frames += 1

    def close(self, summary: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError):
            self._live.stop()

    def render(self) -> RenderableType:
        """The line as it stands; also called from the terminal's own refresh thread."""
        words = self.words()
        if self._total is None:
            return words
        line = Table.grid(padding=(0, 1))
        line.add_row(ProgressBar(self._total, self._frames, width=_BAR_WIDTH), words)
        return line

    def words(self) -> Text:
        """State, objects, speed, latency, drops, query: what fits, in this order."""
        latest = self._latest
        if latest is None:
            return Text(f"waiting for the first frame  {self._query}", "bright_black", no_wrap=True)
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append("● ", STATE_STYLES[latest.state])
        text.append(latest.state.value.ljust(9))
        visible = sum(track.box is not None for track in latest.masks.objects)
        text.append(f"  {visible} object{'' if visible == 1 else 's'}")
        of_total = f"/{self._total}" if self._total is not None else ""
        text.append(f"  frame {self._frames}{of_total}")
        if self._interval_s:
            text.append(f"  {1 / self._interval_s:.0f} fps")
        if self._latency_ms is not None:
            text.append(f"  {self._latency_ms:.0f} ms")
        if self._skipped:
            text.append(f"  {self._skipped} dropped", "yellow")
        text.append(f"  {printable(latest.query)}", "bright_black")
        return text


def printable(text: str) -> str:
    """On one line and without control characters, so that no text can steer the terminal."""
    return "".join(char for char in " ".join(text.split()) if char.isprintable())


def _smooth(before: float | None, latest: float) -> float:
    return latest if before is None else before + _SMOOTHING * (latest - before)
