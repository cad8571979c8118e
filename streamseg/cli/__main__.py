"""`python -m streamseg.cli`, the same as `streamseg`."""

from __future__ import annotations

from streamseg.cli import main

main()
