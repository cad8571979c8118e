"""streamseg: a live picture and a sentence go in; a mask per frame comes out, in real time."""

from __future__ import annotations

__version__ = "0.1.0"
