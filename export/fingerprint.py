"""A hash of the code that graphs are made from: another revision of it makes another engine."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

NETWORKS = "streamseg.nets"
REASONER = "streamseg.export.reasoner"
EXPORTERS = ("detector", "onnx", "precision", "sam2_image", "sam2_video", "xmem")
"""Files of `streamseg.export` that decide what a graph computes; the others only handle it."""


@cache
def code_sha256() -> str:
    """SHA-256 over the source of the networks and of `EXPORTERS`, whatever ends its lines."""
    folder = resources.files("streamseg.export")
    return _sha256([*_sources(NETWORKS), *(folder / f"{name}.py" for name in EXPORTERS)])


@cache
def reasoner_sha256() -> str:
    """The same over what a reasoner's graphs are made by."""
    return _sha256(_sources(REASONER))


def _sources(room: str) -> list[Traversable]:
    return [file for file in resources.files(room).iterdir() if file.name.endswith(".py")]


def _sha256(files: list[Traversable]) -> str:
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.name):
        source = file.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{file.name} {len(source)}\n".encode() + source)
    return digest.hexdigest()
