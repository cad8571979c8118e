"""Pictures from a user's own files, for grounds and fillings; nothing is shipped."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from streamseg.borders.paths import trouble_with_path
from streamseg.errors import SourceError, SourceSpecError
from streamseg.masking import legible
from streamseg.types import Image

_MOST = 8


def load_textures(path: Path) -> list[Image]:
    """Read up to 8 pictures from a picture, a folder of pictures, or a video's keyframes.

    Returns:
        (H, W, 3) uint8 RGB pictures, each of its own size.

    Raises:
        SourceSpecError: There is no such file or folder.
        SourceError: It holds no picture that can be read.
    """
    if trouble := trouble_with_path(path):
        raise SourceSpecError(f"textures: {trouble}")
    if not path.exists():
        raise SourceSpecError(f"textures: no file or folder {legible(str(path))}")
    files = sorted(item for item in path.iterdir() if item.is_file()) if path.is_dir() else [path]
    pictures: list[Image] = []
    for file in files:
        pictures += _pictures(file, _MOST - len(pictures))
        if len(pictures) >= _MOST:
            break
    if not pictures:
        raise SourceError(f"textures: no readable picture in {legible(str(path))}")
    return pictures


def _pictures(file: Path, most: int) -> list[Image]:
    found: list[Image] = []
    try:
        with av.open(str(file)) as container:
            stream = container.streams.video[0]
            stream.codec_context.skip_frame = "NONKEY"
            for frame in container.decode(stream):
                found.append(np.ascontiguousarray(frame.to_ndarray(format="rgb24")))
                if len(found) >= most:
                    break
    except (av.FFmpegError, IndexError):
        return found
    return found
