"""XMem's loop and memory, and the propagator that brings them to frames."""

from __future__ import annotations

from streamseg.config import MemoryConfig
from streamseg.propagation.xmem.loop import XMemPropagator

__all__ = ["MemoryConfig", "XMemPropagator"]
