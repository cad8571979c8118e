"""masks/000012.png: an index picture for every frame, for tools that read DAVIS folders."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from streamseg.errors import OutputError
from streamseg.sinks import folder
from streamseg.sinks.palette import davis_palette
from streamseg.types import FrameResult, Labels, SourceInfo

FOLDER_NAME = "masks"
_COMPRESSION = 1
"""zlib's fastest: an index map is long runs, and a higher level saves little."""


class ImagesSink:
    """Writes the index map of each frame: 8-bit with DAVIS's palette, 16-bit grey from id 256."""

    name = "images"

    def __init__(self, output: Path) -> None:
        self._folder = output / FOLDER_NAME

    def open(self, info: SourceInfo, query: str) -> None:
        folder.prepare(self._folder)
        if any(self._folder.glob("*.png")):
            raise OutputError(
                f"{self._folder} already holds PNG files, which would mix with this run's: "
                "empty it or give another output folder"
            )

    def write(self, result: FrameResult) -> None:
        path = self._folder / f"{result.frame.index:06d}.png"
        path.write_bytes(encode_png(result.masks.labels))

    def close(self, summary: Mapping[str, Any]) -> None:
        """Every picture was finished when it was written."""


def encode_png(labels: Labels) -> bytes:
    """PNG bytes of a (H, W) uint16 index map (PNG specification, third edition)."""
    height, width = labels.shape
    indexed = int(labels.max(initial=0)) < 256
    pixels = labels.astype(np.uint8 if indexed else ">u2")
    rows = np.zeros((height, 1 + pixels.dtype.itemsize * width), np.uint8)
    rows[:, 1:] = pixels.view(np.uint8)  # column 0 is each row's filter type: none
    depth, colour_type = (8, 3) if indexed else (16, 0)
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    palette = _chunk(b"PLTE", davis_palette().tobytes()) if indexed else b""
    body = _chunk(b"IDAT", zlib.compress(rows.data, _COMPRESSION))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + palette + body + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
