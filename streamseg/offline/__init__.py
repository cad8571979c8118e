"""A whole video instead of a stream: the paper's three stages, in the paper's order."""

from __future__ import annotations

from streamseg.offline.segmenter import VideoSegmenter

__all__ = ["VideoSegmenter"]
