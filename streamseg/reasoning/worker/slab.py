"""Shared memory in which pictures cross to the worker process; knows no message and no process.

The memory is an anonymous file (`memfd`; an unlinked temporary file where the system has none)
whose descriptor the child inherits. It has no name: nothing is left behind when both processes
are gone, however they went, and no resource tracker has to be told.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile
from collections.abc import Sequence

import numpy as np

from streamseg.errors import ReasoningError
from streamseg.types import Image

ALIGNMENT = 64
"""Pictures begin at multiples of this many bytes, a cache line."""
GROWTH = 1024 * 1024
"""The slab grows to multiples of this many bytes."""


class FrameSlab:
    """The writer's side: one reusable block, grown when pictures need more, never shrunk."""

    def __init__(self) -> None:
        self._fd = _anonymous_file()
        self._map: mmap.mmap | None = None
        self._size = 0

    @property
    def fd(self) -> int:
        """The descriptor for the child to inherit."""
        return self._fd

    @property
    def size(self) -> int:
        """Bytes the slab holds now."""
        return self._size

    def put(self, images: Sequence[Image]) -> list[int]:
        """Copy pictures in, over what was there; return the byte offset of each."""
        offsets: list[int] = []
        end = 0
        for image in images:
            offsets.append(end)
            end += -(-image.nbytes // ALIGNMENT) * ALIGNMENT
        self._reserve(end)
        for image, offset in zip(images, offsets, strict=True):
            target = np.frombuffer(self._mapped(), np.uint8, image.size, offset)
            np.copyto(target.reshape(image.shape), image)
        return offsets

    def close(self) -> None:
        """Let go of the memory; it is freed when the child has let go too."""
        if self._fd >= 0:
            self._map = None
            os.close(self._fd)
            self._fd = -1

    def _reserve(self, size: int) -> None:
        if size > self._size:
            self._size = -(-size // GROWTH) * GROWTH
            os.ftruncate(self._fd, self._size)
            self._map = mmap.mmap(self._fd, self._size)

    def _mapped(self) -> mmap.mmap:
        assert self._map is not None
        return self._map


class SlabView:
    """The reader's side: read-only pictures in the memory behind a descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._map: mmap.mmap | None = None

    def image(self, offset: int, height: int, width: int) -> Image:
        """The (height, width, 3) picture at `offset`; it changes when the writer reuses its place.

        Raises:
            ReasoningError: The place lies outside the slab.
        """
        end = offset + height * width * 3
        if self._map is None or end > len(self._map):
            self._map = self._remap()
        if offset < 0 or end > len(self._map):
            raise ReasoningError(
                f"expected a picture within {len(self._map)} bytes, got one to {end}"
            )
        pixels = np.frombuffer(self._map, np.uint8, height * width * 3, offset)
        return pixels.reshape(height, width, 3)

    def _remap(self) -> mmap.mmap:
        size = os.fstat(self._fd).st_size
        if size == 0:
            raise ReasoningError("expected pictures in shared memory, got an empty slab")
        return mmap.mmap(self._fd, size, access=mmap.ACCESS_READ)


def _anonymous_file() -> int:
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryFile() as file:
            return os.dup(file.fileno())
    fd = os.memfd_create("streamseg-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    # A slab that shrank under its reader would be a bus error: let nobody shrink it.
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    return fd
