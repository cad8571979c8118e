"""What a caller may give for a source, told apart by its type before anything is opened."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sized
from typing import Any, cast

import numpy as np

from streamseg.clock import Clock
from streamseg.config import SourceConfig
from streamseg.errors import UsageError
from streamseg.sources import Source
from streamseg.sources.arrays import Order, checked_order
from streamseg.sources.iterable import IterableSource
from streamseg.types import Event, Frame, Image, SourceInfo

Given = str | os.PathLike[str] | int | Source | Iterable[Frame | Image | tuple[Image, int | None]]
"""A spec, a path, a camera's index, an open source, or pictures in order."""

_EXPECTED = (
    "expected a source: SRC as text, a path, a camera's index, an open Source, or an iterable of "
    "(height, width, 3) uint8 arrays, of (array, pts_ns) pairs or of Frame"
)


def spec_or_source(
    given: Given,
    order: str,
    config: SourceConfig,
    clock: Clock,
    on_event: Callable[[Event], None],
) -> str | Source:
    """SRC for `open_source`, or a source. Nothing is opened or drawn yet.

    Args:
        order: Of arrays' channels, "rgb" or "bgr".

    Raises:
        UsageError: Nothing of the kind.
    """
    channels = checked_order(order)
    if isinstance(given, str):
        return given
    if isinstance(given, os.PathLike):
        return _spec_of_path(given)
    if isinstance(given, int | np.integer) and not isinstance(given, bool):
        if given < 0:
            raise UsageError(f"expected a camera's index from 0 on, got {given}")
        return str(int(given))
    if _is_source(given):
        return cast(Source, given)
    return _iterable(given, channels, config, clock, on_event)


def _spec_of_path(path: os.PathLike[Any]) -> str:
    """A path is a file or folder, also where its name looks like a camera's index or a URL."""
    text = os.fsdecode(path)
    is_plain = os.path.isabs(text) or not (text.isdigit() or ":" in text or text == "-")
    return text if is_plain else os.path.join(os.curdir, text)


def _is_source(given: object) -> bool:
    return all(hasattr(given, name) for name in ("read", "info", "dropped", "close"))


def _iterable(
    given: object,
    order: Order,
    config: SourceConfig,
    clock: Clock,
    on_event: Callable[[Event], None],
) -> IterableSource:
    if isinstance(given, np.ndarray) and given.ndim != 4:
        hint = "; one picture: give [image]" if given.ndim == 3 else ""
        raise UsageError(f"{_EXPECTED}; got {given.dtype} of shape {given.shape}{hint}")
    if isinstance(given, bytes | bytearray | memoryview):
        raise UsageError(f"{_EXPECTED}; got {type(given).__name__}")
    try:
        items = iter(cast(Iterable[object], given))
    except TypeError:
        hint = "; in a loop of your own, use session()" if hasattr(given, "read") else ""
        raise UsageError(f"{_EXPECTED}; got {type(given).__name__}{hint}") from None
    info = SourceInfo(
        name=f"pictures of a {type(given).__name__}",
        live=False,
        fps=config.fps,
        frame_count=len(given) if isinstance(given, Sized) else None,
    )
    return IterableSource(items, info, order, config, clock, on_event)
