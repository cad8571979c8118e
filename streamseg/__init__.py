"""streamseg: a live picture and a sentence go in; a mask per frame comes out, in real time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamseg.version import __version__

if TYPE_CHECKING:
    from streamseg.offline import VideoSegmenter
    from streamseg.segmenter import StreamSegmenter

__all__ = ["StreamSegmenter", "VideoSegmenter", "__version__"]


def __getattr__(name: str) -> object:
    # Loaded when asked for: the reasoning process imports this package and needs none of it.
    if name == "StreamSegmenter":
        from streamseg.segmenter import StreamSegmenter

        return StreamSegmenter
    if name == "VideoSegmenter":
        from streamseg.offline import VideoSegmenter

        return VideoSegmenter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
