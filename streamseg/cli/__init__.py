"""The command line, a file for each command."""

from __future__ import annotations

from streamseg.cli.app import app, exit_code, main

__all__ = ["app", "exit_code", "main"]
