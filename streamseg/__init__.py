"""streamseg: a live picture and a sentence go in; a mask per frame comes out, in real time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamseg.version import __version__

if TYPE_CHECKING:
    from streamseg.pipeline import StreamSegmenter

__all__ = ["StreamSegmenter", "__version__"]


def __getattr__(name: str) -> object:
    # Loaded when asked for: the reasoning process imports this package and needs no pipeline.
    if name == "StreamSegmenter":
        from streamseg.pipeline import StreamSegmenter

        return StreamSegmenter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
