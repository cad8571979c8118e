"""masks/000012.png: an index picture for every frame, for tools that read DAVIS folders."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import FileIO
from typing import Any

import numpy as np

from streamseg.sinks import Role
from streamseg.sinks.output import results
from streamseg.sinks.output.files import write_whole
from streamseg.sinks.output.folder import NEW_FILE, OutputFolder
from streamseg.sinks.palette import davis_palette
from streamseg.types import FrameResult, Labels, SourceInfo

_COMPRESSION = 1
"""zlib's fastest: an index map is long runs, and a higher level saves little."""


class ImagesSink:
    """Writes the index map of each frame: 8-bit with DAVIS's palette, 16-bit grey from id 256."""

    name = "images"
    role = Role.RESULTS

    def __init__(self, folder: OutputFolder) -> None:
        self._folder = folder
        self._pictures: int | None = None

    def check(self, reads: Sequence[str]) -> None:
        self._folder.claim(self, reads)
        try:
            self._folder.check_pictures()
        except BaseException:
            self._folder.release(self)
            raise

    def open(self, info: SourceInfo, query: str) -> None:
        self._folder.claim(self)

    def write(self, result: FrameResult) -> None:
        if self._pictures is None:
            self._pictures = self._folder.subfolder(results.IMAGES)
        name, png = f"{result.frame.index:06d}.png", encode_png(result.masks.labels)
        with suppress(FileNotFoundError):  # a source that counts a frame twice: the later one
            os.unlink(name, dir_fd=self._pictures)
        try:
            with FileIO(os.open(name, NEW_FILE, 0o666, dir_fd=self._pictures), "w") as file:
                write_whole(file, png)
        except OSError:
            with suppress(OSError):  # no picture rather than half of one
                os.unlink(name, dir_fd=self._pictures)
            raise

    def close(self, summary: Mapping[str, Any]) -> None:
        """Every picture was finished when it was written."""
        pictures, self._pictures = self._pictures, None
        if pictures is not None:
            os.close(pictures)
        self._folder.release(self)


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
