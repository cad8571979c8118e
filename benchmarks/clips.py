"""Clips for benchmarks: scenes as video files, so that decoding is paid for as a user does, and a
film's first pictures."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from streamseg import sources
from streamseg.clock import VirtualClock
from streamseg.config import SourceConfig
from streamseg.synthetic import Scene
from streamseg.types import Box, Image

_PATIENCE_S = 30.0


def encode(scene: Scene, path: Path, *, rate: int | None = None) -> Path:
    """Write the scene as H.264 at a quality that keeps its edges."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate or round(scene.fps))
        stream.width, stream.height = scene.size
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "18", "preset": "veryfast"}
        for index in range(scene.frames):
            picture = av.VideoFrame.from_ndarray(scene.frame(index)[0], format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def boxes(scene: Scene, index: int = 0) -> dict[int, Box]:
    """The true box of every object that shows on a frame, largest object first."""
    labels = scene.frame(index)[1]
    found: dict[int, tuple[int, Box]] = {}
    for object_id in np.unique(labels):
        if object_id:
            ys, xs = np.nonzero(labels == object_id)
            box = (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))
            found[int(object_id)] = (len(xs), box)
    ordered = sorted(found.items(), key=lambda item: -item[1][0])
    return {object_id: box for object_id, (_, box) in ordered}


def pictures(clip: Path, most: int) -> list[Image]:
    """The first pictures of a film, decoded, (H, W, 3) uint8 RGB each."""
    source = sources.open_source(str(clip), SourceConfig(), VirtualClock())
    found: list[Image] = []
    try:
        while len(found) < most and (frame := source.read(_PATIENCE_S)) is not None:
            found.append(frame.image)
    except sources.StreamEnded:
        pass
    finally:
        source.close()
    return found
