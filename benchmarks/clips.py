"""Synthetic scenes as video files, so that a benchmark pays for decoding as a user does."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from streamseg.synthetic import Scene
from streamseg.types import Box


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
