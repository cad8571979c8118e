"""Tells a picture from a film by its first bytes, whatever the file is called."""

from __future__ import annotations

import os
from pathlib import PurePath

_HEAD = 16
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
_STRINGS_OF_JPEG = frozenset({".mjpeg", ".mjpg", ".mjp"})


def is_picture(path: str) -> bool:
    """Whether the file begins as JPEG, PNG, GIF, TIFF, WebP or AVIF does; False if unreadable."""
    if PurePath(path).suffix.lower() in _STRINGS_OF_JPEG or not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return begins_a_picture(head)


def begins_a_picture(head: bytes) -> bool:
    """Whether these are the first bytes of such a picture; 16 of them tell."""
    webp = head.startswith(b"RIFF") and head[8:12] == b"WEBP"
    avif = head[4:12] in (b"ftypavif", b"ftypavis")
    return head.startswith(_BEGINNINGS) or webp or avif
