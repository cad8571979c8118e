"""A hash of the code that graphs are made from: another revision of it makes another engine."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

NETWORKS = "streamseg.nets"
EXPORTERS = ("detector", "onnx", "precision", "sam2_image", "sam2_video", "xmem")
"""Files of `streamseg.export` that decide what a graph computes; the others only handle it."""


@cache
def code_sha256() -> str:
    """SHA-256 over the source of the networks and of `EXPORTERS`, whatever ends its lines."""
    folder = resources.files("streamseg.export")
    files = [file for file in resources.files(NETWORKS).iterdir() if file.name.endswith(".py")]
    files += [folder / f"{name}.py" for name in EXPORTERS]
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.name):
        source = file.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{file.name} {len(source)}\n".encode() + source)
    return digest.hexdigest()
