"""These tests export parts of networks: see `exporting.py`."""

from exporting import translations_read_once

__all__ = ["translations_read_once"]
