"""A synthetic scene as a source: played as a file, or at its own pace as if it were live."""

from __future__ import annotations

import difflib
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl

from streamseg import synthetic
from streamseg.clock import Clock
from streamseg.config import SourceConfig
from streamseg.errors import SourceSpecError, UsageError
from streamseg.masking import legible
from streamseg.sources import StreamEnded
from streamseg.types import Frame, SourceInfo

T = TypeVar("T")

_PARAMETERS = ("seed", "split", "size", "fps", "frames", "live", "textures")
_OVERTAKEN = "overtaken"


class SyntheticSource:
    """Frames of a scene, computed when they are read.

    As a file it never drops. Live, frame i is due i / fps after the first read: a reader that
    comes late gets the newest frame that is due, and those before it are counted as dropped.

    Attributes:
        scene: With the truth: `scene.frame(frame.index)[1]` is the frame's labels.
    """

    def __init__(self, scene: synthetic.Scene, clock: Clock, live: bool = False) -> None:
        """Play `scene`; a virtual clock stands still between frames, so there nothing is late."""
        self.scene = scene
        self._clock = clock
        self._paced = live and not clock.virtual
        self._next = 0
        self._first_ns: int | None = None
        self._closed = threading.Event()
        self._dropped = {_OVERTAKEN: 0}

    @classmethod
    def open(cls, spec: str, config: SourceConfig, clock: Clock) -> SyntheticSource:
        """Open `synthetic:NAME?seed=1&split=test&size=640x360&fps=30&frames=120&live=0`.

        Raises:
            SourceSpecError: No such scene or parameter, or a value that cannot be.
        """
        name, _, query = spec.removeprefix("synthetic:").partition("?")
        values = _parameters(spec, query)
        _known(spec, "scene", name, synthetic.NAMES)
        live = _value(values, "live", _flag, config.realtime)
        try:
            scene = synthetic.scene(
                name,
                seed=_value(values, "seed", int, 1),
                split=values.get("split", "test"),
                size=_value(values, "size", _size, synthetic.DEFAULT_SIZE),
                fps=_value(values, "fps", float, synthetic.DEFAULT_FPS),
                frames=_value(values, "frames", int, None),
                textures=_value(values, "textures", Path, None),
            )
        except UsageError as error:
            raise SourceSpecError(f"{legible(spec)}: {error}") from None
        return cls(scene, clock, live)

    @property
    def info(self) -> SourceInfo:
        return SourceInfo(
            name=f"synthetic:{self.scene.name}",
            live=self._paced,
            fps=self.scene.fps,
            frame_count=len(self.scene),
            width=self.scene.size[0],
            height=self.scene.size[1],
        )

    @property
    def dropped(self) -> Mapping[str, int]:
        return dict(self._dropped)

    def read(self, timeout_s: float) -> Frame | None:
        """The next frame, or live the newest that is due; None when none is due in time."""
        if self._paced and not self._await_due(timeout_s):
            return None
        if self._closed.is_set() or self._next >= len(self.scene):
            raise StreamEnded
        index, self._next = self._next, self._next + 1
        image, _ = self.scene.frame(index)
        pts_ns = round(index * 1e9 / self.scene.fps)
        return Frame(index, pts_ns, 0, image, self._clock.now_ns())

    def _await_due(self, timeout_s: float) -> bool:
        """Wait for the next frame's time and skip those that are over; False for not in time."""
        now_ns = self._clock.now_ns()
        if self._first_ns is None:
            self._first_ns = now_ns
        elapsed_s = (now_ns - self._first_ns) / 1e9
        wait_s = self._next / self.scene.fps - elapsed_s
        if wait_s > 0.0 and self._next < len(self.scene):
            self._closed.wait(min(wait_s, timeout_s))
            return wait_s <= timeout_s or self._closed.is_set()
        # A hair is added so that a frame is due at its own time in spite of rounding.
        newest = min(math.floor(elapsed_s * self.scene.fps + 1e-6), len(self.scene) - 1)
        self._dropped[_OVERTAKEN] += max(0, newest - self._next)
        self._next = max(self._next, newest)
        return True

    def close(self) -> None:
        self._closed.set()


def _parameters(spec: str, query: str) -> dict[str, str]:
    values: dict[str, str] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise SourceSpecError(f"{legible(spec)}: expected NAME?key=value&key=value") from None
    for key, value in pairs:
        _known(spec, "parameter", key, _PARAMETERS)
        values[key] = value
    return values


def _known(spec: str, kind: str, name: str, names: Sequence[str]) -> None:
    if name not in names:
        close = difflib.get_close_matches(name[:100], names, n=1, cutoff=0.5)
        nearest = f" (did you mean {close[0]!r}?)" if close else ""
        raise SourceSpecError(
            f"{legible(spec)}: unknown {kind} {legible(name)!r}{nearest}; "
            f"there are: {', '.join(names)}"
        )


def _value(values: Mapping[str, str], key: str, read: Callable[[str], T], default: T) -> T:
    if key not in values:
        return default
    try:
        return read(values[key])
    except ValueError:
        raise SourceSpecError(
            f"synthetic: expected {_EXPECTED[key]} for {key}, got {legible(values[key])!r}"
        ) from None


_EXPECTED = {
    "seed": "a whole number",
    "size": "WIDTHxHEIGHT",
    "fps": "a number",
    "frames": "a whole number",
    "live": "0 or 1",
    "textures": "a path",
}


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError
    return text == "1"


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)
